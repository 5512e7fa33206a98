"""The same problems by other libraries, for :mod:`.bench`: each as its users would write it, on arrays on the device.

A peer that is not installed is left out; one that fails says how. Precision classes: PyTorch's strict float32 and JAX at
``highest`` stand beside float32, their tf32 beside tf32.
"""

from __future__ import annotations

import importlib
import time

import numpy as np

__all__ = ["run"]


def run(problem, data, timed, seconds):
    """Pairs (name of a peer, its numbers) for a problem of :mod:`.bench`; `timed` measures a function in milliseconds."""
    start = time.perf_counter()
    for peer, work in PEERS.items():
        if problem not in work.problems:
            continue
        if time.perf_counter() - start > seconds:
            yield peer, {"left out": "the time was over"}
            continue
        try:
            module = importlib.import_module(work.module)
        except ImportError:
            yield peer, {"left out": "not installed"}
            continue
        try:
            go, result = work(module, problem, data)
            yield peer, {"milliseconds": timed(go, 5), "error": _error(problem, data, result())}
        except Exception as error:  # noqa: BLE001  (reported beside the others)
            yield peer, {"failed": f"{type(error).__name__}: {error}"[:300]}


def _error(problem, data, found):
    """Of the first trajectories, with respect to float64."""
    from .bench import reference

    if problem in ("D", "E"):
        return None
    plan, x0, u, dt = data
    exact = reference(plan, x0[:64].astype(float), u, dt, 100, "rk4" if problem == "B" else "euler")
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def _peer(module, *problems):
    def mark(function):
        function.module, function.problems = module, problems
        PEERS[function.__name__.lstrip("_")] = function
        return function

    return mark


PEERS = {}


def _steps(problem, step, stored):
    """The loop over 100 steps that everybody writes; every tenth state is kept where the problem asks for it."""

    def loop(x):
        kept = []
        for number in range(100):
            x = step(x)
            if problem == "F" and number % 10 == 9:
                kept.append(x)
        return x if problem != "F" else stored(kept)

    return loop


def _torch_step(torch, problem, data):
    torch.backends.cuda.matmul.allow_tf32 = problem == "A'"
    put = lambda a: torch.tensor(np.asarray(a, np.float32), device="cuda")  # noqa: E731
    if problem == "D":
        plan, u = data
        A, u = put(plan.M.T), put(u)

        def solve(x):
            for _ in range(400):
                new = torch.relu(torch.addmm(u, x, A))
                if (new - x).abs().max() <= 2e-6:  # a look at the host in every iteration, as in a plain loop
                    return new
                x = new
            return x

        return solve, torch.zeros_like(u)
    plan, x0, u, dt = data
    A, u, x0 = put(plan.M.T), put(u), put(x0)
    rate = lambda x: torch.tanh(torch.addmm(u, x, A)) - x  # noqa: E731
    if problem == "B":

        def step(x):
            k1 = rate(x)
            k2 = rate(x + dt / 2 * k1)
            k3 = rate(x + dt / 2 * k2)
            return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + dt * k3))
    else:

        def step(x):
            return x + dt * rate(x)

    return _steps(problem, step, torch.stack), x0


def _final(problem, found):
    return found[-1] if problem == "F" else found


@_peer("torch", "A", "A'", "B", "C", "D", "F")
def torch_eager(torch, problem, data):
    loop, x0 = _torch_step(torch, problem, data)
    return (lambda: loop(x0)), (lambda: _final(problem, loop(x0))[:64].double().cpu().numpy())


@_peer("torch", "A", "A'", "B", "C", "F")
def torch_compile(torch, problem, data):
    loop, x0 = _torch_step(torch, problem, data)
    faster = torch.compile(loop, mode="reduce-overhead" if problem == "C" else "default")
    return (lambda: faster(x0)), (lambda: _final(problem, faster(x0))[:64].double().cpu().numpy())


@_peer("cupy", "A", "C", "F")
def cupy(cupy, problem, data):
    plan, x0, u, dt = data
    A, u, x0 = (cupy.asarray(np.asarray(a, np.float32)) for a in (plan.M.T, u, x0))
    update = cupy.fuse()(lambda x, z, u, dt: x + dt * (cupy.tanh(z + u) - x))
    loop = _steps(problem, lambda x: update(x, x @ A, u, np.float32(dt)), cupy.stack)
    return (lambda: loop(x0)), (lambda: cupy.asnumpy(_final(problem, loop(x0))[:64]).astype(float))


@_peer("jax", "A", "A'", "B", "C", "D", "F")
def jax_scan(jax, problem, data):
    jnp, precision = jax.numpy, "tensorfloat32" if problem == "A'" else "highest"
    put = lambda a: jnp.asarray(np.asarray(a, np.float32))  # noqa: E731
    if problem == "D":
        plan, u = data
        A, u = put(plan.M.T), put(u)
        move = lambda x: jax.nn.relu(jnp.matmul(x, A, precision=precision) + u)  # noqa: E731

        @jax.jit
        def solve(x):
            go_on = lambda s: (s[1] > 2e-6) & (s[2] < 400)  # noqa: E731
            advance = lambda s: (y := move(s[0]), jnp.abs(y - s[0]).max(), s[2] + 1)  # noqa: E731
            return jax.lax.while_loop(go_on, advance, (x, jnp.float32(1.0), 0))[0]

        x0 = jnp.zeros_like(u)
        return (lambda: solve(x0).block_until_ready()), (lambda: np.asarray(solve(x0)[:64], float))
    plan, x0, u, dt = data
    A, u, x0 = put(plan.M.T), put(u), put(x0)
    rate = lambda x: jnp.tanh(jnp.matmul(x, A, precision=precision) + u) - x  # noqa: E731

    def step(x, _):
        k1 = rate(x)
        if problem != "B":
            new = x + dt * k1
        else:
            k2 = rate(x + dt / 2 * k1)
            k3 = rate(x + dt / 2 * k2)
            new = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + dt * k3))
        return new, None

    def ten(x, _):
        x, _ = jax.lax.scan(step, x, None, length=10)
        return x, x if problem == "F" else None

    run_all = jax.jit(lambda x: jax.lax.scan(ten, x, None, length=10))
    return (lambda: jax.block_until_ready(run_all(x0))), (lambda: np.asarray(run_all(x0)[0][:64], float))


@_peer("diffrax", "E")
def diffrax_vmap(diffrax, problem, data):
    import jax

    jnp = jax.numpy
    y0, p = (jnp.asarray(np.asarray(a, np.float32)) for a in data)

    def rhs(t, x, q):
        return jnp.array([q[0] * (x[1] - x[0]), x[0] * (q[1] - x[2]) - x[1], x[0] * x[1] - q[2] * x[2]])

    def one(x, q):
        control = diffrax.PIDController(rtol=1e-5, atol=1e-6)
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(rhs), diffrax.Dopri5(), 0.0, 1.0, None, x, q, stepsize_controller=control
        )
        return found.ys[-1]

    solve = jax.jit(jax.vmap(one))
    return (lambda: solve(y0, p).block_until_ready()), (lambda: np.asarray(solve(y0, p)[:64], float))


@_peer("torch", "E")
def torch_rk4(torch, problem, data):
    """The whole batch at one step: 300 steps of rk4, as the longest trajectory needs."""
    y0, p = (torch.tensor(np.asarray(a, np.float32), device="cuda") for a in data)

    def rate(x):
        a, b, c = x.unbind(1)
        return torch.stack([p[:, 0] * (b - a), a * (p[:, 1] - c) - b, a * b - p[:, 2] * c], dim=1)

    def solve():
        x, h = y0, 1.0 / 300
        for _ in range(300):
            k1 = rate(x)
            k2 = rate(x + h / 2 * k1)
            k3 = rate(x + h / 2 * k2)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + h * k3))
        return x

    return solve, lambda: solve()[:64].double().cpu().numpy()
