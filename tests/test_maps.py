"""Maps: iterated by `simulate`, step by step, with integer times; what belongs to flows is refused."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from dynet.maps import iterate
from dynet.models.opinion import DiscreteMap

POWER = dn.models.SocialPower([[0, 0.5, 0.5], [0.3, 0, 0.7], [0.6, 0.4, 0]])
OPINIONS = dn.models.FriedkinJohnsen([[0.5, 0.5], [0.2, 0.8]], 0.5, [0.0, 1.0])
X0 = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]])


def test_a_map_is_iterated_step_by_step():
    run = dn.simulate(POWER, X0, 12)
    assert run.t.tolist() == list(range(13)) and run.x.shape == (2, 13, 3) and run.ok
    wanted = X0
    for k in range(13):
        assert np.array_equal(run.x[:, k], wanted)
        wanted = POWER.step(wanted)
    assert np.array_equal(dn.simulate(POWER, X0[1], 12).x, run.x[1]), "alone or in a batch"
    assert np.array_equal(run.x, POWER.iterate(X0, 12))


def test_steps_to_save():
    whole = dn.simulate(OPINIONS, [5.0, 5.0], 20)
    assert np.array_equal(dn.simulate(OPINIONS, [5.0, 5.0], 20, save="last").x, whole.x[-1:])
    assert np.array_equal(dn.simulate(OPINIONS, [5.0, 5.0], 20, save=[0, 3, 7]).x, whole.x[[0, 3, 7]])
    assert np.array_equal(dn.simulate(OPINIONS, [5.0, 5.0], [0, 2, 20]).x, whole.x[[0, 2, 20]])
    assert dn.simulate(OPINIONS, [5.0, 5.0], (5, 25)).t[0] == 5.0
    assert dn.simulate(OPINIONS, [5.0, 5.0], 20, save=5).t.tolist() == [0, 5, 10, 15, 20]
    distance = dn.simulate(OPINIONS, [[0.0, 1.0], [5.0, -2.0]], 20).distance(np.inf)[0]
    assert np.all(distance[1:] <= 0.5 * distance[:-1] + 1e-15), "the factor of the theorem"


def test_a_map_that_leaves_the_numbers_says_when():
    class Square(DiscreteMap):
        n, name = 1, "Square"

        def step(self, x):
            return x * x

    run = iterate(Square(), [[2.0], [0.5]], 20)
    assert [status.ok for status in run.status] == [False, True]
    assert run.t_stop.tolist() == [10.0, 20.0] and np.isnan(run.x[0, 10:]).all() and np.isfinite(run.x[0, :10]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": 2.5}, "whole numbers of steps"),
        ({"t": [3, 2]}, "increasing"),
        ({"save": [1, 99]}, "between 0 and 5"),
        ({"save": "first"}, "last"),
        ({"method": "rk4"}, "is a map"),
        ({"dt": 0.1}, "is a map"),
        ({"dense": True}, "is a map"),
        ({"x0": [0.5, 0.5]}, "last axis of length 3"),
        ({"x0": [0.5, 0.5, 0.5]}, "sum to 1"),
    ],
)
def test_what_has_no_meaning_for_a_map_is_refused(change, message):
    arguments = {"x0": X0[0], "t": 5} | change
    with pytest.raises(ArgumentError, match=message):
        dn.simulate(POWER, arguments.pop("x0"), arguments.pop("t"), **arguments)
    with pytest.raises(ArgumentError, match="contraction factor"):
        dn.certify(POWER)
