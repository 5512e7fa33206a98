"""Speed of certificates: search, check in floats, check in rationals, on networks of growing size.

Run on a quiet machine: ``python tests/bench/bench_certify.py``. Prints the median of three repetitions of each part; the
limit is for the certificate with its check, of a firing-rate field of 100,000 nodes with 10 links each, all norms tried.
"""

import time

import numpy as np
import scipy.sparse as sp

REPEATS = 3
EXACT = 20_000  # largest n for which the rational check is timed by default


def seconds(work):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        value = work()
        times.append(time.perf_counter() - start)
    return value, float(np.median(times))


def network(n, links=10, seed=0):
    random = np.random.default_rng(seed)
    columns = random.integers(0, n, (n, links))
    values = random.normal(0, 0.12, columns.shape)
    return sp.csr_array((values.ravel(), (np.repeat(np.arange(n), links), columns.ravel())), shape=(n, n))


def grid(n):
    side = int(n**0.5)
    line = sp.diags_array([np.ones(side - 1), np.ones(side - 1)], offsets=[-1, 1])
    return 0.24 * sp.csr_array(sp.kron(line, sp.eye_array(side)) + sp.kron(sp.eye_array(side), line))


def main():
    import dynet as dn

    print(
        f"{'field':<26} {'n':>8} {'norm':>5} {'build':>8} {'certify':>8} {'check':>8} {'exact':>8}  seconds; rate, gap"
    )
    for n in (1_000, 10_000, 100_000):
        for name, kind, coupling in (
            ("FiringRate, 10 links", dn.models.FiringRate, network(n)),
            ("Hopfield, 10 links", dn.models.Hopfield, network(n)),
            ("FiringRate, grid", dn.models.FiringRate, grid(n)),
        ):
            model, built = seconds(lambda kind=kind, coupling=coupling: kind(coupling))
            for norm in (None, 1, 2, "inf"):
                found, taken = seconds(lambda model=model, norm=norm: dn.certify(model, norm))
                _, checked = seconds(found.check)
                exact = "-"
                if n <= EXACT or (norm is None and name.startswith("FiringRate, 10")):
                    start = time.perf_counter()
                    assert found.check(exact=True) == bool(found)
                    exact = f"{time.perf_counter() - start:8.2f}"
                gap = found.bounds[1] - found.bounds[0]
                beside = f"{found.rate:.6f}, {gap:.1e}"
                if norm is None and n == 100_000 and name.startswith("FiringRate, 10"):
                    beside += f"   limit 2 for certify + check: {'ok' if taken + checked <= 2 else 'MISSED'}"
                print(f"{name:<26} {model.n:>8} {norm or 'all':>5} {built:8.3f} {taken:8.3f} {checked:8.3f} {exact:>8}  "
                      f"{beside}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
