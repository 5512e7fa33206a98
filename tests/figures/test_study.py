"""Figures of studies show the numbers of the study, each line named where it ends."""

import numpy as np
import pytest
from figures.studies import result

from dynet.errors import ArgumentError
from dynet.figures import draw


def lines(figure):
    return [(line.get_xdata(), line.get_ydata(), line.get_linestyle()) for line in figure.axes[0].get_lines()]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_attacks_are_solid_and_certificates_dashed():
    study = result()
    figure = draw("attacks", study=study, network="smooth")
    for (x, y, style), kind in zip(lines(figure), ("fgsm", "pgd", "interval"), strict=True):
        assert x.tolist() == [0.0, 0.1, 0.2] and np.allclose(y, 100 * study.curves["smooth"][kind])
        assert style == ("--" if kind == "interval" else "-")
    assert texts(figure) == ["fgsm", "pgd", "interval, proven"] and figure.axes[0].get_title(loc="left") == "smooth"


def test_certificates_are_under_the_attack():
    figure = draw("certificates", study=result(), title="mine")
    assert texts(figure) == ["pgd", "interval, proven", "gain, proven"]
    top, *proven = [y for _, y, _ in lines(figure)]
    assert all((y <= top).all() for y in proven)


def test_networks_have_a_colour_each():
    figure = draw("networks", study=result(), networks=["plain", "layers"], attack="fgsm")
    colors = [line.get_color() for line in figure.axes[0].get_lines()]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert texts(figure) == ["plain", "plain, proven", "layers", "layers, proven"]


def test_the_trade_off_names_its_points():
    figure = draw("trade_off", study=result(), networks=["plain", "smooth"], eps=0.2)
    assert texts(figure) == ["plain", "smooth, λ = 0.001"]
    x, y, _ = lines(figure)[0]
    assert np.allclose(x, [90.0, 91.0]) and np.allclose(y, [30.0, 60.0])


def test_sparsity_is_in_the_order_of_the_fractions():
    figure = draw("sparsity", study=result())
    x, y, _ = lines(figure)[0]
    assert x.tolist() == [10.0, 50.0, 100.0] and np.allclose(y, [30.0, 80.0, 90.0])
    assert texts(figure) == ["plain", "smooth"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "attacks", "study": None}, "study=None: expected the result of a study"),
        ({"kind": "attacks", "network": "plane"}, "did you mean 'plain'"),
        ({"kind": "networks", "networks": ["plain", "x"]}, "network='x'"),
        ({"kind": "networks", "attack": "pdg"}, "did you mean 'pgd'"),
        ({"kind": "trade_off", "eps": 0.3}, "one of the study's: 0, 0.1, 0.2"),
        ({"kind": "sparsity", "networks": ["layers"]}, "a study that pruned networks"),
        ({"kind": "sparsity", "network": "plain"}, "did you mean 'networks'"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        draw(**{"study": result()} | arguments)
