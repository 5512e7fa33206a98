"""Runs every plain kernel in Numba's simulator and prints, as JSON, how far each result is from the engine of the host.

A program of its own, because the simulator is chosen when ``numba.cuda`` is first imported. The cases are tiny: a thread
of the simulator is a thread of Python.
"""

import json
import math
import os
import sys

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import networkx as nx
import numpy as np

import dynet as dn
from dynet.engine.cuda import equilibria, plan, portable

RESULTS = {}


def case(function):
    RESULTS[function.__name__] = function(np.random.default_rng(len(RESULTS)))


def apart(host, device):
    """The largest distance relative to the norm of a state."""
    scale = np.linalg.norm(host.x, axis=-1, keepdims=True) + 1e-300
    return float(np.max(np.abs(host.x - device.x) / scale, initial=0.0))


def both(model, x0, t, precision, **options):
    host = dn.simulate(model, x0, t, **options)
    return host, dn.simulate(model, x0, t, device="cuda", precision=precision, **options)


def lure(kind, method, precision, rng, **options):
    n, batch = 5, 3
    leak = {"leak": rng.uniform(0.5, 2.0, n)} if kind in ("Hopfield", "FiringRate") else {}
    model = getattr(dn.models, kind)(rng.standard_normal((n, n)) / 2, input=dn.Sinusoid(1.0, 2.0), **leak)
    host, device = both(
        model, rng.standard_normal((batch, n)), 0.25, precision, dt=0.1, method=method, save=[0.0, 0.2, 0.25], **options
    )
    return {"apart": apart(host, device), "executor": device.stats["executor"], "ok": device.ok,
            "steps": device.stats["accepted"] == host.stats["accepted"]}  # fmt: skip


@case
def firing_rate_rk4(rng):
    return lure("FiringRate", "rk4", "float64", rng)


@case
def hopfield_heun(rng):
    return lure("Hopfield", "heun", "float64", rng)


@case
def persidskii_euler(rng):
    return lure("Persidskii", "euler", "float64", rng)


@case
def linear_euler(rng):
    return lure("LinearMinusMonotone", "euler", "float64", rng)


@case
def single_precision(rng):
    return lure("FiringRate", "rk4", None, rng)


@case
def own_inputs_and_summaries(rng):
    model, u = dn.models.Hopfield(rng.standard_normal((4, 4)) / 2), rng.standard_normal((3, 4))
    reference = rng.standard_normal((3, 4))
    wanted = {
        "a": "min",
        "b": "mean",
        "c": "max",
        "d": ("max", reference),
        "e": ("integral", reference[0]),
        "f": "last",
    }
    host, device = both(
        model, rng.standard_normal(4), -0.3, "float64", dt=0.1, save=[-0.1, -0.2, -0.3], u=u, summary=wanted
    )
    return {"apart": max(float(np.abs(host.summary[k] - device.summary[k]).max()) for k in wanted)}


@case
def a_trajectory_that_explodes(rng):
    model = dn.models.Persidskii([[3.0]], activation="identity")
    run = dn.simulate(model, [[0.0], [1e30]], 20.0, dt=1.0, method="euler", save=[0.0, 5.0, 20.0], device="cuda")
    return {"status": [s.word for s in run.status], "t_stop": list(run.t_stop),
            "nan": np.isnan(run.x).sum(axis=(1, 2)).tolist()}  # fmt: skip


@case
def tiled(rng):
    fits, portable.fits = portable.fits, lambda n, real: False
    found = [lure(kind, "rk4", "float64", rng) for kind in ("FiringRate", "LinearMinusMonotone", "Hopfield")]
    portable.fits = fits
    return {"apart": max(f["apart"] for f in found), "executor": found[0]["executor"]}


@case
def every_activation_and_the_engine_of_the_host(rng):
    worst = 0.0
    z = rng.uniform(-4, 4, (1, 2))
    for name in plan.ACTIVATIONS:
        model = dn.models.FiringRate(np.eye(2), activation=name)
        found = dn.simulate(model, z, 0.1, dt=0.1, method="euler", save="last", device="cuda", precision="float64")
        worst = max(worst, float(np.abs(found.final - (z + 0.1 * model.rhs(0.0, z))).max()))
    return {"apart": worst}


LORENZ = dn.models.Lorenz()


@case
def ensemble_fixed(rng):
    host, device = both(
        LORENZ, rng.standard_normal((3, 3)), 0.095, "float64", dt=0.01, method="dopri5", save=[0.0, 0.024, 0.095],
        params={"rho": np.array([10.0, 14.0, 28.0])},
    )  # fmt: skip
    return {"apart": apart(host, device), "executor": device.stats["executor"]}


@case
def ensemble_adaptive(rng):
    host, device = both(LORENZ, rng.standard_normal((3, 3)), 0.3, "float64", rtol=1e-6, save=[0.0, 0.11, 0.3])
    steps = [run.stats["accepted"] + run.stats["rejected"] for run in (host, device)]
    return {"apart": apart(host, device), "steps": steps}


@case
def ensemble_single_precision(rng):
    host, device = both(LORENZ, rng.standard_normal((2, 3)), 0.3, "float32", rtol=1e-5, atol=1e-6)
    return {"apart": apart(host, device)}


@case
def ensemble_summaries(rng):
    reference = rng.standard_normal((3, 3))
    wanted = {"a": "min", "b": "mean", "c": ("max", reference)}
    host, device = both(
        LORENZ,
        rng.standard_normal((2, 3)),
        0.1,
        "float64",
        dt=0.02,
        method="rk4",
        save=[0.0, 0.03, 0.1],
        summary=wanted,
    )
    return {"apart": max(float(np.abs(host.summary[k] - device.summary[k]).max()) for k in wanted)}


@case
def ensemble_statuses(rng):
    @dn.vector_field(n=1)
    def quick(t, x, p, dx):
        dx[0] = x[0] * x[0]

    with np.errstate(all="ignore"):
        run = dn.simulate(quick, [[1.0], [0.1]], 2.0, device="cuda", precision="float64", save="last")
        few = dn.simulate(quick, [[1.0], [0.1]], 2.0, device="cuda", max_steps=5, save="last")
    return {"status": [s.word for s in run.status], "few": [s.word for s in few.status], "at": float(run.t_stop[0])}


def _node(t, x, s, p, dx):
    dx[0] = p.a * x[1] + s[0] + p.c
    dx[1] = -x[0] - math.sin(t) * x[1] + s[1]


def _edge(x, y, p, s):
    s[0] = p.w * (y[0] - x[0])
    s[1] = np.tanh(y[1] - 2 * x[1])


@case
def network_of_my_own(rng):
    model = dn.models.Network(
        rng.random((3, 3)), node=_node, edge=_edge, dim=2, params={"a": 1.0, "c": [1.0, 2.0, 3.0]},
        edge_params={"w": rng.random((3, 3))},
    )  # fmt: skip
    options = {"dt": 0.1, "save": [0.0, 0.2, 0.25], "params": {"a": np.array([1.0, 2.0])}}
    host, device = both(model, rng.standard_normal((2, 6)), 0.25, "float64", method="rk4", **options)
    more = {"dt": 0.1, "method": "heun", "summary": ["mean", "max"], "save": [0.0, 0.1, 0.2]}
    host2, device2 = both(model, rng.standard_normal(6), 0.2, "float64", **more)
    worst = [float(np.abs(host2.summary[k] - device2.summary[k]).max()) for k in more["summary"]]
    return {"apart": max(apart(host, device), *worst)}


@case
def kuramoto(rng):
    model = dn.models.Kuramoto(nx.path_graph(4), frequency=[1.0, 2.0, 3.0, 4.0], weight=0.5)
    host, device = both(model, rng.standard_normal((2, 4)), 0.2, "float32", dt=0.1, method="euler", save="last")
    return {"apart": apart(host, device), "executor": device.stats["executor"]}


@case
def equilibrium(rng):
    A = rng.standard_normal((4, 4))
    A *= 0.6 / np.abs(A).sum(axis=1).max()
    u, found = rng.standard_normal((3, 4)), {}
    for p in (1, 2, np.inf):
        model = dn.models.FiringRate(A)
        host = dn.equilibrium(model, u=u, certificate=dn.certify(model, p))
        device = dn.equilibrium(model, u=u, certificate=dn.certify(model, p), device="cuda", precision="float64")
        distance = device.norm.length(host.x - device.x)
        found[str(p)] = {"within": bool((distance <= device.error + host.error).all()), "error": float(device.error.max()),
                         "ok": all(s.ok for s in device.status), "certified": device.certified}  # fmt: skip
    hard = dn.equilibrium(model, u=u[0], tol=1e-14, device="cuda")
    few = dn.equilibrium(model, u=u[0], device="cuda", max_iterations=2)
    return {**found, "hard": hard.status.word, "few": few.status.word}


@case
def layers_and_adjoints(rng):
    n, batch = 4, 3
    A, one = rng.standard_normal((n, n)), np.ones(n)
    A *= 0.8 / np.abs(A).sum(axis=1).max()
    u, w = rng.standard_normal((2, batch, n))
    layer = plan.Plan(plan.INSIDE, A, -one, one, one, "relu", 0.0)
    options = dict(side=0 * one, x0=np.zeros((batch, n)), alpha=1.0, scale=one, limit=500, precision="float64",
                   patience=equilibria.patience_of(0.8), tol=1e-13)  # fmt: skip
    steps = equilibria.solve(layer, u, kind=np.inf, **options)
    sweeps = equilibria.solve(equilibria.absorbed(layer), u, kind=np.inf, **options)
    D = (steps.x > 0) * 1.0
    adjoint = equilibria.solve(layer._replace(M=A.T.copy()), w, kind=1, factor=D, **options)
    exact = np.array([np.linalg.solve(np.eye(n) - np.diag(d) @ A.T, d * v) for d, v in zip(D, w, strict=True)])
    return {"residual": float(np.abs(np.maximum(steps.x @ A.T + u, 0) - steps.x).max()),
            "apart": float(np.abs(steps.x - sweeps.x).max()), "adjoint": float(np.abs(adjoint.x - exact).max()),
            "fewer": int(sweeps.iterations.sum()) <= int(steps.iterations.sum())}  # fmt: skip


@case
def implicit_networks(rng):
    U, found = rng.standard_normal((3, 2)), {}
    for activation in ("relu", "tanh"):
        net = dn.ImplicitNetwork.random(2, 4, 1, gamma=0.8, seed=3, activation=activation)
        host, device = net.solve(U, 1e-10), net.solve(U, 1e-10, device="cuda", precision="float64")
        single = net.solve(U[0], 1e-4, device="cuda")
        found[activation] = {
            "within": bool((net.norm.length(host.x - device.x) <= device.error + host.error).all()),
            "ok": all(s.ok for s in (*device.status, single.status)), "certified": device.certified,
            "apart": float(np.abs(single.x - host.x[0]).max()),
        }  # fmt: skip
    return found


@case
def wrong_input(rng):
    net, lorenz = dn.models.FiringRate(np.eye(2)), dn.models.Lorenz()
    mine = dn.models.FiringRate(np.eye(2), activation=dn.Activation("mine", lambda z, a: z * 0.5))
    full = dn.models.FiringRate(np.eye(2)).__class__.__mro__[2](np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2)))
    x, said = [0.0, 0.0], {}
    for name, call in {
        "no dt": lambda: dn.simulate(net, x, 1.0, device="cuda"),
        "method": lambda: dn.simulate(net, x, 1.0, dt=0.1, method="vern7", device="cuda"),
        "precision": lambda: dn.simulate(net, x, 1.0, dt=0.1, device="cuda", precision="float16"),
        "tensor": lambda: dn.simulate(lorenz, [0.0] * 3, 1.0, device="cuda", precision="tf32"),
        "tf32 here": lambda: dn.simulate(net, x, 1.0, dt=0.1, device="cuda", precision="tf32"),
        "activation": lambda: dn.simulate(mine, x, 1.0, dt=0.1, device="cuda"),
        "full": lambda: dn.simulate(full, x, 1.0, dt=0.1, device="cuda"),
        "save": lambda: dn.simulate(net, x, 1.0, dt=0.1, save=[0.55], device="cuda"),
        "dense": lambda: dn.simulate(net, x, 1.0, dt=0.1, dense=True, device="cuda"),
        "steps": lambda: dn.simulate(net, x, 1.0, dt=1e-3, max_steps=10, device="cuda"),
        "rtol": lambda: dn.simulate(lorenz, [0.0] * 3, 1.0, rtol=1e-9, device="cuda", method="dopri5"),
        "not contracting": lambda: dn.equilibrium(dn.models.FiringRate(3 * np.eye(2)), device="cuda"),
        "not lure": lambda: dn.equilibrium(lorenz, device="cuda"),
    }.items():
        try:
            call()
            said[name] = "nothing"
        except dn.errors.ArgumentError as error:
            said[name] = str(error)
    return said


json.dump(RESULTS, sys.stdout)
