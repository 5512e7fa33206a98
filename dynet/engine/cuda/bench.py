"""Everything that a machine with a GPU must tell, in one run of less than eight minutes.

``python -m dynet.engine.cuda.bench --json FILE`` probes versions and the device, measures the bandwidth of copies and what
``mma.sync`` can do at best, compares the kernels with float64 on fresh random data of ragged sizes, and times these problems
against whatever of PyTorch, CuPy, JAX and diffrax is installed (:mod:`.peers`):

== =========================================================================================================
A  Euler, n = 100, a million trajectories, 100 steps, end states; float32 grade; A' the same in tf32
B  rk4, the same
C  A with 4,096 trajectories
D  an implicit layer, n = 100, half a million samples, to 1e-5
E  the Lorenz system, a million trajectories, steps of their own, to rtol 1e-5
F  A with every tenth state stored, 100,000 trajectories
== =========================================================================================================

Times are medians over runs on data that lies on the device, by the device's clock, after a warm-up. Beside each stands the
error with respect to float64 of a sample of trajectories. A ratio is a peer's time over ours in the same precision class.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from ...errors import DeviceError
from . import devices, require

__all__ = ["main"]

N, SECONDS = 100, 440.0
RAGGED = ((16, 1, "euler"), (33, 37, "heun"), (100, 1001, "rk4"), (128, 333, "euler"), (150, 65, "euler"))
_RANDOM = np.random.default_rng(time.time_ns())  # fresh data in every run


def main(arguments=None):
    """Run it all; 0, or 2 where there is no device."""
    parser = argparse.ArgumentParser(prog="python -m dynet.engine.cuda.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where the numbers go")
    parser.add_argument("--scale", type=float, default=1.0, help="of the batches: 0.01 for a trial")
    given = parser.parse_args(arguments)
    try:
        require()
    except DeviceError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    result, start = {"started": time.strftime("%Y-%m-%dT%H:%M:%S")}, time.perf_counter()
    for name, work in (("versions", _versions), ("machine", _machine), ("correct", _correct), ("problems", _problems)):
        try:
            result[name] = work(given.scale, start)
        except Exception as error:  # one part that fails must not lose the others
            result[name] = {"error": f"{type(error).__name__}: {error}"}
        result["seconds"] = time.perf_counter() - start
        given.json.write_text(json.dumps(result, indent=1, default=float) + "\n", encoding="utf-8")
        print(f"{name}: {json.dumps(result[name], default=float)[:2000]}", flush=True)
    good = not any("error" in (part if isinstance(part, dict) else {}) for part in result.values())
    return 0 if good and result["correct"].get("passed") else 1


def timed(go, repeats=7):
    """Median milliseconds of a launch, by events of the device."""
    from .device import cuda

    go()
    cuda().synchronize()
    found = []
    for _ in range(repeats):
        start, stop = cuda().event(), cuda().event()
        start.record()
        go()
        stop.record()
        stop.synchronize()
        found.append(cuda().event_elapsed_time(start, stop))
    return float(np.median(found))


class Clock:
    """What kernels call instead of launching once."""

    def __init__(self):
        self.cold = self.milliseconds = None

    def __call__(self, go):
        from .device import cuda

        start = time.perf_counter()
        go()
        cuda().synchronize()
        self.cold = time.perf_counter() - start
        self.milliseconds = timed(go)


def _versions(scale, start):
    from importlib.metadata import PackageNotFoundError, version

    found = {"devices": devices(), "python": sys.version.split()[0]}
    for name in (
        "numba",
        "numba-cuda",
        "nvidia-nvvm",
        "cuda-core",
        "torch",
        "cupy-cuda13x",
        "jax",
        "diffrax",
        "triton",
        "cubie",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _machine(scale, start):
    """Bandwidth of a copy; the rate of ``mma.sync`` alone, and within a long run of a small field."""
    from . import tensor
    from .device import cuda, launch, properties

    size = int(2**28 * min(1.0, scale * 10))
    a, b = cuda().device_array(size, np.float32), cuda().device_array(size, np.float32)
    found = {"copy_TB_s": 8e-9 * size / timed(lambda: b.copy_to_device(a)), "processors": properties.processors()}
    blocks = 4 * properties.processors()
    for precision in ("tf32", "bf16", "float64"):
        kernel, work = tensor.burner(precision)
        real = np.float64 if precision == "float64" else np.float32
        x, turns = cuda().to_device(np.full((16 * 8 * blocks, 64), 1e-3, real)), 20_000
        milliseconds = timed(lambda: launch(kernel, blocks, 256)(x, np.int32(turns)))  # noqa: B023  (called at once)
        found[f"mma_{precision}_TFLOP_s"] = 1e-9 * work * 8 * blocks * turns / milliseconds
        steps, batch = 2000, 16 * 8 * properties.processors()
        milliseconds = _lure(64, batch, steps, "euler", precision, activation="identity")["milliseconds"]
        found[f"integrator_{precision}_TFLOP_s"] = 2e-9 * 64 * 64 * batch * steps / milliseconds
    return found


def field(n, activation="tanh"):
    """A contracting firing-rate network."""
    from .plan import INSIDE, Plan

    one = np.ones(n)
    return Plan(INSIDE, _RANDOM.standard_normal((n, n)) * 0.9 / np.sqrt(n), -one, one, one, activation, 0.0)


def _lure(n, batch, steps, method, precision, activation="tanh", every=None):
    """Time of one problem, and the error of 64 of its trajectories."""
    from .lure import Call, integrate

    plan, x0 = field(n, activation), _RANDOM.standard_normal((batch, n)).astype(np.float32)
    u, dt = _RANDOM.standard_normal(n), 0.05
    marks = np.array([steps]) if every is None else np.arange(every, steps + 1, every)
    call = Call(plan, method, precision, x0, u[None, None], np.zeros((1, 1, n)), dt, dt, steps, marks, np.zeros(len(marks)),
                np.zeros((0, len(marks), n)), False)  # fmt: skip
    clock = Clock()
    x, _, failed, name = integrate(call, clock if n <= 128 else None)  # larger ones may be many launches
    exact = reference(plan, x0[:64].astype(float), u, dt, steps, method)
    error = np.linalg.norm(x[:64, -1] - exact) / np.linalg.norm(exact)
    return {"milliseconds": clock.milliseconds, "cold_s": clock.cold, "error": error, "kernel": name,
            "failed": int(failed.sum()), "unwritten": int(np.isnan(x).sum()), "data": (plan, x0, u, dt)}  # fmt: skip


def reference(plan, x, u, dt, steps, method):
    """The same steps in float64, in NumPy."""

    def rate(y):
        z = y @ plan.M.T + u
        return -y + (np.tanh(z) if plan.activation == "tanh" else np.maximum(z, 0) if plan.activation == "relu" else z)

    for _ in range(steps):
        k1 = rate(x)
        if method == "euler":
            x = x + dt * k1
        elif method == "heun":
            x = x + dt / 2 * (k1 + rate(x + dt * k1))
        else:
            k2 = rate(x + dt / 2 * k1)
            k3 = rate(x + dt / 2 * k2)
            x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + dt * k3))
    return x


def _correct(scale, start):
    """Ragged batches and sizes, in every precision: each state written, and as near as promised."""
    from .fragments import ERRORS

    cases, passed = [], True
    for precision, bound in ERRORS.items():
        for n, batch, method in (
            (16, 1, "euler"),
            (33, 37, "heun"),
            (100, 1001, "rk4"),
            (128, 333, "euler"),
            (150, 65, "euler"),
        ):
            if n > 128 and precision in ("tf32", "bf16"):
                continue
            limit = 1e-12 if precision == "float64" else 20 * bound
            try:
                found = _lure(n, batch, 20, method, precision)
                good = found["error"] <= limit and not found["unwritten"] and not found["failed"]
            except Exception as error:  # noqa: BLE001  (reported)
                found, good = {"error": f"{type(error).__name__}: {error}", "kernel": None}, False
            passed &= good
            cases.append({"n": n, "batch": batch, "method": method, "precision": precision, "error": found["error"],
                          "limit": limit, "kernel": found["kernel"], "good": good})  # fmt: skip
    layer = _layer(1003, "float32")
    passed &= layer["error"] <= 1e-4 and layer["bad"] == 0
    lorenz = _lorenz(997, "float64")
    passed &= lorenz["error"] <= 1e-4 and lorenz["bad"] == 0
    return {"passed": bool(passed), "cases": cases, "layer": _plain(layer), "lorenz": _plain(lorenz)}


def _layer(batch, precision):
    from . import equilibria

    plan = field(N, "relu")
    plan = plan._replace(M=plan.M * 0.8 / np.abs(plan.M).sum(axis=1).max())
    u = _RANDOM.standard_normal((batch, N)).astype(np.float32)
    clock = Clock()
    found = equilibria.solve(equilibria.absorbed(plan), u, np.zeros(N), np.zeros((batch, N)), alpha=1.0, scale=np.ones(N),
                             kind=np.inf, tol=2e-6, limit=1000, patience=200, precision=precision, timer=clock)  # fmt: skip
    x = np.zeros((64, N))
    for _ in range(400):
        x = np.maximum(x @ plan.M.T + u[:64], 0)
    return {"milliseconds": clock.milliseconds, "cold_s": clock.cold, "error": np.abs(found.x[:64] - x).max(),
            "bad": int((found.status != 0).sum()), "iterations": float(found.iterations.mean()),
            "kernel": found.executor, "data": (plan, u)}  # fmt: skip


_LORENZ = """
def _field(t, x, y, z, a, b, c):
    return a * (y - x), x * (b - z) - y, x * y - c * z
"""


def _lorenz(batch, precision):
    from ..forms import FunctionForm
    from ..methods import Task
    from . import ensembles

    y0 = _RANDOM.standard_normal((batch, 3))
    p = np.tile([10.0, 28.0, 8.0 / 3.0], (batch, 1))
    p[:, 1] = _RANDOM.uniform(5.0, 28.0, batch)
    task = Task(None, None, "dopri5", y0, p, 0.0, 1.0, np.array([1.0]), 1e-5, 1e-6, None, 100_000, 1, np.zeros(2), {})
    clock = Clock()
    found = ensembles.integrate(task, FunctionForm(_LORENZ, 3, 3), precision, clock)
    from scipy.integrate import solve_ivp

    errors = []
    for i in range(16):

        def rhs(t, x, row=p[i]):
            return [row[0] * (x[1] - x[0]), x[0] * (row[1] - x[2]) - x[1], x[0] * x[1] - row[2] * x[2]]

        exact = solve_ivp(rhs, (0, 1), y0[i], method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
        errors.append(np.abs(found.x[i, -1] - exact).max() / np.abs(exact).max())
    return {"milliseconds": clock.milliseconds, "cold_s": clock.cold, "error": max(errors),
            "bad": int((found.status > 0).sum()), "steps": float(found.accepted.mean()),
            "kernel": found.executor, "data": (y0, p)}  # fmt: skip


def _plain(found):
    return {key: value for key, value in found.items() if key != "data"}


def _problems(scale, start):
    from . import peers

    million = max(64, int(1e6 * scale))
    problems = {
        "A": lambda: _lure(N, million, 100, "euler", "float32"),
        "A'": lambda: _lure(N, million, 100, "euler", "tf32"),
        "B": lambda: _lure(N, million, 100, "rk4", "float32"),
        "C": lambda: _lure(N, 4096, 100, "euler", "float32"),
        "D": lambda: _layer(million // 2, "float32"),
        "E": lambda: _lorenz(million, "float32"),
        "F": lambda: _lure(N, million // 10, 100, "euler", "float32", every=10),
    }
    table = {}
    for name, work in problems.items():
        if time.perf_counter() - start > SECONDS:
            table[name] = {"left out": "the time was over"}
            continue
        ours = work()
        table[name] = {"dynet": _plain(ours)}
        for peer, found in peers.run(name, ours["data"], timed, SECONDS - (time.perf_counter() - start)):
            if "milliseconds" in found:
                found["ratio"] = found["milliseconds"] / ours["milliseconds"]
            table[name][peer] = found
    return table


if __name__ == "__main__":
    sys.exit(main())
