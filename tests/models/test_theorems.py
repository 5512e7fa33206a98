"""Over random parameters inside its theorem, no model does what its theorem forbids.

Two simulated trajectories never separate faster than the certificate allows (also where its rate is negative: the claim is
proven all the same), what is conserved does not drift over 10,000 steps, and states stay where they must. The sources are
those of the other tests of the zoo, so that nothing is compiled twice.
"""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import dynet as dn

M, N = dn.models, 6


def weights(rng, symmetric=False):
    W = np.where(rng.random((N, N)) < 0.6, rng.random((N, N)), 0.0) * (1 - np.eye(N))
    return W + W.T if symmetric else W


def competing(rng):
    A = weights(rng)
    return A - np.diag(A.sum(axis=1) + 0.5 + rng.random(N))


def road(rng):
    graph = nx.DiGraph([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)])
    for edge in graph.edges.values():
        edge["weight"] = 0.5 + rng.random()
    return graph


#: kind -> (random parameters inside the theorem, box of initial states, region of the certificate where it is needed)
MAKERS = {
    "averaging": (lambda r: M.Averaging(weights(r)), (-3, 3), None),
    "compartmental": (lambda r: M.Compartmental(weights(r), 0.1 + r.random(N), input=r.random()), (0, 3), None),
    "compartmental nonlinear": (lambda r: M.Compartmental(weights(r), r.random(N), rate="tanh"), (0, 3), None),
    "sis": (lambda r: M.SIS(weights(r), 2 * r.random(), 0.2 + r.random()), (0, 1), None),
    "sir": (lambda r: M.SIR(weights(r), 2 * r.random(), 0.2 + r.random()), (0, 0.5), None),
    "seir": (lambda r: M.SEIR(weights(r), 2 * r.random(), r.random() + 0.1, r.random() + 0.1), (0, 0.33), None),
    "lotka_volterra": (lambda r: M.LotkaVolterra(competing(r)), (0.1, 2), (0.0, 4.0)),
    "kuramoto": (lambda r: M.Kuramoto(weights(r), r.normal(size=N)), (-3, 3), None),
    "swing": (lambda r: M.Swing(weights(r), 0.5 + r.random(), 1 + r.random(), r.normal(size=N)), (-1, 1), None),
    "cell_transmission": (lambda r: M.CellTransmission(road(r), inflow=r.random()), (0, 4), None),
    "chua": (lambda r: M.Chua(weights(r, symmetric=True)), (-1, 1), None),
    "reaction_diffusion": (
        lambda r: M.ReactionDiffusion(weights(r), reaction=[[-1, -0.5], [0.8, -1]], diffusion=r.random(2), cubic=0.0),
        (-2, 2),
        None,
    ),
    "goodwin": (lambda r: M.Goodwin(4, k=2 * r.random(), p=4.0, gain=0.5, decay=0.5 + r.random(4)), (0, 2), (0.0, 4.0)),
    "thomas": (lambda r: M.Thomas(0.1 + r.random()), (-3, 3), (-12.0, 12.0)),
    "gradient_flow": (
        lambda r: M.GradientFlow((0.5 + r.random()) * np.eye(N), r.random(), A=weights(r), slope="tanh"),
        (-2, 2),
        None,
    ),
    "primal_dual": (
        lambda r: M.PrimalDual(np.diag(0.5 + r.random(2)), [[1.0, 2.0]], b=r.normal(), q=r.normal(), slope="tanh"),
        (-2, 2),
        None,
    ),
    "hopfield": (lambda r: M.Hopfield(r.normal(size=(N, N)) / 2, leak=1 + r.random(N)), (-2, 2), None),
    "firing_rate": (lambda r: M.FiringRate(r.normal(size=(N, N)) / 2, leak=1 + r.random(N)), (-2, 2), None),
    "persidskii": (lambda r: M.Persidskii(competing(r), activation="leaky_relu(0.5)"), (-2, 2), None),
    "linear_minus_monotone": (lambda r: M.LinearMinusMonotone(competing(r), activation="relu"), (-2, 2), None),
    "implicit_graph": (
        lambda r: M.ImplicitGraph(weights(r), [[0.1, -0.2], [0.1, 0.1]], bias=r.random()),
        (-2, 2),
        None,
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1))
def test_trajectories_separate_no_faster_than_the_certificate_allows(kind, seed):
    rng = np.random.default_rng(seed)
    make, (low, high), region = MAKERS[kind]
    model = make(rng)
    x0 = low + (high - low) * rng.random((2, model.n))
    if model.facts.invariant is not None:
        x0 = np.clip(x0, *model.facts.invariant)
    run = dn.simulate(model, x0, 2.0, method="dopri5", rtol=1e-9, atol=1e-11, save=21)
    if model.facts.invariant is not None:
        floor, ceiling = model.facts.invariant
        assert (run.x >= floor - 1e-8).all() and (run.x <= ceiling + 1e-8).all()
    claims, box = 0, None if region is None else tuple(np.full(model.n, end) for end in region)
    for p in (1, np.inf) if region else (1, 2, np.inf):
        c = dn.certify(model, p, kind="strong", region=box)
        if c.claim is None or not np.isfinite(c.osLip):
            continue
        claims += 1
        assert c.claim.holds(c.osLip), "what is said of the log norm is proven, whether it contracts or not"
        inside = run.t >= 0 if region is None else ((run.x >= region[0]) & (run.x <= region[1])).all(axis=(0, 2))
        inside = np.logical_and.accumulate(inside)
        distance = c.norm.length(run.x[0] - run.x[1])
        bound = distance[0] * np.exp(c.osLip * run.t) * (1 + 1e-6) + 1e-7
        assert np.all((distance <= bound)[inside]), (kind, p)
    assert claims or "unbounded" in c.reason or "declares no slopes" in c.reason, c.reason


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1))
def test_learning_networks_separate_no_faster_than_their_gain_matrix_allows(seed):
    rng = np.random.default_rng(seed)
    model = M.Hebbian(2 * rng.random((2, 2)) - 1, leak=3.0 + rng.random(), forgetting=2.0 + rng.random())
    low, high = (np.nan_to_num(end, posinf=2.0, neginf=-2.0) for end in model.facts.invariant)
    x0 = low + (high - low) * rng.random((2, model.n))
    run = dn.simulate(model, x0, 2.0, method="dopri5", rtol=1e-9, atol=1e-11, save=21)
    apart = np.abs(run.x[0] - run.x[1])
    apart = np.stack([apart[:, :2].max(axis=1), apart[:, 2:].max(axis=1)])  # potentials, weights
    allowed = np.stack([expm(model.gain_matrix() * t) @ apart[:, 0] for t in run.t], axis=1)
    assert (apart <= allowed * (1 + 1e-6) + 1e-8).all()
    assert (run.x[:, :, 2:] >= low[2:] - 1e-9).all() and (run.x[:, :, 2:] <= high[2:] + 1e-9).all()


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_what_is_only_weak_or_in_other_coordinates(seed):
    """The theorems whose distance is no norm of the states: spreads, logarithms, and angles with speeds."""
    rng = np.random.default_rng(seed)

    def pair(model, low, high, t=3.0):
        x0 = low + (high - low) * rng.random((2, model.n))
        return dn.simulate(model, x0, t, method="dopri5", rtol=1e-9, atol=1e-11, save=31)

    averaging = M.Averaging(weights(rng) + 0.1 * (1 - np.eye(N)))
    run = pair(averaging, -3, 3)
    spread = np.ptp(run.x[0] - run.x[1], axis=-1)
    assert np.all(spread <= spread[0] * np.exp(-averaging.ergodicity * run.t) + 1e-7)
    W = weights(rng) + 0.1 * (1 - np.eye(N))
    arc = 1.2 * rng.random()
    run = dn.simulate(M.Kuramoto(W), arc * rng.random((1, N)), 3.0, method="dopri5", rtol=1e-9, atol=1e-11, save=31)
    spread = np.ptp(run.x[0], axis=-1)
    assert np.all(spread <= spread[0] * np.exp(-M.Averaging(W).ergodicity * np.cos(spread[0]) * run.t) + 1e-7)
    A = competing(rng)
    eta = np.linalg.solve(A.T, -np.ones(N))
    assert (eta > 0).all()
    run = pair(M.LotkaVolterra(A), 0.1, 2.0)
    distance = np.abs(np.log(run.x[0] / run.x[1])) @ eta
    assert np.all(np.diff(distance) <= 1e-7)
    m = 0.5 + rng.random()
    swing = M.Swing(W, inertia=m, damping=2.01 * np.sqrt(m * W.sum(axis=1).max()))
    run = pair(swing, -0.1, 0.1)
    angle, speed = run.x[..., ::2], run.x[..., 1::2]
    moved = np.concatenate([angle, angle + 2 * m / swing.params["damping"] * speed], axis=-1)
    assert np.all(np.diff(np.abs(moved[0] - moved[1]).max(axis=-1)) <= 1e-7)
    for model, p, top in ((M.CellTransmission(road(rng), inflow=rng.random()), 1, 4), (M.Averaging(W), np.inf, 3),
                          (M.Compartmental(W, rng.random(N), rate="tanh"), 1, 3)):  # fmt: skip
        run = pair(model, 0, top)
        assert np.all(np.diff(np.linalg.norm(run.x[0] - run.x[1], ord=p, axis=-1)) <= 1e-7)


CONSERVING = {
    "averaging": lambda r: M.Averaging(weights(r, symmetric=True)),
    "compartmental": lambda r: M.Compartmental(weights(r)),
    "compartmental nonlinear": lambda r: M.Compartmental(weights(r), rate="tanh"),
    "kuramoto": lambda r: M.Kuramoto(weights(r, symmetric=True)),
    "kuramoto all to all": lambda r: M.Kuramoto(N, weight=r.random()),
}


@pytest.mark.parametrize("kind", CONSERVING)
@settings(max_examples=2)
@given(st.integers(0, 2**32 - 1))
def test_what_is_conserved_does_not_drift(kind, seed):
    rng = np.random.default_rng(seed)
    model = CONSERVING[kind](rng)
    run = dn.simulate(model, 0.5 + rng.random((2, N)), 1000.0, method="dopri5", dt=0.1, save=11)
    total = run.x @ model.facts.conserved
    assert run.stats["accepted"] == 20_000 and np.abs(total / total[:, :1] - 1).max() < 1e-10
