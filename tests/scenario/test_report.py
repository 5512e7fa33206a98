"""The report as an object, as JSON and as a table that a person reads."""

import json

import pytest
from scenario_files import write

import dynet as dn
from dynet.errors import ArgumentError
from dynet.scenario.report import read, render

MODEL = {"kind": "hopfield", "coupling": [[0.0, 0.5], [0.5, 0.0]]}


def test_a_table_that_fits_a_terminal(tmp_path):
    report = dn.Scenario.load(write(tmp_path)).run(out=tmp_path / "runs")
    lines = str(report).splitlines()
    assert lines[0] == "small: Three nodes"
    text = "\n".join(lines)
    for words in ("strongly contracting", "certified rate", "fitted rate", "3 ok", "error at most", "pass  certified",
                  "wanted at least 0.1", f"{report.folder}/"):  # fmt: skip
        assert words in text, text
    assert max(map(len, lines[:-2])) <= 100
    assert render(read(report.folder), report.folder) == text
    assert "<pre>" in report._repr_html_() and repr(report).startswith("Report('small', 2 expectations, 0 failed")


def test_json_without_nan(tmp_path):
    report = dn.Scenario(model=MODEL, simulate={"t": 1.0}, expect={"fitted_rate": {"min": 0.0}}).run(out=None)
    data = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert data["expect"] == [{"quantity": "fitted_rate", "value": None, "wanted": "at least 0", "passed": False}]
    assert "FAIL  fitted_rate  none   wanted at least 0" in str(report)


def test_what_is_not_certified_is_not_called_so():
    report = dn.Scenario(model={**MODEL, "weight": 9.0}, certify={}, simulate={"t": 1.0}).run(out=None)
    text = str(report)
    assert "not shown to be contracting" in text and "why not" in text and "certified rate" not in text
    assert report.numbers["certified"] is False


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "with a file report.json"), ("{", "a readable report.json"), ("[]", "a report.json of format"),
     ('{"format": "dynet-report", "version": 99}', "version 1")],
)  # fmt: skip
def test_folders_without_a_report(content, expected, tmp_path):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(ArgumentError, match=expected):
        read(tmp_path)
