"""Speed of the explicit methods and of the elementary functions, on one core.

Run on a quiet machine, held to one core: ``taskset -c 1 python tests/bench/bench_engine.py``. Prints the median and the
least of seven repetitions, with the limit where there is one. A step is counted per trajectory.
"""

import time

import numpy as np

BATCH = 10_000
REPEATS = 7
ELEMENTS = 4096  # three rows of them fit in the first-level cache


def seconds(work):
    """Of seven calls, after one that compiles."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return np.array(times)


def show(what, values, unit, limit=None):
    beside = "" if limit is None else f"   limit {limit:g}: {'ok' if np.median(values) <= limit else 'MISSED'}"
    print(f"{what:<58} {np.median(values):9.2f} {values.min():9.2f}  {unit}{beside}", flush=True)


def lorenz(model, y0, t1, **options):
    from dynet.engine.explicit import integrate

    p = np.tile(model.parameter_vector(), (len(y0), 1))
    block, save = model.block(), np.array([t1])
    return lambda: integrate(block, y0, p, 0.0, t1, save, **options)


def steppers():
    import dynet as dn

    model, y0 = dn.models.Lorenz(), np.random.default_rng(0).normal(size=(BATCH, 3)) + [0.0, 0.0, 20.0]
    options = {"rtol": 1e-6, "atol": 1e-9}
    work = lorenz(model, y0, 10.0, **options)
    found, taken = work(), seconds(work)
    attempts = (found.accepted + found.rejected).sum()
    what = f"dopri5, Lorenz, {BATCH} trajectories to t = 10, rtol 1e-6"
    show(f"{what}: accepted", taken / found.accepted.sum() * 1e9, "ns a step", 25)
    show(f"{what}: attempted", taken / attempts * 1e9, "ns a step")
    work = lorenz(model, y0, 1.0, method="rk4", dt=0.01)
    show(f"rk4, Lorenz, {BATCH} trajectories, 100 steps", seconds(work) / work().accepted.sum() * 1e9, "ns a step")

    work = lorenz(model, y0[:1], 200.0, **options)
    show("dopri5, Lorenz, one trajectory to t = 200", seconds(work) / work().accepted.sum() * 1e9, "ns a step")
    work = lorenz(model, y0[:1], 200.0, method="rk4", dt=0.01)
    show("rk4, Lorenz, one trajectory to t = 200", seconds(work) / work().accepted.sum() * 1e9, "ns a step")
    work = lorenz(model, y0[:1], 1e-3, **options)
    show("integrate(), one trajectory of a few steps", seconds(work) * 1e6, "us a call")
    show(
        "simulate(), one trajectory of a few steps", seconds(lambda: dn.simulate(model, y0[0], 1e-3)) * 1e6, "us a call"
    )


def functions():
    from numba import njit

    from dynet import math as fast

    def loop_of(f):
        @njit(fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
        def loop(x, out, count):
            for k in range(count):
                shift = 1e-9 * k  # so that no repetition can be left out
                for i in range(x.size):
                    out[i] = f(x[i] + shift)

        return loop

    @njit(fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
    def both(x, out, count):
        for k in range(count):
            shift = 1e-9 * k
            for i in range(x.size):
                s, c = fast.sincos(x[i] + shift)
                out[i] = s + c

    x, out, count = np.linspace(-5, 5, ELEMENTS), np.empty(ELEMENTS), 500
    loops = {"sincos": both} | {name: loop_of(getattr(fast, name)) for name in ("sin", "exp", "tanh", "logistic")}
    for name, loop in loops.items():
        taken = seconds(lambda loop=loop: loop(x, out, count))
        show(f"dynet.math.{name}, in a loop", taken / (count * ELEMENTS) * 1e9, "ns an element")


if __name__ == "__main__":
    print(f"{'':<58} {'median':>9} {'least':>9}")
    steppers()
    functions()
