"""Work and precision: time of one trajectory against its error, on two non-stiff and two stiff problems.

``python tests/bench/bench_precision.py [FILE.png]`` draws docs/images/work_precision.png. A time is the least processor time of
several calls of :func:`dynet.simulate` or of scipy's ``solve_ivp``; the error is the largest at the end, relative to the
largest state.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

import dynet as dn
from tests.bench.bench_stiff import hires, hires_numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dn.vector_field(n=4)
def two_bodies(t, x, p, dx):
    r = np.sqrt(x[0] * x[0] + x[1] * x[1])
    c = 1.0 / (r * r * r)
    dx[0] = x[2]
    dx[1] = x[3]
    dx[2] = -c * x[0]
    dx[3] = -c * x[1]


@dn.vector_field(n=4)
def arenstorf(t, x, p, dx):
    m = 0.012277471
    a = (x[0] + m) * (x[0] + m) + x[1] * x[1]
    b = (x[0] - 1.0 + m) * (x[0] - 1.0 + m) + x[1] * x[1]
    a = (1.0 - m) / (a * np.sqrt(a))
    b = m / (b * np.sqrt(b))
    dx[0] = x[2]
    dx[1] = x[3]
    dx[2] = x[0] + 2.0 * x[3] - a * (x[0] + m) - b * (x[0] - 1.0 + m)
    dx[3] = x[1] - 2.0 * x[2] - a * x[1] - b * x[1]


@dn.vector_field(n=2)
def van_der_pol(t, x, p, dx):
    dx[0] = x[1]
    dx[1] = 1000.0 * (1.0 - x[0] * x[0]) * x[1] - x[0]


def plain(field):
    """The same right-hand side for scipy, in Python numbers."""
    out, p = np.empty(field.n), None

    def rhs(t, x):
        field.function(t, x, p, out)
        return out.copy()

    return rhs


EXPLICIT, STIFF = ("bs32", "dopri5", "tsit5", "vern7", "dop853"), ("rodas5p", "bdf")
SCIPY = {True: ("Radau", "BDF", "LSODA"), False: ("RK45", "DOP853")}
PROBLEMS = {
    "two bodies, eccentricity 0.5, t = 200": (two_bodies, [0.5, 0.0, 0.0, np.sqrt(3.0)], 200.0, None, False),
    "restricted three bodies, one period": (
        arenstorf, [0.994, 0.0, 0.0, -2.00158510637908252240537862224], 17.0652165601579625588917206249, None, False,
    ),
    "HIRES (8 states)": (hires, [1.0, 0, 0, 0, 0, 0, 0, 0.0057], 321.8122, hires_numpy, True),
    "Van der Pol, rate 1,000": (van_der_pol, [2.0, 0.0], 2000.0, None, True),
}  # fmt: skip


def least(work, repeats):
    found = work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times), found


def measure(field, start, end, rhs, stiff):
    """A dict name -> list of (error, seconds)."""
    rhs, start = rhs or plain(field), np.array(start, float)
    tight = {"rtol": 1e-12, "atol": 1e-15} if stiff else {"rtol": 1e-13, "atol": 1e-14}
    method = "rodas5p" if stiff else "vern7"
    exact = start if field is arenstorf else dn.simulate(field, start, end, method=method, save="last", **tight).final

    def error(x):
        return float(np.abs(x - exact)[: 2 if field is arenstorf else None].max() / np.abs(exact).max())

    curves = {}
    tolerances = 10.0 ** -np.arange(3, 11)
    for name in STIFF if stiff else EXPLICIT:
        curve = curves[f"dynet {name}"] = []
        for rtol in tolerances[: 6 if name in ("bs32", "bdf") else 8]:
            options = {"rtol": rtol, "atol": rtol * (1e-4 if stiff else 1e-1), "method": name, "save": "last"}
            seconds, run = least(lambda o=options: dn.simulate(field, start, end, **o), 7)
            if run.ok:
                curve.append((error(run.final), seconds))
            print(f"{name:<8} rtol {rtol:.0e}  error {error(run.final):.1e}  {1e3 * seconds:9.3f} ms", flush=True)
    for name in SCIPY[stiff]:
        curve = curves[f"scipy {name}"] = []
        for rtol in tolerances[:6:2]:
            options = {"rtol": rtol, "atol": rtol * (1e-4 if stiff else 1e-1), "method": name}
            seconds, run = least(lambda o=options: solve_ivp(rhs, (0.0, end), start, **o), 1)
            if run.success:
                curve.append((error(run.y[:, -1]), seconds))
            print(f"{name:<8} rtol {rtol:.0e}  error {error(run.y[:, -1]):.1e}  {1e3 * seconds:9.3f} ms", flush=True)
    return curves


def draw(results):
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(2, 2).flat, results.items(), strict=True):
        for number, (name, curve) in enumerate(curves.items()):
            error, seconds = np.array(curve).T
            ours = name.startswith("dynet")
            axes.loglog(
                error, 1e3 * seconds, "o-" if ours else "s--", ms=4, lw=1.5 if ours else 1.0, label=name,
                color=f"C{number}" if ours else f"{0.3 + 0.15 * (number % 3)}",
            )  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.invert_xaxis()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        axes.set_xlabel("error at the end, relative")
        axes.set_ylabel("milliseconds")
    return figure


if __name__ == "__main__":
    found = {}
    for title, problem in PROBLEMS.items():
        print(title)
        found[title] = measure(*problem)
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "work_precision.png"
    draw(found).savefig(path, dpi=90)
    print(path)
