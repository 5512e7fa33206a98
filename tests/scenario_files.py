"""Small scenarios for tests, and what must hold whenever one is refused."""

import re

from dynet.cli import main

COUPLING = "coupling = [[0.0, 0.3, 0.0], [0.3, 0.0, 0.3], [0.0, 0.3, 0.0]]\n"
LABELS = 'labels = ["a", "b", "c"]\n'

SMALL = f"""\
title = "Three nodes"
seed = 3

[model]
kind = "hopfield"
{COUPLING}activation = "tanh"
{LABELS}
[input]
kind = "constant"
value = {{ a = 1.0 }}

[simulate]
t = 2.0
batch = 3
save = 5

[certify]
norm = "inf"

[equilibrium]
tol = 1e-9

[expect]
certified = true
rate = {{ min = 0.1 }}
"""

#: One trajectory leaves the numbers at t = log 2 and the others decay; see `blow_up.py` in :func:`blow_up`.
BLOW_UP = """\
[model]
function = "blow_up.py:square"

[simulate]
t = 5.0
x0 = [[0.5], [2.0], [-1.0]]
"""


def change(old, new, text=SMALL):
    """The small scenario with one piece replaced, which must be there."""
    assert old in text, old
    return text.replace(old, new, 1)


def drop(*tables, text=SMALL):
    """The small scenario without some of its tables."""
    for table in tables:
        text = re.sub(rf"(?ms)^\[+{table}\]+.*?(?=^\[|\Z)", "", text)
    return text


def on_graph(lines):
    """The small scenario on a graph: `lines` stand in ``[graph]``."""
    text = drop("input").replace(COUPLING, "").replace(LABELS, "")
    return f"{text}\n[graph]\n{lines}\n"


def write(folder, text=SMALL, name="small.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def blow_up(folder, name="blow_up.toml"):
    """x' = x^2 - x: x(0) = 2 is infinite at t = log 2, everything below 1 decays."""
    (folder / "blow_up.py").write_text(
        "import dynet as dn\n\n@dn.vector_field(n=1)\ndef square(t, x, p, dx):\n    dx[0] = x[0] * x[0] - x[0]\n"
    )
    return write(folder, BLOW_UP, name)


def refused(capsys, tmp_path, text, *options):
    """The one line that says why a scenario is refused: exit status 2, no output, nothing written."""
    path = text if not isinstance(text, str) else write(tmp_path, text)
    out = tmp_path / "out" / "deeper"
    before = sorted(tmp_path.rglob("*"))
    assert main(["run", str(path), "--out", str(out), *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("dynet: ") and said.err.count("\n") == 1, said.err
    written = [place for place in tmp_path.rglob("*") if place not in before and "__pycache__" not in place.parts]
    assert not written, written
    return said.err.removeprefix("dynet: ").rstrip().replace(f"{tmp_path}/", "")
