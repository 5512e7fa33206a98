"""Speed of networks and of dense Lur'e fields beside SciPy and NumPy, all in one process.

Run on a quiet machine, held to one core: ``taskset -c 1 python tests/bench/bench_networks.py``; without ``taskset`` and with
``--threads 2`` it shows what a second core gives. Prints the least of several repetitions and the ratio to the peer. The
problems:

b. Kuramoto, 1,000 oscillators all to all, t = 10, rtol 1e-6: by sums over the nodes, and pair by pair;
c. Kuramoto, 100,000 nodes and 10^6 directed edges (small world), rk4, per 1,000 steps;
d. firing rate, 100 nodes, 10,000 trajectories, rk4, per 500 steps;
and how long a model of 10^6 nodes and 10^7 edges takes to build.
"""

import argparse
import math
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csr_array

import dynet as dn

clock = time.perf_counter


def least(work, repeats):
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def show(what, ours, peer, unit, limit):
    mark = "ok" if ours <= limit else "MISSED"
    print(
        f"{what:<52} {ours:9.3f} {unit:<3} limit {limit:<7g} {mark:<7} peer {peer:9.3f}  {peer / ours:5.1f} x",
        flush=True,
    )


def small_world(n, half, rewired, seed=3):
    rng = np.random.default_rng(seed)
    i = np.repeat(np.arange(n), half)
    j = (i + np.tile(np.arange(1, half + 1), n)) % n
    moved = rng.random(i.size) < rewired
    j[moved] = rng.integers(0, n, moved.sum())
    keep = i != j
    A = csr_array((np.ones(keep.sum()), (i[keep], j[keep])), shape=(n, n))
    return ((A + A.T) > 0).astype(float)


def phase(t, x, s, p, dx):
    dx[0] = p.frequency + s[0]


def pair(x, y, p, s):
    s[0] = math.sin(1.0 * (y[0] - x[0]))  # the factor hides that the coupling is separable


def all_to_all(n=1000, strength=1.5):
    rng = np.random.default_rng(2)
    omega, start = rng.normal(0, 1, n), rng.uniform(0, 2 * np.pi, n)

    def rhs(t, x):
        s, c = np.sin(x), np.cos(x)
        return omega + strength * (c * s.mean() - s * c.mean())

    peer = least(lambda: solve_ivp(rhs, (0, 10), start, method="RK45", rtol=1e-6, atol=1e-9), 5)
    model = dn.models.Kuramoto(n, omega, weight=strength / n)
    ours = least(lambda: dn.simulate(model, start, 10.0, save="last"), 50)
    show("b. Kuramoto, n = 1,000, sums over the nodes", 1e3 * ours, 1e3 * peer, "ms", 0.6)
    model = dn.models.Network(n, phase, pair, params={"frequency": omega}, weight=strength / n)

    def rhs_pairs(t, x):
        return omega + strength / n * np.sin(x - x[:, None]).sum(axis=1)

    peer = 163 * least(lambda: rhs_pairs(0.0, start), 5)  # a full run would take seconds
    ours = least(lambda: dn.simulate(model, start, 10.0, save="last"), 5)
    show("b. the same, pair by pair", 1e3 * ours, 1e3 * peer, "ms", 140)


def sparse(threads, n=100_000, steps=100, h=0.01, strength=0.3):
    A = small_world(n, 5, 0.1)
    rng = np.random.default_rng(4)
    omega, start = rng.normal(0, 1, n), rng.uniform(0, 2 * np.pi, n)

    def rhs(x):
        s, c = np.sin(x), np.cos(x)
        return omega + strength * (c * (A @ s) - s * (A @ c))

    def step():
        a = rhs(start)
        b = rhs(start + h / 2 * a)
        c = rhs(start + h / 2 * b)
        return start + h / 6 * (a + 2 * b + 2 * c + rhs(start + h * c))

    peer = 1000 * least(step, 10)
    model = dn.models.Kuramoto(A, omega, weight=strength)
    ours = least(lambda: dn.simulate(model, start, steps * h, dt=h, save="last", threads=threads), 5) * 1000 / steps
    show(f"c. Kuramoto, {n:,} nodes, 1,000 steps, {threads} threads", ours, peer, "s", 6.5 if threads == 1 else 3.5)
    print(f"   {ours / 4000 / A.nnz * 1e9:.2f} ns per edge visit")


def firing_rate(threads, n=100, batch=960, steps=20, h=0.02):
    rng = np.random.default_rng(5)
    A, u = rng.normal(0, 1.5 / np.sqrt(n), (n, n)), rng.normal(0, 0.3, n)
    start = rng.normal(0, 1, (batch * threads, n))
    scale = 10_000 / len(start) * 500

    def rhs(x):
        return -x + np.tanh(x @ A.T + u)

    def step():
        a = rhs(start)
        b = rhs(start + h / 2 * a)
        c = rhs(start + h / 2 * b)
        return start + h / 6 * (a + 2 * b + 2 * c + rhs(start + h * c))

    peer = scale * least(step, 5)
    model = dn.models.FiringRate(A, input=u)
    ours = least(lambda: dn.simulate(model, start, steps * h, dt=h, save="last", threads=threads), 10) * scale / steps
    show(f"d. firing rate, n = 100, 10,000 x 500 steps, {threads} threads", ours, peer, "s", 10.5 / threads)


def build(n=1_000_000):
    A = small_world(n, 5, 0.1)
    started = time.perf_counter()
    dn.models.Kuramoto(A, np.zeros(n)).block()
    show("building Kuramoto of 10^6 nodes and 10^7 edges", time.perf_counter() - started, np.nan, "s", 10)
    case = Path(__file__).parents[2] / "scenarios/data/case118.m"
    started = time.perf_counter()
    dn.models.PowerGrid(case).block()
    show("building the swing equations of a 118-bus case", time.perf_counter() - started, np.nan, "s", 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu", action="store_true", help="count processor time: for one thread on a busy machine")
    given = parser.parse_args()
    threads, clock = given.threads, time.process_time if given.cpu else clock
    all_to_all()
    sparse(threads)
    firing_rate(threads)
    build()
