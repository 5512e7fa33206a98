"""The report of a run: every number, what was expected of it, where the files are; as an object, as JSON and as a table."""

from __future__ import annotations

import html
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ArgumentError

__all__ = ["Report", "read", "render"]

FORMAT, VERSION = "dynet-report", 1


@dataclass(frozen=True, eq=False)
class Report:
    """The result of :meth:`dynet.Scenario.run`; prints itself as a table.

    Attributes
    ----------
    scenario : Scenario
        As resolved: every default filled in.
    trajectory : Trajectory or None
    certificate : Certificate or None
    equilibrium : Equilibrium or None
    numbers : dict of str to float, int or bool
        What was measured, by the names that ``[expect]`` uses.
    expectations : tuple of Expectation
    seconds : dict of str to float
        Wall time of each stage, s.
    versions : dict of str to str
    digest : str
        Of the resolved scenario, the files that it reads, and dynet's version.
    folder : Path or None
        Where the files are; None for a run that writes none.
    files : tuple of str
        Relative to `folder`.
    study : dynet.implicit.study.Result or None
    notes : str
        What was found in the graph's file that one should know.
    """

    scenario: object
    trajectory: object | None
    certificate: object | None
    equilibrium: object | None
    numbers: dict
    expectations: tuple
    seconds: dict
    versions: dict
    digest: str
    folder: Path | None = None
    files: tuple = field(default=())
    study: object | None = None
    notes: str = ""

    @property
    def ok(self):
        """Whether every expectation holds."""
        return all(expectation.ok for expectation in self.expectations)

    def to_dict(self):
        """The report as plain values, as they stand in ``report.json``."""
        tables, trajectory, certificate = self.scenario.tables, self.trajectory, self.certificate
        data = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.scenario.name,
            "title": tables.title,
            "reference": tables.reference,
            "passed": self.ok,
            "numbers": {k: _finite(v) for k, v in self.numbers.items()},
            "expect": [
                {"quantity": e.name, "value": _finite(e.value), "wanted": e.wanted, "passed": bool(e.ok)}
                for e in self.expectations
            ],
        }
        if self.notes:
            data["notes"] = self.notes
        if certificate is not None:
            data["certificate"] = {
                "model": certificate.model,
                "status": certificate.status,
                "verdict": certificate.verdict(),
                "norm": None if certificate.norm is None else str(certificate.norm),
                "reason": certificate.reason,
            }
        if trajectory is not None:
            failed = [(i, s) for i, s in enumerate(trajectory.statuses) if not s.ok]
            stops = [trajectory.t_stop] if trajectory.batch is None else list(trajectory.t_stop)
            data["trajectories"] = {
                "statuses": dict(Counter(s.word for s in trajectory.statuses)),
                "failed": [
                    {"trajectory": i, "status": s.word, "t": _finite(float(stops[i])), "remedy": s.remedy}
                    for i, s in failed[:20]
                ],
            }
        if self.study is not None:
            data["study"] = {
                "table": str(self.study),
                "training": {name: f"{h.status}: {h.reason}" for name, h in self.study.histories.items()},
            }
        if self.equilibrium is not None:
            data["equilibrium"] = {
                "status": self.equilibrium.status.word,
                "certified": self.equilibrium.certified,
                "norm": str(self.equilibrium.norm),
                "method": self.equilibrium.method,
            }
        data.update(
            seed=tables.seed, seconds={k: round(v, 6) for k, v in self.seconds.items()}, versions=self.versions,
            digest=self.digest, files=list(self.files),
        )  # fmt: skip
        return data

    def to_json(self):
        """The report as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __str__(self):
        return render(self.to_dict(), self.folder)

    def __repr__(self):
        failed = sum(not e.ok for e in self.expectations)
        checks = f"{len(self.expectations)} expectations, {failed} failed"
        return f"Report({self.scenario.name!r}, {checks}, folder={str(self.folder)!r})"

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def _finite(value):
    """JSON has no nan or infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(folder):
    """The report of a run that was written to `folder`, as plain values.

    Raises
    ------
    ArgumentError
        For a folder without a readable report.
    """
    path = Path(folder, "report.json")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArgumentError("folder", str(folder), "the folder of a run, with a file report.json") from None
    except (OSError, ValueError) as error:
        raise ArgumentError("folder", str(folder), f"a readable report.json ({error})") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise ArgumentError("folder", str(folder), f"a report.json of format {FORMAT!r}, version {VERSION}")
    return data


def render(data, folder=None):
    """The table that a report prints, from the plain values of :meth:`Report.to_dict`; at most 80 columns where it can."""
    found = data["numbers"]
    lines = [f"{data['name']}: {data['title']}" if data["title"] else data["name"]]

    def row(name, text, note=""):
        lines.append(f"  {name:<19}{text}{'   ' if note else ''}{note}".rstrip())

    if data.get("notes"):
        row("graph", data["notes"])
    certificate = data.get("certificate")
    if certificate:
        from ..certify.explain import rate_text  # loading certificates takes a while

        row("certificate", f"{certificate['model']}, {found['nodes']} states: {certificate['verdict']}")
        if found.get("certified"):
            row("  norm", certificate["norm"])
            row("  certified rate", rate_text(found["rate"]), _gap(found))
        elif certificate["status"] == "certified":  # of differences, or of volumes: the verdict says which
            row("  norm", certificate["norm"])
            row("  its rate", rate_text(found["rate"]))
        else:
            row("  why not", certificate["reason"])
    elif "study" in data:
        lines += [f"  {line}" for line in data["study"]["table"].splitlines()]
        for name, ending in data["study"]["training"].items():
            row(name, f"{100 * found[f'{name}.accuracy']:.2f} % right", "" if ending.startswith("finished") else ending)
    else:
        row("states", found["nodes"])
    if "fitted_rate" in found:
        row("  fitted rate", number(found["fitted_rate"]), "of the largest distance between simulated pairs")
    if "trajectories" in data:
        words = ", ".join(f"{count} {word}" for word, count in data["trajectories"]["statuses"].items())
        row("trajectories", words, f"{found['steps']} steps, {found['rejected_steps']} rejected")
        for bad in data["trajectories"]["failed"][:3]:
            row("", f"number {bad['trajectory']}: {bad['status']} at t = {number(bad['t'])}")
        if data["trajectories"]["failed"]:
            row("", data["trajectories"]["failed"][0]["remedy"])
        if "final_distance" in found:
            row("  last distance", number(found["final_distance"]), "largest between pairs")
    if "equilibrium" in data:
        equilibrium = data["equilibrium"]
        proof = "certified" if equilibrium["certified"] else "not certified"
        if "equilibrium_error" in found:
            row("equilibrium", f"error at most {number(found['equilibrium_error'])} ({proof})",
                f"{found['equilibrium_iterations']} iterations, {equilibrium['method']}")  # fmt: skip
        else:
            row("equilibrium", f"residual {number(found['equilibrium_residual'])} (no bound on the error)")
        if equilibrium["status"] != "ok":
            row("", f"status {equilibrium['status']}")
    if data["expect"]:
        lines.append("  expected")
        cells = [(e["quantity"], number(e["value"]), e["wanted"], e["passed"]) for e in data["expect"]]
        widths = [max(len(cell[k]) for cell in cells) for k in range(3)]
        for quantity, value, wanted, passed in cells:
            verdict = "pass" if passed else "FAIL"
            lines.append(
                f"    {verdict}  {quantity:<{widths[0]}}  {value:>{widths[1]}}   wanted {wanted:<{widths[2]}}".rstrip()
            )
    parts = ", ".join(f"{k} {v:.2f}" for k, v in data["seconds"].items() if k != "total" and v >= 0.005)
    row("time", f"{data['seconds']['total']:.2f} s", f"({parts})" if parts else "")
    if folder is not None:
        row("files", f"{folder}/")
    return "\n".join(lines)


def _gap(found):
    """How far the rate may be from the best that any weights of the same p reach."""
    lower = found.get("osLip_lower")
    if lower is None:
        return ""
    best = -lower
    if best - found["rate"] <= 1e-6 * (1 + abs(best)):
        return "the best that any weights of this norm give"
    return f"no weights of this norm give more than {number(best)}"


def number(value):
    """A number in a few characters.

    >>> number(0.349736197), number(True), number(None), number(123456)
    ('0.349736', 'yes', 'none', '123456')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int) else f"{value:.6g}"
