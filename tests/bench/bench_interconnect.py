"""What an interconnection costs beside its parts: nanoseconds per trajectory and right-hand side.

python tests/bench/bench_interconnect.py
"""

import sys
import time
from pathlib import Path

import numpy as np
from numba import njit, types

sys.path.insert(0, str(Path(__file__).parents[2]))
import dynet as dn  # noqa: E402
from dynet.engine.block import RHS_TYPE  # noqa: E402

_real, _row = types.float64[:, ::1], types.float64[::1]


@njit(types.void(RHS_TYPE, types.int64, _row, _real, _real, _row, types.int64[::1], _real, _real))
def _repeat(f, count, t, y, p, reals, ints, work, out):
    for _ in range(count):
        f(t, y, p, reals, ints, work, out)


def seconds(field, lanes, count):
    block = field.block(field.input)
    p = np.tile(field.parameter_vector()[:, None], (1, lanes))
    y = np.random.default_rng(0).normal(size=(field.n, lanes))
    data = np.zeros(lanes), y, p, block.reals, block.ints, np.zeros((block.work_rows, lanes)), np.zeros_like(y)
    best = np.inf
    for _ in range(7):
        start = time.perf_counter()
        _repeat(block.function, count, *data)
        best = min(best, time.perf_counter() - start)
    return best / count / lanes * 1e9


def main():
    rng = np.random.default_rng(0)
    small = {
        "lorenz": dn.models.Lorenz(),
        "chua": dn.models.Chua(),
        "thomas": dn.models.Thomas(),
    }
    middle = {f"net{k}": dn.models.FiringRate(rng.normal(size=(50, 50)) / 20) for k in range(4)}
    many = {f"osc{k}": dn.models.Lorenz() for k in range(50)}
    sparse = {f"grid{k}": dn.models.Kuramoto(_graph(2000, 5, k)) for k in range(3)}
    print(f"{'parts':34} {'lanes':>6} {'parts ns':>10} {'whole ns':>10} {'links ns':>10} {'whole / parts':>14}")
    for title, parts in (("3 of 3 states", small), ("4 firing-rate nets of 50", middle), ("50 of 3 states", many),
                         ("3 phase networks of 2000", sparse)):  # fmt: skip
        names = list(parts)
        n = [parts[k].n for k in names]
        links = {
            (a, b): _link(n[i - 1], n[i]) for i, (a, b) in enumerate(zip([names[-1], *names], names, strict=False))
        }
        bare, whole = dn.interconnect(parts, {}), dn.interconnect(parts, links)
        for lanes in (1, 16, 128):
            count = max(1, int(2e7 / (sum(n) * lanes * 10)))
            own = sum(seconds(m, lanes, count) for m in parts.values())
            joined, linked = seconds(bare, lanes, count), seconds(whole, lanes, count)
            print(f"{title:34} {lanes:6d} {own:10.1f} {linked:10.1f} {linked - joined:10.1f} {linked / own:14.2f}")
    print("\na whole run (rk4, 1,000 steps, 200 trajectories, one thread): seconds")
    for title, parts in (("3 of 3 states", small), ("4 firing-rate nets of 50", middle)):
        names = list(parts)
        links = {(names[0], names[1]): 0.01 * np.ones((parts[names[1]].n, parts[names[0]].n))}
        whole = dn.interconnect(parts, links)
        x0 = rng.normal(size=(200, whole.n))
        options = {"dt": 0.002, "save": "last", "executor": "block", "threads": 1}
        pieces = 0.0
        for name, model in parts.items():
            first = whole.starts[name]
            pieces += _run(model, x0[:, first : first + model.n], options)
        joined = _run(whole, x0, options)
        print(f"{title:34} parts {pieces:.3f}   whole {joined:.3f}   ratio {joined / pieces:.2f}")


def _link(source, to):
    from scipy.sparse import coo_array

    k = min(source, to)
    return coo_array((np.full(k, 0.1), (np.arange(k), np.arange(k))), shape=(to, source)).tocsr()


def _graph(n, k, seed):
    import networkx as nx

    return nx.watts_strogatz_graph(n, 2 * k, 0.1, seed=seed)


def _run(model, x0, options):
    dn.simulate(model, x0, 0.01, **options)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        dn.simulate(model, x0, 2.0, **options)
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
