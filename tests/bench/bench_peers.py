"""Six problems against every other program that can be imported, in one process: time, ratio, share of the limit.

Run on a quiet machine, held to one core: ``taskset -c 1 python tests/bench/bench_peers.py [a b c d e f]``; with
``--threads 2`` and two cores it shows instead what a second core gives dynet on a, c and d. A time is the least of a few
repetitions by the wall clock, after one call that compiles; a long fixed-step problem is measured over part of its steps.
Peers: scipy always; heyoka, diffrax (JAX), torch and torchdiffeq, numbalsoda, scikit-sundae where they are installed.

The limits are the arithmetic of the problem at the speed of this core: 280 operations a step of the Lorenz problem at the
speed of a matrix product; a sine and a cosine of 0.9 ns a node and stage, 0.5 ns a pair; 1 ns for each visit of an edge;
the matrix products alone for the firing-rate network.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))

import numpy as np
from scipy.integrate import solve_ivp

import dynet as dn
from tests.bench import bench_ensembles, bench_networks, bench_stiff


def has(name):
    return importlib.util.find_spec(name) is not None


def least(work, repeats=5):
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peak(kind=np.float64):
    """Operations a second of a matrix product."""
    a = np.random.default_rng(0).normal(size=(768, 768)).astype(kind)
    return 2 * 768**3 / least(lambda: a @ a)


def table(title, rows, limit=None, target=None):
    """Rows (program, seconds, error or None); the first is dynet's and the measure of all."""
    base = rows[0][1]
    bounds = ", ".join(
        f"{word} {1e3 * value:.3g} ms" for word, value in (("limit", limit), ("target", target)) if value
    )
    print(f"\n{title}" + (f"  ({bounds})" if bounds else ""))
    for program, seconds, error in rows:
        share = f"{100 * limit / seconds:4.0f} % of the limit" if limit and program.startswith("dynet") else ""
        error = "" if error is None else f"{error:9.1e}"
        print(f"  {program:<52} {1e3 * seconds:11.3f} ms {error:>10} {seconds / base:8.2f} x  {share}", flush=True)


def a():
    model, y0 = dn.models.Lorenz(), bench_ensembles.starts()
    few = y0[:64]
    exact = np.array([
        solve_ivp(bench_ensembles.lorenz_rhs, (0, 2), y, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1] for y in few
    ])  # fmt: skip
    scale, rows = np.abs(exact).max(), []

    def run(x0, end, method, rtol, executor):
        return dn.simulate(
            model, x0, end, method=method, executor=executor, rtol=rtol, atol=1e-3 * rtol, save="last", threads=1
        )

    for method, rtol, executor in (
        ("dopri5", 1e-6, "fused"), ("dopri5", 1e-6, "block"), ("vern7", 1e-9, "fused"), ("dop853", 1e-10, "fused"),
    ):  # fmt: skip
        found = run(y0, 10.0, method, rtol, executor)
        taken = least(lambda: run(y0, 10.0, method, rtol, executor))  # noqa: B023 (called at once)
        error = np.abs(run(few, 2.0, method, rtol, executor).final - exact).max() / scale
        if method == "dopri5" and executor == "fused":
            limit = (found.stats["accepted"] + found.stats["rejected"]) * 280 / peak()
        rows.append((f"dynet {method}, rtol {rtol:g}, {executor}", taken, error))
    if has("heyoka"):
        rows += [(f"heyoka, tol {tol:g}", bench_ensembles._heyoka(y0, tol), None) for tol in (1e-6, 1e-9)]
    if has("diffrax"):
        rows.append(("diffrax Dopri5, vmap", bench_ensembles._diffrax(y0), None))
    if has("torchdiffeq"):
        import torch
        from torchdiffeq import odeint

        torch.set_num_threads(1)

        def field(t, y):
            x, y, z = y.unbind(1)
            return torch.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z], 1)

        start, ends = torch.tensor(y0), torch.tensor([0.0, 10.0], dtype=torch.float64)
        work = lambda: odeint(field, start, ends, rtol=1e-6, atol=1e-9, method="dopri5")  # noqa: E731
        rows.append(("torchdiffeq dopri5, one step size", least(work, 2), None))
    if has("numbalsoda"):
        rows.append(("numbalsoda dop853, one by one", _numbalsoda(y0), None))
    stacked = least(lambda: solve_ivp(bench_ensembles._stacked, (0, 10), y0.T.ravel(), rtol=1e-6, atol=1e-9), 2)
    rows.append(("scipy RK45, all stacked, one step size", stacked, None))
    table("a. Lorenz, 10,000 trajectories to t = 10, error at t = 2", rows, limit, 0.04)


def _numbalsoda(y0):
    from numba import cfunc, njit
    from numbalsoda import dop853, lsoda_sig

    @cfunc(lsoda_sig)
    def field(t, y, out, p):
        out[0] = 10.0 * (y[1] - y[0])
        out[1] = y[0] * (28.0 - y[2]) - y[1]
        out[2] = y[0] * y[1] - 8.0 / 3.0 * y[2]

    address, ends = field.address, np.array([0.0, 10.0])

    @njit
    def everyone(y0):
        for i in range(len(y0)):
            dop853(address, y0[i], ends, rtol=1e-6, atol=1e-9)

    return least(lambda: everyone(y0), 2)


def b(n=1000, strength=1.5):
    rng = np.random.default_rng(2)
    omega, start = rng.normal(0, 1, n), rng.uniform(0, 2 * np.pi, n)

    def sums(t, x, np=np):
        s, c = np.sin(x), np.cos(x)
        return omega + strength * (c * s.mean() - s * c.mean())

    exact = solve_ivp(sums, (0, 10), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]

    def error(x):
        return float(np.abs(np.asarray(x) - exact).max() / np.abs(exact).max())

    model, rows = dn.models.Kuramoto(n, omega, weight=strength / n), []
    run = lambda m=model: dn.simulate(m, start, 10.0, save="last", threads=1)  # noqa: E731
    calls = 6 * (run().stats["accepted"] + run().stats["rejected"])
    rows.append(("dynet, sums over the nodes", least(run, 30), error(run().final)))
    if has("diffrax"):
        import diffrax
        import jax

        jax.config.update("jax_enable_x64", True)
        control = diffrax.PIDController(rtol=1e-6, atol=1e-9)
        term = diffrax.ODETerm(lambda t, x, args: sums(t, x, jax.numpy))
        solve = jax.jit(lambda x: diffrax.diffeqsolve(
            term, diffrax.Dopri5(), 0.0, 10.0, None, x, stepsize_controller=control, max_steps=100_000
        ).ys[0])  # fmt: skip
        rows.append(("diffrax Dopri5", least(lambda: solve(start).block_until_ready()), error(solve(start))))
    work = lambda: solve_ivp(sums, (0, 10), start, rtol=1e-6, atol=1e-9)  # noqa: E731
    rows.append(("scipy RK45", least(work), error(work().y[:, -1])))
    table("b. Kuramoto, n = 1,000, all to all", rows, calls * n * 0.9e-9, 6e-4)
    pairs = dn.models.Network(
        n, bench_networks.phase, bench_networks.pair, params={"frequency": omega}, weight=strength / n
    )
    rows = [("dynet, pair by pair", least(lambda: run(pairs), 3), error(run(pairs).final))]
    if has("torch"):
        import torch

        torch.set_num_threads(1)
        x = torch.tensor(start)
        work = lambda: torch.sin(x[None] - x[:, None]).sum(1)  # noqa: E731
        rows.append(("torch, the right-hand sides alone", calls * least(work), None))
    work = lambda: np.sin(start - start[:, None]).sum(axis=1)  # noqa: E731
    rows.append(("numpy, the right-hand sides alone", calls * least(work), None))
    table("b. the same, pair by pair", rows, calls * n * n * 0.5e-9, 0.14)


def sparse_problem(n=100_000):
    A = bench_networks.small_world(n, 5, 0.1)
    rng = np.random.default_rng(4)
    return A, rng.normal(0, 1, n), rng.normal(0, 1, n)


def c(steps=50, h=0.01, strength=0.3):
    A, omega, start = sparse_problem()
    model = dn.models.Kuramoto(A, omega, weight=strength)
    factor = 1000 / steps
    ours = factor * least(lambda: dn.simulate(model, start, steps * h, dt=h, save="last", threads=1), 3)
    rows = [("dynet", ours, None)]
    if has("torch"):
        import torch

        torch.set_num_threads(1)
        index = [torch.tensor(np.asarray(v, np.int64)) for v in (A.indptr, A.indices)]
        matrix = torch.sparse_csr_tensor(*index, torch.tensor(A.data), size=A.shape)
        x, w = torch.tensor(start), torch.tensor(omega)

        def rhs(x):
            waves = torch.stack([torch.sin(x), torch.cos(x)], 1)
            sums = matrix @ waves
            return w + strength * (waves[:, 1] * sums[:, 0] - waves[:, 0] * sums[:, 1])

        rows.append(("torch, sparse product", 1000 * least(lambda: _rk4(rhs, x, h), 5), None))

    def rhs_numpy(x):
        s, q = np.sin(x), np.cos(x)
        return omega + strength * (q * (A @ s) - s * (A @ q))

    rows.append(("scipy, sparse products", 1000 * least(lambda: _rk4(rhs_numpy, start, h), 5), None))
    limit = 4000 * (A.nnz * 1e-9 + len(start) * 0.9e-9)
    table("c. Kuramoto, 100,000 nodes, 10^6 edges, 1,000 rk4 steps", rows, limit, 6.5)


def _rk4(rhs, x, h):
    k1 = rhs(x)
    k2 = rhs(x + h / 2 * k1)
    k3 = rhs(x + h / 2 * k2)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + rhs(x + h * k3))


def dense_problem(n=100, batch=10_000):
    rng = np.random.default_rng(5)
    return rng.normal(0, 1.5 / np.sqrt(n), (n, n)), rng.normal(0, 0.3, n), rng.normal(0, 1, (batch, n))


def d(steps=500, h=0.02):
    A, u, start = dense_problem()
    model = dn.models.FiringRate(A, input=u)
    for precision, target in (("float64", 10.5), ("float32", 5.4)):
        kind, fewer = np.dtype(precision).type, 5
        limit = 4e11 / peak(kind)
        run = lambda end, p=precision: dn.simulate(  # noqa: E731
            model, start, end, dt=h, save="last", threads=1, precision=p
        )
        run(h)
        begin = time.perf_counter()
        run(steps * h)  # the whole of it, once
        rows = [(f"dynet, {precision}", time.perf_counter() - begin, None)]
        W, v, x0 = (a.astype(kind) for a in (np.ascontiguousarray(A.T), u, start))
        if has("jax"):
            import jax

            jax.config.update("jax_enable_x64", True)
            B, w, z, half = (jax.numpy.asarray(a) for a in (W, v, x0, kind(h)))
            step = lambda i, x: _rk4(lambda y: jax.numpy.tanh(y @ B + w) - y, x, half)  # noqa: B023, E731
            solve = jax.jit(lambda x: jax.lax.fori_loop(0, fewer, step, x))  # noqa: B023
            taken = steps / fewer * least(lambda: solve(z).block_until_ready())  # noqa: B023
            rows.append((f"JAX, {precision}", taken, None))
        if has("torch"):
            import torch

            torch.set_num_threads(1)
            B, w, z = (torch.tensor(a) for a in (W, v, x0))
            rhs = lambda y: torch.tanh(torch.addmm(w, y, B)) - y  # noqa: B023, E731
            rows.append((f"torch, {precision}", steps * least(lambda: _rk4(rhs, z, h)), None))  # noqa: B023
        rhs = lambda y: np.tanh(y @ W + v) - y  # noqa: B023, E731
        rows.append((f"numpy, {precision}", steps * least(lambda: _rk4(rhs, x0, kind(h))), None))  # noqa: B023
        table(f"d. firing rate, n = 100, 10,000 trajectories, 500 rk4 steps, {precision}", rows, limit, target)


def e():
    """scipy's methods by bench_stiff; here what else is installed."""
    start = [1.0, 0, 0, 0, 0, 0, 0, 0.0057]
    bench_stiff.compare("e. Robertson to 1e5", bench_stiff.robertson, [1.0, 0, 0], 1e5, 1e-10, "45 us at 1e-7",
                        bench_stiff.robertson_numpy)  # fmt: skip
    bench_stiff.compare("e. HIRES", bench_stiff.hires, start, 321.8122, 1e-9, "150 us at 2e-6", bench_stiff.hires_numpy)
    bench_stiff.compare(
        "e. Brusselator, 1,000 states", bench_stiff.brusselator, bench_stiff.BRUSSELATOR_START, 10.0, 1e-9,
        "22 ms at 7e-6", bench_stiff.brusselator_numpy, bench_stiff.brusselator_jacobian, peers=("BDF",),
    )  # fmt: skip
    if has("sksundae"):
        _sundae(start)


def _sundae(start):
    from numba import njit
    from sksundae.cvode import CVODE

    pointers, columns, values = bench_stiff.POINTERS, bench_stiff.COLUMNS, bench_stiff.VALUES

    @njit
    def robertson(t, x, dx):
        p, q, r = 0.04 * x[0], 1e4 * x[1] * x[2], 3e7 * x[1] * x[1]
        dx[0], dx[1], dx[2] = q - p, p - q - r, r

    @njit
    def hires(t, y, d):
        d[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007
        d[1] = 1.71 * y[0] - 8.75 * y[1]
        d[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4]
        d[3] = 8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3]
        d[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6]
        q = 280.0 * y[5] * y[7]
        d[5] = -q + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6]
        d[6], d[7] = q - 1.81 * y[6], 1.81 * y[6] - q

    @njit
    def brusselator(t, x, dx):
        for i in range(500):
            a, b = 0.0, 0.0
            for q in range(pointers[i], pointers[i + 1]):
                a += values[q] * x[columns[q]]
                b += values[q] * x[500 + columns[q]]
            w = x[i] * x[i] * x[500 + i]
            dx[i], dx[500 + i] = 1.0 + w - 4.0 * x[i] - 50.0 * a, 3.0 * x[i] - w - 50.0 * b

    for name, rhs, y0, end, atol, options in (
        ("Robertson", robertson, np.array([1.0, 0, 0]), 1e5, 1e-10, {}),
        ("HIRES", hires, np.array(start), 321.8122, 1e-9, {}),
        ("Brusselator, GMRES", brusselator, bench_stiff.BRUSSELATOR_START, 10.0, 1e-9,
         {"linsolver": "gmres", "krylov_dim": 30}),
    ):  # fmt: skip
        solver = CVODE(rhs, method="BDF", rtol=1e-6, atol=atol, max_num_steps=100_000, **options)
        taken = least(lambda: solver.solve(np.array([0.0, end]), y0), 5)  # noqa: B023
        print(f"  scikit-sundae CVODE, {name:<25} {1e3 * taken:9.3f} ms", flush=True)


_START = {
    "dynet": """
import dynet as dn
@dn.vector_field(n=2, params={"a": 1.5, "b": 1.0, "c": 3.0, "d": %s})
def f(t, x, p, dx):
    dx[0] = p.a * x[0] - p.b * x[0] * x[1]
    dx[1] = p.d * x[0] * x[1] - p.c * x[1] + %s
dn.simulate(f, [10.0, 5.0], 15.0)
""",
    "scipy": """
import numpy as np
from scipy.integrate import solve_ivp
f = lambda t, x: np.array([1.5 * x[0] - x[0] * x[1], x[0] * x[1] - 3.0 * x[1]])
solve_ivp(f, (0, 15), [10.0, 5.0], rtol=1e-6, atol=1e-9)
""",
    "diffrax": """
import diffrax, jax
jax.config.update("jax_enable_x64", True)
f = lambda t, x, args: jax.numpy.stack([1.5 * x[0] - x[0] * x[1], x[0] * x[1] - 3.0 * x[1]])
control = diffrax.PIDController(rtol=1e-6, atol=1e-9)
diffrax.diffeqsolve(diffrax.ODETerm(f), diffrax.Dopri5(), 0.0, 15.0, None, jax.numpy.array([10.0, 5.0]),
                    stepsize_controller=control).ys.block_until_ready()
""",
    "heyoka": """
import heyoka as hy
x, y = hy.make_vars("x", "y")
hy.taylor_adaptive([(x, 1.5 * x - x * y), (y, x * y - 3.0 * y)], [10.0, 5.0], tol=1e-9).propagate_until(15.0)
""",
}


def f(repeats=7):
    """Whole processes, from the interpreter's start to the first result."""
    print("\nf. process start to first result, wall time: median and least (limits 0.5 s cached, 0.8 s new)")
    folder = os.path.join(os.path.dirname(__file__), "..", "..")
    environment = {**os.environ, "PYTHONPATH": os.path.abspath(folder)}

    def process(code):
        with tempfile.TemporaryDirectory() as room:  # a field needs its source, which lies in a file
            path = os.path.join(room, "run.py")
            with open(path, "w") as file:
                file.write(code)
            start = time.perf_counter()
            subprocess.run([sys.executable, path], check=True, env=environment)
            return time.perf_counter() - start

    for name, code in _START.items():
        if not has(name):
            continue
        for fresh in (False, True) if name == "dynet" else (False,):
            times = [
                process(
                    code % (1.0, f"{np.random.default_rng().random()} * x[1]" if fresh else "0.0")
                    if name == "dynet"
                    else code
                )
                for _ in range(repeats + 1)
            ][1:]
            label = f"{name}, {'a new model' if fresh else 'a cached model'}" if name == "dynet" else name
            print(f"  {label:<52} {np.median(times):8.3f} s {min(times):8.3f} s", flush=True)


def two_cores():
    """dynet on one and on two threads."""
    print("\nwhat a second core gives (target 1.85)")
    model, y0 = dn.models.Lorenz(), bench_ensembles.starts(40_000)
    A, omega, start = sparse_problem()
    network = dn.models.Kuramoto(A, omega, weight=0.3)
    W, u, x0 = dense_problem(batch=3840)
    dense, fixed = dn.models.FiringRate(W, input=u), {"save": "last", "dt": 0.02}
    for name, work in {
        "a, fused": lambda k: dn.simulate(model, y0, 10.0, save="last", executor="fused", threads=k),
        "a, block": lambda k: dn.simulate(model, y0, 10.0, save="last", executor="block", threads=k),
        "c": lambda k: dn.simulate(network, start, 0.5, dt=0.01, save="last", threads=k),
        "d, float64": lambda k: dn.simulate(dense, x0, 1.0, threads=k, **fixed),
        "d, float32": lambda k: dn.simulate(dense, x0, 1.0, threads=k, precision="float32", **fixed),
    }.items():
        one, two = (least(lambda k=k: work(k), 5) for k in (1, 2))  # noqa: B023
        print(f"  {name:<12} {1e3 * one:9.1f} ms {1e3 * two:9.1f} ms   {one / two:5.2f} x", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", choices=["a", "b", "c", "d", "e", "f", []])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if given.threads == 2:
        two_cores()
    else:
        for problem in given.problems or "abcdef":
            {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f}[problem]()
