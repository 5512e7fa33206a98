import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynet.errors import ScenarioError
from dynet.scenario import toml

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
documents = st.dictionaries(keys, values, max_size=5)


@given(documents)
def test_what_is_written_is_read_back(document):
    assert tomllib.loads(toml.dumps(document)) == document


def test_types_survive():
    document = {"whole": 1, "real": 1.0, "tiny": 1e-300, "yes": True, "list": [1, 2.0, "x"], "end": float("inf")}
    read = tomllib.loads(toml.dumps(document))
    assert read == document
    assert {key: type(value) for key, value in read.items()} == {key: type(value) for key, value in document.items()}


TEXT = """\
title = "x"  # 1

[model]
kind = "hopfield"
"labels" = ["a"]

[[figure]]
kind = "decay"

[[figure]]
kind = "trajectories"
title = "y"

[expect]
rate = { value = 1.0 }
fitted_rate.min = 2.0
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 1),
        (("model",), 3),
        (("model", "kind"), 4),
        (("model", "labels"), 5),
        (("model", "labels", 0), 5),
        (("figure", 0), 7),
        (("figure", 0, "kind"), 8),
        (("figure", 1), 10),
        (("figure", 1, "kind"), 11),
        (("figure", 1, "title"), 12),
        (("expect", "rate", "value"), 15),
        (("expect", "fitted_rate", "min"), 16),
        (("figure", 0, "title"), None),
        (("model", "title"), None),
        (("nowhere",), None),
    ],
)
def test_the_line_of_a_key(path, line):
    assert toml.line_of(TEXT, path) == line


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3.0", 3.0), ("true", True), ("[1, 2]", [1, 2]), ("{ a = 1 }", {"a": 1}), ('"3"', "3"),
     ("tanh", "tanh"), ("a b", "a b"), ("", ""), ("1\nother = 2", "1\nother = 2")],
)  # fmt: skip
def test_a_value_on_the_command_line(text, value):
    assert toml.parse_value(text) == value and type(toml.parse_value(text)) is type(value)


def test_unreadable_files(tmp_path):
    (tmp_path / "quickstart.toml").write_text("title = 1")
    with pytest.raises(ScenarioError, match=r"did you mean '.*quickstart\.toml'"):
        toml.read(tmp_path / "quikstart.toml")
    with pytest.raises(ScenarioError, match="this is a folder"):
        toml.read(tmp_path)
    (tmp_path / "latin.toml").write_bytes('title = "naïve"'.encode("latin-1"))
    with pytest.raises(ScenarioError, match="not UTF-8 text: byte 11 is 0xef"):
        toml.read(tmp_path / "latin.toml")
    (tmp_path / "broken.toml").write_text("[model]\nkind = = 3\n")
    with pytest.raises(ScenarioError, match=r"broken.toml: not well-formed TOML: .*line 2.*'kind = = 3'"):
        toml.read(tmp_path / "broken.toml")
