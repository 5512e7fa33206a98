"""How long the kinds beyond strong contraction take: search, check in directed rounding, exact check. Prints a table.

Run: ``python tests/bench/bench_kinds.py``
"""

import time

import numpy as np

import dynet as dn
from dynet.certify import gains


def averaging(n, seed=0):
    """Couplings in eighths, so that the rows of the Laplacian sum to zero exactly."""
    W = np.random.default_rng(seed).integers(1, 9, (n, n)) / 8.0
    np.fill_diagonal(W, 0.0)
    return dn.models.Lure(E=W - np.diag(W.sum(axis=1)), F=np.zeros(n), G=np.ones(n))


def firing(n, seed=0):
    return dn.models.FiringRate(np.random.default_rng(seed).normal(0, 0.3 / n, (n, n)), activation="tanh")


def timed(call):
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def main():
    gain = np.random.default_rng(0).random((1000, 1000)) / 1000 - 2 * np.eye(1000)
    cases = [
        ("weak, averaging, n = 300", lambda: dn.certify(averaging(300), kind="weak"), True),
        ("semi, averaging, n = 100", lambda: dn.certify(averaging(100), kind="semi"), True),
        ("semi, averaging, n = 1000", lambda: dn.certify(averaging(1000), "inf", kind="semi"), False),
        ("k = 2, firing rate, n = 20", lambda: dn.certify(firing(20), 1, kind="k", order=2), True),
        ("k = 2, firing rate, n = 60", lambda: dn.certify(firing(60), 1, kind="k", order=2), False),
        ("gain matrix, 1000 parts", lambda: gains(gain), True),
    ]
    print(f"{'case':<30}{'kind':<8}{'search':>10}{'check':>10}{'exact':>10}")
    for name, make, exact in cases:
        found, search = timed(make)
        _, check = timed(found.check)
        proof = f"{timed(lambda found=found: found.check(exact=True))[1]:.3f} s" if exact else "-"
        print(f"{name:<30}{found.kind:<8}{search:>8.3f} s{check:>8.3f} s{proof:>10}")


if __name__ == "__main__":
    main()
