"""Implicit networks: forward solves, one training step and certified training steps, beside their targets.

Run on a quiet machine: ``OMP_NUM_THREADS=1 python tests/bench/bench_implicit.py``. Networks are random members of the
parametrisation that training uses (gamma 0), whose sweeps take as many iterations as those of trained ones.
"""

import time

import numpy as np

import dynet as dn
from dynet.implicit import intervals
from dynet.implicit.parametrize import WeightedInf
from dynet.implicit.passes import Passes


def best(function, repeats=7):
    """Seconds of the fastest run."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def line(name, seconds, target=None, more=""):
    goal = "" if target is None else f"target {target * 1e3:8.2f} ms  {'ok' if seconds <= target else 'MISSED'}"
    print(f"{name:62s} {seconds * 1e3:9.2f} ms  {goal} {more}")


def network(n, inputs, dtype=np.float64):
    net = dn.ImplicitNetwork.random(inputs, n, 10, gamma=0.0, seed=0)
    return dn.ImplicitNetwork(*(getattr(net, k).astype(dtype) for k in ("A", "B", "C", "b", "d")), weights=net.weights)


def true_residual(net, U, x):
    A, B, b = (net.exact(k) for k in ("A", "B", "b"))
    gap = np.abs(x - np.maximum(x @ A.T + U.astype(float) @ B.T + b, 0)).max(axis=1)
    return f"true residual {gap.max():.1e} (relative {gap.max() / np.abs(x).max():.1e})"


def forward():
    for n, batch, target in (
        (100, 10_000, 0.050),
        (1000, 128, 0.016),
        (100, 1, None),
        (1000, 1, None),
        (100, 128, None),
    ):
        U = np.random.default_rng(1).uniform(size=(batch, 784))
        net = network(n, 784)
        passes = net._passes("float64")
        inject, goals = passes.inject(U), np.full(batch, 1e-6)
        from dynet.engine import sweeps
        from dynet.implicit.solve import coarse_start

        def states(net=net, passes=passes, inject=inject, goals=goals):
            start, _ = coarse_start(net, inject, goals)
            return sweeps.run(passes._update, passes.panel("A"), passes._data, inject, start, goals=goals)

        line(f"n={n}, batch {batch}: states, residual 1e-6, float64", best(states), target,
             true_residual(net, U, states().x[:, :n]))  # fmt: skip
        line(
            f"n={n}, batch {batch}: states with certificate, B u included",
            best(lambda net=net, U=U: net.solve(U, 1e-6)),
        )
        line(f"n={n}, batch {batch}: outputs, B u included", best(lambda net=net, U=U: net(U, 1e-6)), target)
        small, V = network(n, 784, np.float32), U.astype(np.float32)
        single = small._passes("float32")
        x = single.forward(V, 1e-6, grain=1e-6).x.astype(float)
        line(f"n={n}, batch {batch}: outputs, B u included, float32", best(lambda net=small, U=V: net(U, 1e-6)), target,
             true_residual(small, V, x))  # fmt: skip


def training():
    random = np.random.default_rng(0)
    n, m, q, batch = 100, 784, 10, 100
    for dtype in ("float64", "float32"):
        family = WeightedInf(0.0)
        params = family.init(n, 0, np.dtype(dtype))
        B, C = (random.uniform(-1, 1, s).astype(dtype) / np.sqrt(s[1]).astype(dtype) for s in ((n, m), (q, n)))
        b, d = np.zeros(n, dtype), np.zeros(q, dtype)
        A, weights = family.build(params)
        passes = Passes(A, B, b, weights, dn.ImplicitNetwork.random(1, 1, 1).activation, dtype)
        U, labels = random.uniform(size=(batch, m)).astype(dtype), random.integers(0, q, batch)
        dY = random.normal(size=(batch, q)).astype(dtype)
        lo, hi = (np.clip(U + s * np.asarray(0.1, dtype), 0, 1).astype(dtype) for s in (-1, 1))

        def step(family=family, params=params, passes=passes, B=B, b=b, C=C, d=d, U=U, dY=dY):
            A, weights = family.build(params)
            passes.load(A, B, b, weights)
            state = passes.forward(U, 1e-5)
            state.x @ C.T + d
            nu, _ = passes.adjoint(state, dY @ C, 1e-5)
            return family.pull(params, passes.gradients(state, nu)[0])

        def certified(passes=passes, C=C, d=d, lo=lo, hi=hi, labels=labels, dY=dY):
            worst = intervals.worst_logits(passes, C, d, lo, hi, labels, 1e-4)
            return intervals.pull(passes, C, worst, dY, 1e-4)

        line(f"training step without Adam, n=100, batch 100, {dtype}", best(step, 50), 0.002)
        line(f"interval bounds and their gradients, {dtype}", best(certified, 50), 5 / 600 - 0.002)


if __name__ == "__main__":
    forward()
    training()
