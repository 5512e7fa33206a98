"""Stiff problems against scipy in one process, on one core: time, error, ratio.

Run on a quiet machine, held to one core: ``taskset -c 1 python tests/bench/bench_stiff.py``. The error is the largest
difference from a reference at the end, over the largest reference value. All methods have the same rtol and atol unless
the line says otherwise; scipy's right-hand sides are NumPy. Times are medians; the least is beside them.
"""

import time

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import bmat, coo_array, csr_array, diags_array

import dynet as dn
from dynet.engine import bdf, rosenbrock, sparse

NODES, DIFFUSION = 500, 50.0


def lattice():
    """The Laplacian of a ring lattice of degree 4 with a few shortcuts, and an initial state."""
    random = np.random.default_rng(6)
    i = np.repeat(np.arange(NODES), 2)
    j = (i + np.tile([1, 2], NODES)) % NODES
    moved = random.random(i.size) < 0.02
    j[moved] = random.integers(0, NODES, moved.sum())
    keep = i != j
    A = csr_array(coo_array((np.ones(keep.sum()), (i[keep], j[keep])), shape=(NODES, NODES)))
    A = csr_array(((A + A.T) > 0).astype(float))
    L = csr_array(diags_array(A.sum(axis=1)) - A)
    L.sort_indices()
    u = 1 + 0.5 * np.sin(2 * np.pi * np.arange(NODES) / NODES) + 0.2 * random.random(NODES)
    return L, np.concatenate([u, 3 + 0.2 * random.random(NODES)])


LAPLACIAN, BRUSSELATOR_START = lattice()
POINTERS, COLUMNS, VALUES = (np.array(a) for a in (LAPLACIAN.indptr, LAPLACIAN.indices, LAPLACIAN.data))


@dn.vector_field(n=3)
def robertson(t, x, p, dx):
    a = 0.04 * x[0]
    b = 1e4 * x[1] * x[2]
    c = 3e7 * x[1] * x[1]
    dx[0] = -a + b
    dx[1] = a - b - c
    dx[2] = c


@dn.vector_field(n=8)
def hires(t, y, p, d):
    d[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007
    d[1] = 1.71 * y[0] - 8.75 * y[1]
    d[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4]
    d[3] = 8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3]
    d[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6]
    q = 280.0 * y[5] * y[7]
    d[5] = -q + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6]
    d[6] = q - 1.81 * y[6]
    d[7] = -q + 1.81 * y[6]


@dn.vector_field(n=2 * NODES)
def brusselator(t, x, p, dx):
    for i in range(500):
        a = 0.0
        b = 0.0
        for q in range(POINTERS[i], POINTERS[i + 1]):
            a += VALUES[q] * x[COLUMNS[q]]
            b += VALUES[q] * x[500 + COLUMNS[q]]
        w = x[i] * x[i] * x[500 + i]
        dx[i] = 1.0 + w - 4.0 * x[i] - 50.0 * a
        dx[500 + i] = 3.0 * x[i] - w - 50.0 * b


def robertson_numpy(t, y):
    a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] * y[1]
    return np.array([-a + b, a - b - c, c])


def hires_numpy(t, y):
    a, b, c, d, e, f, g, h = y
    q = 280.0 * f * h
    return np.array(
        [
            -1.71 * a + 0.43 * b + 8.32 * c + 0.0007,
            1.71 * a - 8.75 * b,
            -10.03 * c + 0.43 * d + 0.035 * e,
            8.32 * b + 1.71 * c - 1.12 * d,
            -1.745 * e + 0.43 * f + 0.43 * g,
            -q + 0.69 * d + 1.71 * e - 0.43 * f + 0.69 * g,
            q - 1.81 * g,
            -q + 1.81 * g,
        ]
    )


def brusselator_numpy(t, y):
    u, v = y[:NODES], y[NODES:]
    w = u * u * v
    return np.concatenate([1.0 + w - 4.0 * u - DIFFUSION * (LAPLACIAN @ u), 3.0 * u - w - DIFFUSION * (LAPLACIAN @ v)])


def brusselator_jacobian(t, y):
    u, v = y[:NODES], y[NODES:]
    D = DIFFUSION * LAPLACIAN
    return bmat(
        [
            [diags_array(2 * u * v - 4.0) - D, diags_array(u * u)],
            [diags_array(3.0 - 2 * u * v), diags_array(-u * u) - D],
        ],
        format="csc",
    )


def timed(work, repeats):
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return result, np.array(times)


def compare(
    name, model, start, end, atol, target, numpy_rhs, jacobian=None, rtol=1e-6, peers=("Radau", "BDF", "LSODA")
):
    reference = solve_ivp(
        numpy_rhs, (0, end), start, "Radau", rtol=1e-9, atol=1e-3 * atol, **({"jac": jacobian} if jacobian else {})
    ).y[:, -1]
    y0, p, save = np.array([start], float), model.parameter_vector()[None], np.array([end])
    block = model.block(model.signal())
    small = model.n <= 48
    options = {"rtol": rtol, "atol": atol}
    pattern = None if small else sparse.probe(block, p[0])
    rows = []

    def ours(label, work, repeats):
        found, times = timed(work, repeats)
        x = found.x[0, -1] if found.x.ndim == 3 else found.final
        rows.append((label, times, x))

    if small:
        for factor in (1.0, 10.0):
            tolerance = {"rtol": factor * rtol, "atol": factor * atol}
            label = f"dynet rodas5p, engine, rtol {factor * rtol:g}"
            ours(label, lambda o=tolerance: rosenbrock.integrate(block, y0, p, 0.0, end, save, **o), 201)
    ours("dynet bdf, engine", lambda: bdf.integrate(block, y0, p, 0.0, end, save, pattern=pattern, **options), 21)
    if not small:
        krylov = options | {"linear": "krylov"}
        ours("dynet bdf, GMRES, engine", lambda: bdf.integrate(block, y0, p, 0.0, end, save, **krylov), 21)
    method = "rodas5p" if small else "bdf"
    ours(f"dynet simulate, {method}", lambda: dn.simulate(model, start, end, save="last", method=method, **options), 21)
    if small:
        many = np.repeat(y0, 1000, axis=0) * np.linspace(1, 1.001, 1000)[:, None]
        q = np.repeat(p, 1000, axis=0)
        found, times = timed(lambda: rosenbrock.integrate(block, many, q, 0.0, end, save, **options), 5)
        rows.append(("dynet rodas5p, each of 1,000 in lanes", times / 1000, found.x[0, -1]))
    for peer in peers:
        extra = {"jac": jacobian} if jacobian and peer != "LSODA" else {}
        done, times = timed(lambda m=peer, e=extra: solve_ivp(numpy_rhs, (0, end), start, m, **options, **e), 3)
        rows.append((f"scipy {peer}{', sparse Jacobian' if extra else ''}", times, done.y[:, -1]))

    fastest = min(np.median(times) for label, times, _ in rows if "dynet" in label and "1,000" not in label)
    print(f"\n{name}, rtol {rtol:g}, atol {atol:g}; target {target}")
    print(f"{'':<42} {'median':>10} {'least':>10}     error    times the fastest of ours")
    for label, times, x in rows:
        error = np.abs(x - reference).max() / np.abs(reference).max()
        print(
            f"{label:<42} {np.median(times) * 1e6:7.0f} us {times.min() * 1e6:7.0f} us   {error:.1e}"
            f"   {np.median(times) / fastest:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    compare("Robertson to 1e5", robertson, [1.0, 0, 0], 1e5, 1e-10, "45 us at 1e-7", robertson_numpy)
    start = [1.0, 0, 0, 0, 0, 0, 0, 0.0057]
    compare("HIRES", hires, start, 321.8122, 1e-9, "150 us at 2e-6", hires_numpy)
    compare(
        "Brusselator, 1,000 states", brusselator, BRUSSELATOR_START, 10.0, 1e-9, "22 ms at 7e-6", brusselator_numpy,
        brusselator_jacobian, peers=("Radau", "BDF"),
    )  # fmt: skip
