"""Ensembles against other programs that are installed, at the same tolerance and in one process.

Run on a quiet machine, held to one core: ``taskset -c 1 python tests/bench/bench_ensembles.py``. A time is the least
of five repetitions in processor seconds, so that other work on the machine disturbs it little. Peers: scipy always;
diffrax and heyoka where they can be imported; ``bench_peers.py`` has more of them, and more problems.

The limit of the Lorenz problem is the number of floating-point operations of its steps at the speed of a matrix product on
this core.
"""

import importlib.util
import time

import numpy as np

BATCH, END = 10_000, 10.0
REPEATS = 5


def least(work):
    """Processor seconds of the fastest of five calls, after one that compiles."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def has(name):
    return importlib.util.find_spec(name) is not None


def peak():
    """Floating-point operations a second of a matrix product."""
    a = np.random.default_rng(0).normal(size=(768, 768))
    return 2 * 768**3 / least(lambda: a @ a)


def row(what, seconds, error=None, base=None, limit=None):
    error = "" if error is None else f"{error:10.1e}"
    ratio = "" if base is None else f"{seconds / base:8.1f} x"
    share = "" if limit is None else f"{100 * limit / seconds:6.0f} %"
    print(f"{what:<52} {1e3 * seconds:10.1f} ms {error:>10} {ratio:>10} {share:>8}", flush=True)


def lorenz_rhs(t, y):
    return np.array([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])


def starts(batch=BATCH):
    return np.array([1.0, 1.0, 20.0]) + np.random.default_rng(1).uniform(-8, 8, (batch, 3))


def lorenz():
    from scipy.integrate import solve_ivp

    import dynet as dn

    model, y0 = dn.models.Lorenz(), starts()
    few = y0[:64]
    exact = np.array([solve_ivp(lorenz_rhs, (0, 2), y, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1] for y in few])
    scale = np.abs(exact).max()

    def run(x0, end, method, rtol, executor):
        options = {"rtol": rtol, "atol": rtol * 1e-3, "save": "last", "threads": 1}
        return dn.simulate(model, x0, end, method=method, executor=executor, **options)

    print(f"Lorenz, {BATCH} trajectories to t = {END:g}; error at t = 2; ratio to the fused dopri5; share of the limit")
    speed, base = peak(), None
    for method, rtol in (("dopri5", 1e-6), ("tsit5", 1e-6), ("vern7", 1e-9), ("dop853", 1e-9)):
        for executor in ("fused", "block"):
            found = run(y0, END, method, rtol, executor)
            attempts = found.stats["accepted"] + found.stats["rejected"]
            taken = least(lambda: run(y0, END, method, rtol, executor))  # noqa: B023 (called at once)
            base = base or taken
            error = np.abs(run(few, 2.0, method, rtol, executor).final - exact).max() / scale
            limit = attempts * 280 / speed if method == "dopri5" else None
            row(
                f"dynet {method}, rtol {rtol:g}, {executor} ({1e9 * taken / attempts:.1f} ns a step)",
                taken,
                error,
                base,
                limit,
            )
    stacked = least(lambda: solve_ivp(_stacked, (0, END), y0.T.ravel(), method="RK45", rtol=1e-6, atol=1e-9))
    row("scipy RK45, all stacked, one step size", stacked, None, base)
    one = least(lambda: [solve_ivp(lorenz_rhs, (0, END), y, method="RK45", rtol=1e-6, atol=1e-9) for y in y0[:5]])
    row("scipy RK45, one by one (from 5)", one * BATCH / 5, None, base)
    if has("diffrax"):
        row("diffrax Dopri5, vmap", _diffrax(y0), None, base)
    if has("heyoka"):
        row("heyoka Taylor batch, tol 1e-6", _heyoka(y0, 1e-6), None, base)


def _stacked(t, y):
    a, b, c = y.reshape(3, -1)
    return np.concatenate([10.0 * (b - a), a * (28.0 - c) - b, a * b - 8.0 / 3.0 * c])


def _diffrax(y0):
    import diffrax
    import jax

    jax.config.update("jax_enable_x64", True)
    control = diffrax.PIDController(rtol=1e-6, atol=1e-9)

    def field(t, y, args):
        return jax.numpy.stack([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])

    def solve(y):
        term = diffrax.ODETerm(field)
        return diffrax.diffeqsolve(
            term,
            diffrax.Dopri5(),
            0.0,
            END,
            1e-3,
            y,
            stepsize_controller=control,
            max_steps=None,
            adjoint=diffrax.DirectAdjoint(),
        ).ys

    work = jax.jit(jax.vmap(solve))
    return least(lambda: work(y0).block_until_ready())


def _heyoka(y0, tolerance):
    import heyoka as hy

    x, y, z = hy.make_vars("x", "y", "z")
    equations = [(x, 10.0 * (y - x)), (y, x * (28.0 - z) - y), (z, x * y - 8.0 / 3.0 * z)]
    lanes = hy.recommended_simd_size()
    stepper = hy.taylor_adaptive_batch(equations, np.zeros((3, lanes)), tol=tolerance)

    def work():
        for i in range(0, len(y0) - lanes + 1, lanes):
            stepper.set_time(0.0)
            stepper.state[:] = y0[i : i + lanes].T
            stepper.propagate_until(END)

    return least(work)


def parameters():
    """Every trajectory with parameters of its own, and nothing stored but four numbers."""
    from scipy.integrate import solve_ivp

    import dynet as dn
    from dynet.engine import codegen

    model, x0 = dn.models.Lorenz(), starts()
    rho = np.linspace(5.0, 60.0, BATCH)
    options = {"save": 201, "threads": 1, "params": {"rho": rho}, "summary": ["min", "max", "mean", "last"]}
    taken = least(lambda: dn.simulate(model, x0, END, **options))
    before = len(codegen.loaded())
    dn.simulate(model, x0, END, **options | {"params": {"sigma": rho}})
    print(
        f"\nLorenz, {BATCH} values of rho, summaries of 201 times; {len(codegen.loaded()) - before} compiled by a sweep"
    )
    row("dynet", taken, None, taken)

    def scipy_one(r):
        def f(t, y):
            return np.array([10.0 * (y[1] - y[0]), y[0] * (r - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])

        return solve_ivp(f, (0, END), x0[0], method="RK45", rtol=1e-6, atol=1e-9, t_eval=np.linspace(0, END, 201))

    row("scipy RK45, one by one (from 5)", least(lambda: [scipy_one(r) for r in rho[::2000]]) * BATCH / 5, None, taken)


def accuracy():
    """Work and precision: processor time of one orbit of the Arenstorf problem against its error."""
    import dynet as dn

    mu = 0.012277471
    period, x0 = 17.0652165601579625588917206249, [0.994, 0.0, 0.0, -2.00158510637908252240537862224]

    @dn.vector_field(n=4, params={"m": mu})
    def arenstorf(t, x, p, dx):
        a = ((x[0] + p.m) ** 2 + x[1] ** 2) ** 1.5
        b = ((x[0] - 1.0 + p.m) ** 2 + x[1] ** 2) ** 1.5
        dx[0] = x[2]
        dx[1] = x[3]
        dx[2] = x[0] + 2 * x[3] - (1.0 - p.m) * (x[0] + p.m) / a - p.m * (x[0] - 1.0 + p.m) / b
        dx[3] = x[1] - 2 * x[2] - (1.0 - p.m) * x[1] / a - p.m * x[1] / b

    print("\nArenstorf orbit: error after one period, processor time of one trajectory, steps")
    for method in ("bs32", "dopri5", "tsit5", "vern7", "dop853"):
        for rtol in (1e-4, 1e-6, 1e-8, 1e-10, 1e-12):
            if method == "bs32" and rtol < 1e-8:
                continue

            def work(method=method, rtol=rtol):
                return dn.simulate(arenstorf, x0, period, method=method, rtol=rtol, atol=rtol, save="last")

            run = work()
            error = np.abs(run.final[:2] - x0[:2]).max()
            print(
                f"{method:<8} rtol {rtol:7.0e}  error {error:9.2e}  {1e6 * least(work):9.0f} us  {run.stats['accepted']:6d}"
            )


if __name__ == "__main__":
    lorenz()
    parameters()
    accuracy()
