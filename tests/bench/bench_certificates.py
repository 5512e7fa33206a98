"""Certificates: time to find them, to check them with directed rounding, and to check them in rational arithmetic.

Run on a quiet machine, held to one core: ``OMP_NUM_THREADS=1 taskset -c 1 python tests/bench/bench_certificates.py``. Prints
the least and the median of the repetitions, with the limit where there is one. Seconds are those of the processor, which
differ from those of the clock only where other programs run; the last line has the largest amount of memory that was used.
"""

import resource
import sys
import time

import numpy as np
import scipy.sparse as sp


def seconds(work, repeats):
    times, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return np.array(times), result


def show(what, values, limit=None, unit="s"):
    values = np.atleast_1d(values)
    beside = "" if limit is None else f"   limit {limit:g}: {'ok' if np.median(values) <= limit else 'MISSED'}"
    print(f"{what:<66} {values.min():9.4f} {np.median(values):9.4f}  {unit}{beside}", flush=True)


def network(n, degree, seed=0):
    """A random network of n nodes with `degree` links into each, whose firing-rate field contracts."""
    random = np.random.default_rng(seed)
    columns = random.integers(0, n, (n, degree), dtype=np.int32)
    values = random.normal(0, 0.15 / np.sqrt(degree), (n, degree))
    rows = np.repeat(np.arange(n, dtype=np.int32), degree)
    return sp.csr_array(sp.coo_array((values.ravel(), (rows, columns.ravel())), shape=(n, n)))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def dense(dn, n=1000):
    random = np.random.default_rng(0)
    A = random.normal(0, 0.5 / n, (n, n))
    show(f"optimal_weights, dense, n = {n}", seconds(lambda: dn.linalg.optimal_weights(A), 9)[0], 0.02)
    model = dn.models.FiringRate(A)
    for p in ("inf", 1, 2):
        taken, certificate = seconds(lambda p=p: dn.certify(model, norm=p), 5)
        show(f"certify, dense, n = {n}, p = {p} (rate {certificate.rate:.3f})", taken)
        show("    check", seconds(certificate.check, 5)[0], 0.1 if p == 2 else None)
    S = (A + A.T) / 2
    taken, certificate = seconds(lambda: dn.certify(dn.models.FiringRate(S * 20), norm=2), 3)
    show(f"certify, dense symmetric, n = {n}, full P (rate {certificate.rate:.3f})", taken)
    assert certificate.claim.kind == "quadratic", certificate
    show("    check", seconds(certificate.check, 5)[0], 0.1)


def sparse(dn, n, exact, limits):
    model = dn.models.FiringRate(network(n, 10))
    for p, repeats in (("inf", 3 if n <= 100_000 else 1), (1, 3 if n <= 100_000 else 1)):
        taken, certificate = seconds(lambda p=p: dn.certify(model, norm=p), repeats)
        gap = (certificate.bounds[1] - certificate.bounds[0]) / abs(certificate.bounds[1])
        what = f"certify, {n:.0e} nodes of 10 links, p = {p} (rate {certificate.rate:.3f}, gap {gap:.0e})"
        show(what, taken, limits[0])
        checked, holds = seconds(certificate.check, repeats)
        assert holds and gap <= 1e-6
        show("    check", checked, limits[1])
        if limits[2] is not None:
            show("    found and checked", taken.min() + checked.min(), limits[2])
        if exact and p == "inf":
            show("    check(exact=True)", seconds(lambda c=certificate: c.check(exact=True), 1)[0], 30)


def symmetric(m=316):
    from dynet.linalg.definite import least_eigenvalue_bound

    line = sp.diags_array([np.full(m - 1, -1.0), np.full(m, 2.0), np.full(m - 1, -1.0)], offsets=[-1, 0, 1])
    S = sp.csr_array(sp.kron(line, sp.eye_array(m)) + sp.kron(sp.eye_array(m), line))
    least = 4 * (1 - np.cos(np.pi / (m + 1)))
    for method in ("dominance", "factors"):
        taken, (bound, witness) = seconds(lambda method=method: least_eigenvalue_bound(S, method), 1)
        show(f"least eigenvalue of a {m} x {m} grid by {method} (loss {least - bound:.0e})", taken)
        show("    check", seconds(lambda w=witness: w.bound(S), 3)[0])


def main():
    import dynet as dn

    print(f"{'':<66} {'least':>9} {'median':>9}")
    dense(dn)
    sparse(dn, 100_000, exact="quick" not in sys.argv, limits=(0.5, 0.05, None))
    symmetric()
    sparse(dn, 1_000_000, exact=False, limits=(None, None, 10))
    show("largest memory", peak(), 2, "GB")


if __name__ == "__main__":
    main()
