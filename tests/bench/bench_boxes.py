"""Certificates of users' functions on boxes, verified tubes and error bounds: time and tightness.

Run on a quiet machine: ``OMP_NUM_THREADS=1 python tests/bench/bench_boxes.py``. One line each: seconds on the wall and of
the processor (the best of three), the limit where there is one, and what came out.
"""

import math
import time

import numpy as np

import dynet as dn
from dynet.certify.falsify import falsify
from dynet.certify.function import confirm
from dynet.certify.tube import tube


@dn.vector_field(n=3, params={"k": 0.8 / 2.525168, "p": 10.0})
def goodwin(t, x, p, dx):
    dx[0] = p.k / (1.0 + x[2] ** p.p) - x[0]
    dx[1] = x[0] - x[1]
    dx[2] = x[1] - x[2]


@dn.vector_field(n=10, params={"w": 0.4})
def ring(t, x, p, dx):
    for i in range(10):
        dx[i] = -2.0 * x[i] + np.tanh(x[i]) + p.w * np.sin(x[(i + 1) % 10]) / (1.0 + x[i] ** 2)


@dn.vector_field(n=10, params={"A": np.random.default_rng(0).normal(size=(10, 10)) / 10})
def dense(t, x, p, dx):
    for i in range(10):
        s = 0.0
        for j in range(10):
            s += p.A[i, j] * x[j]
        dx[i] = -1.5 * x[i] + np.tanh(s)


@dn.vector_field(n=10)
def epidemic(t, x, p, dx):
    for i in range(10):
        dx[i] = 0.4 * (1.0 - x[i]) * (x[i - 1] + x[(i + 1) % 10]) - x[i]


def show(what, work, limit=None, say=lambda result: ""):
    wall, cpu, result = math.inf, math.inf, None
    for _ in range(3):
        start, before = time.perf_counter(), time.process_time()
        result = work()
        wall, cpu = min(wall, time.perf_counter() - start), min(cpu, time.process_time() - before)
    beside = "" if limit is None else f"  limit {limit:g}: {'ok' if wall <= limit else 'MISSED'}"
    print(f"{what:<52} {wall:8.3f} {cpu:8.3f}  s{beside}   {say(result)}", flush=True)
    return result


def bounds(cert):
    return f"osLip in [{cert.bounds[0]:.6f}, {cert.bounds[1]:.6f}], {cert.claim.structure.count} pieces"


def main():
    print(f"{'':<52} {'wall':>8} {'cpu':>8}")
    for field, region in ((ring, (np.full(10, -1.0), 1.0)), (dense, (np.full(10, -1.0), 1.0)),
                          (epidemic, (np.zeros(10), 1.0)), (goodwin, (np.zeros(3), 2.0))):  # fmt: skip
        for norm in ("inf", None):
            what = f"certify {field.name}, n = {field.n}, norm {norm}"
            cert = show(what, lambda f=field, p=norm, r=region: dn.certify(f, p, region=r), 2.0, bounds)
        show("  check", cert.check, say=str)
        show("  check in rationals", lambda c=cert: c.check(exact=True), say=str)
        if cert:
            show("  confirm from the function", lambda c=cert, f=field: confirm(c, f), say=str)
        show("  falsify", lambda c=cert, f=field: falsify(f, c), say=lambda found: found.status)
    for field, x0 in ((goodwin, np.ones(3)), (ring, np.linspace(-1, 1, 10))):
        region = (np.full(field.n, -2.0), 2.0) if field is ring else (np.zeros(field.n), 2.0)
        cert = dn.certify(field, "inf", region=region)
        show(f"simulate {field.name} to t = 10", lambda f=field, x=x0: dn.simulate(f, x, t=10.0))
        show("  with a proven error bound", lambda f=field, x=x0, c=cert: dn.simulate(f, x, t=10.0, certificate=c),
             say=lambda run: f"{run.error_status}, at most {np.max(run.error_bound):.2e}")  # fmt: skip
        show("  tube of a box", lambda f=field, x=x0: tube(f, (x - 0.1, x + 0.1), 10.0), say=str)


if __name__ == "__main__":
    main()
