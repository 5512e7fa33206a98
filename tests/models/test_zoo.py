"""The zoo: equations against plain NumPy, worked numbers, invariant boxes, conserved quantities, distances that do not grow."""

import networkx as nx
import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from tests.blocks import run_block

M = dn.models
RANDOM = np.random.default_rng(7)
WEIGHTS = np.where(RANDOM.random((6, 6)) < 0.6, RANDOM.random((6, 6)), 0.0) * (1 - np.eye(6))
GRID = nx.DiGraph([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)])
OMEGA = RANDOM.normal(size=6)
MIXING = np.array([[0.5, -0.2], [0.3, 0.4]])
H = np.array([[0, 1, 0, 0.5], [-1, 0, 0.5, 0], [0, 0.5, 0, 1], [0.5, 0, -1, 0]])


def pairs(x):
    return x.reshape(-1, 2).T


def swing(x):
    a, w = pairs(x)
    return np.column_stack([w, (OMEGA - 2.0 * w + (WEIGHTS * np.sin(a - a[:, None])).sum(1)) / 0.5]).ravel()


def cells(x):
    demand, supply, out = np.minimum(x, 1.2), np.minimum(1.2, 0.5 * (4.0 - x)), np.zeros(6)
    out[0] = min(0.9, supply[0])
    for j, i in GRID.edges:
        flow = min(demand[j] / GRID.out_degree(j), supply[i] / GRID.in_degree(i))
        out[i] += flow
        out[j] -= flow
    out[5] -= demand[5]
    return out


def queues(x):
    """First in, first out: the whole outflow of a cell waits for the fullest of those that follow."""
    demand, supply, out = np.minimum(x, 1.2), np.minimum(1.2, 0.5 * (4.0 - x)), np.zeros(6)
    out[0] = min(0.9, supply[0])
    for j in range(6):
        after = list(GRID.successors(j))
        limits = [supply[i] / GRID.in_degree(i) * len(after) for i in after]
        q = min([demand[j], *limits])
        out[j] -= q
        for i in after:
            out[i] += q / len(after)
    return out


def chua(x):
    X = x.reshape(-1, 3)
    g = -5 / 7 * X[:, 0] + 0.5 * (-8 / 7 + 5 / 7) * (abs(X[:, 0] + 1) - abs(X[:, 0] - 1))
    own = np.column_stack([15.6 * (X[:, 1] - X[:, 0] - g), X[:, 0] - X[:, 1] + X[:, 2], -28.0 * X[:, 1]])
    return (own + WEIGHTS @ X - WEIGHTS.sum(1)[:, None] * X).ravel()


def turing(x):
    u, v = pairs(x)
    L = np.diag(WEIGHTS.sum(1)) - WEIGHTS
    return np.column_stack([0.5 * u - v - u**3 - 0.05 * L @ u, 1.5 * u - 1.5 * v - L @ v]).ravel()


def sir(x):
    s, y = pairs(x)
    new = 1.5 * s * (WEIGHTS @ y)
    return np.column_stack([-new, new - 0.7 * y]).ravel()


def seir(x):
    s, e, y = x.reshape(-1, 3).T
    new = 1.5 * s * (WEIGHTS @ y)
    return np.column_stack([-new, new - 0.3 * e, 0.3 * e - 0.7 * y]).ravel()


def goodwin(x):
    return np.append(2 / (1 + x[3] ** 4), 0.5 * x[:-1]) - x


def hebbian(x):
    s, W = np.tanh(x[:4]), x[4:].reshape(4, 4)
    return np.append(-5 * x[:4] + W @ s, (H * np.outer(s, s) - 3 * W).ravel())


FLOW = WEIGHTS - np.diag(WEIGHTS.sum(0) + 0.1)
ZOO = {
    "averaging": (lambda: M.Averaging(WEIGHTS), lambda x: WEIGHTS @ x - WEIGHTS.sum(1) * x),
    "compartmental": (lambda: M.Compartmental(WEIGHTS, 0.1, input=0.2), lambda x: FLOW @ x + 0.2),
    "compartmental nonlinear": (lambda: M.Compartmental(WEIGHTS, 0.1, rate="tanh"), lambda x: FLOW @ np.tanh(x)),
    "sis": (lambda: M.SIS(WEIGHTS, 1.5, 0.7), lambda x: 1.5 * (1 - x) * (WEIGHTS @ x) - 0.7 * x),
    "sir": (lambda: M.SIR(WEIGHTS, 1.5, 0.7), sir),
    "seir": (lambda: M.SEIR(WEIGHTS, 1.5, 0.3, 0.7), seir),
    "lotka_volterra": (lambda: M.LotkaVolterra(WEIGHTS - 3 * np.eye(6)), lambda x: x * (1 + WEIGHTS @ x - 3 * x)),
    "kuramoto": (
        lambda: M.Kuramoto(WEIGHTS, OMEGA),
        lambda x: OMEGA + (WEIGHTS * np.sin(x - x[:, None])).sum(1),
    ),
    "kuramoto all to all": (
        lambda: M.Kuramoto(6, OMEGA, weight=0.25),
        lambda x: OMEGA + 0.25 * np.sin(x - x[:, None]).sum(1),
    ),
    "swing": (lambda: M.Swing(WEIGHTS, 0.5, 2.0, OMEGA), swing),
    "cell_transmission": (lambda: M.CellTransmission(GRID, inflow=0.9), cells),
    "cell_transmission fifo": (lambda: M.CellTransmission(GRID, inflow=0.9, junctions="fifo"), queues),
    "chua": (lambda: M.Chua(WEIGHTS), chua),
    "reaction_diffusion": (lambda: M.ReactionDiffusion(WEIGHTS), turing),
    "goodwin": (lambda: M.Goodwin(4, k=2.0, p=4.0, gain=0.5), goodwin),
    "thomas": (lambda: M.Thomas(0.3), lambda x: np.sin(np.roll(x, -1)) - 0.3 * x),
    "gradient_flow": (
        lambda: M.GradientFlow(np.eye(6), 0.5, A=WEIGHTS, slope="tanh"),
        lambda x: -x + 0.5 - WEIGHTS.T @ np.tanh(WEIGHTS @ x),
    ),
    "primal_dual": (
        lambda: M.PrimalDual(np.eye(2), [[1.0, 2.0]], b=1.0, q=0.3, slope="tanh"),
        lambda x: np.append(-x[:2] - np.tanh(x[:2]) - 0.3 - x[2] * np.array([1.0, 2.0]), x[0] + 2 * x[1] - 1.0),
    ),
    "hebbian": (lambda: M.Hebbian(H, 5.0, 3.0), hebbian),
    "implicit_graph": (
        lambda: M.ImplicitGraph(WEIGHTS, MIXING, [[1.0], [-2.0]], 0.3, 0.5, "tanh", OMEGA),
        lambda x: -x + np.tanh(0.5 * WEIGHTS @ x.reshape(6, 2) @ MIXING.T + np.outer(OMEGA, [1, -2]) + 0.3).ravel(),
    ),
}


def interior(model, count):
    """States inside the invariant box."""
    x = np.random.default_rng(1).random((count, model.n))
    if isinstance(model, (M.SIR, M.SEIR)):
        x /= model.dim
    if model.facts.invariant is None:
        return 2 * x - 1
    low, high = (np.clip(bound, -2, 2) for bound in model.facts.invariant)
    return low + (high - low) * x


@pytest.mark.parametrize("kind", ZOO)
def test_equation_in_python_and_compiled(kind):
    make, equation = ZOO[kind]
    model = make()
    x = interior(model, 4)
    wanted = np.array([equation(row) for row in x])
    assert np.allclose(model.rhs(0.0, x), wanted, rtol=1e-12, atol=1e-13)
    assert np.allclose(run_block(model, 0.0, x, model.input), wanted, rtol=1e-12, atol=1e-13)
    J = model.jacobian(0.0, x[0])
    steps = 1e-6 * np.eye(model.n)
    differences = np.array([(equation(x[0] + e) - equation(x[0] - e)) / 2e-6 for e in steps]).T
    J = J if isinstance(J, np.ndarray) else J.toarray()
    assert np.allclose(J, differences, atol=1e-6)
    facts = model.facts
    if facts.conserved is not None:
        assert np.allclose(facts.conserved @ J, 0.0, atol=1e-12)
    if facts.translation is not None:
        assert np.allclose(J @ facts.translation, 0.0, atol=1e-12)
    if facts.monotone:
        assert (J - np.diag(J.diagonal()) >= -1e-12).all()
    assert facts.theorem


@pytest.mark.parametrize("kind", ZOO)
def test_invariant_boxes_hold(kind):
    model = ZOO[kind][0]()
    if model.facts.invariant is None:
        pytest.skip("none is claimed")
    low, high = model.facts.invariant
    x0 = interior(model, 8)
    corner = RANDOM.random((4, model.n)) < 0.5
    if not isinstance(model, (M.SIR, M.SEIR)):
        x0 = np.vstack([x0, np.where(corner, np.maximum(low, -3), np.minimum(high, 3))])
    run = dn.simulate(model, x0, 20.0, method="dopri5", rtol=1e-8, atol=1e-12)
    assert (run.x >= low - 1e-9).all() and (run.x <= high + 1e-9).all()


@pytest.mark.parametrize(
    "model",
    [
        M.Averaging(WEIGHTS + WEIGHTS.T),
        M.Compartmental(WEIGHTS),
        M.Compartmental(WEIGHTS, rate="softsign"),
        M.Kuramoto(WEIGHTS + WEIGHTS.T),
        M.Kuramoto(6, weight=0.3),
    ],
    ids=["averaging", "compartments", "nonlinear", "kuramoto", "all to all"],
)
def test_conserved_quantities_do_not_drift(model):
    x0 = interior(model, 3) + 0.5
    run = dn.simulate(model, x0, 1000.0, method="dopri5", dt=0.1, save=11)
    total = run.x @ model.facts.conserved
    assert np.abs(total / total[:, :1] - 1).max() < 1e-10  # over 10,000 steps


@pytest.mark.parametrize("junctions", ["free", "fifo"])
def test_vehicles_are_neither_lost_nor_made(junctions):
    ring = np.roll(np.eye(8), 1, axis=0)
    ring[3, 0], ring[5, 4] = 0.5, 2.0  # a shortcut and a preference; nobody enters or leaves
    model = M.CellTransmission(ring, junctions=junctions)
    x0 = 4 * RANDOM.random((3, 8))
    run = dn.simulate(model, x0, 1000.0, method="dopri5", dt=0.1, save=11)
    total = run.x.sum(axis=-1)
    assert np.abs(total / total[:, :1] - 1).max() < 1e-10
    assert (run.x >= 0).all() and (run.x <= 4).all()


def log_norm(J, p, weights=None):
    return dn.linalg.log_norm(J if isinstance(J, np.ndarray) else J.toarray(), p, weights)


def test_worked_numbers_of_flows():
    assert M.Averaging([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]]).ergodicity == 1.0
    F = np.array([[0, 0.5, 0], [0, 0, 1], [0.2, 0, 0]])
    leaky = M.Compartmental(F.T, outflow=[0, 0.3, 0.5])
    found = dn.certify(leaky, 1)
    assert found.rate == pytest.approx(0.272410, abs=1e-6)
    assert found.norm.weights / found.norm.weights[0] == pytest.approx([1, 0.455180, 0.467738], abs=1e-5)
    assert log_norm(leaky.jacobian(0.0, np.zeros(3)), 1) == pytest.approx(0.0, abs=1e-12)


def test_worked_numbers_of_populations():
    species = M.LotkaVolterra([[-2.0, 0.5], [0.5, -1.0]], growth=1.0)
    x = species.equilibrium_point()
    assert x == pytest.approx([6 / 7, 10 / 7])
    assert log_norm(species.logarithmic_jacobian(x), 1) == pytest.approx(-5 / 7)
    path = nx.path_graph(3)
    weak = M.SIS(path, infection=0.5, recovery=1.0)
    eta = np.array([1, np.sqrt(2), 1])
    assert weak.reproduction == pytest.approx(0.5 * np.sqrt(2))
    assert -log_norm(weak.jacobian(0.0, np.zeros(3)), np.inf, eta) == pytest.approx(0.292893, abs=1e-6)
    strong = M.SIS(path, infection=1.5, recovery=1.0)
    found = dn.simulate(strong, np.full(3, 0.9), 200.0, method="dopri5", rtol=1e-10, atol=1e-12, save="last").x[-1]
    assert found == pytest.approx([0.4666667, 0.5833333, 0.4666667], abs=1e-7)
    # between the endemic equilibrium and 1 it contracts, in the norm weighted by it, below it does not
    rate = 1.5 * (nx.to_numpy_array(path) @ found).min()
    assert rate == pytest.approx(0.875)
    assert -log_norm(strong.jacobian(0.0, found), np.inf, found) == pytest.approx(rate)
    assert log_norm(strong.jacobian(0.0, np.zeros(3)), np.inf, found) > 0


def test_worked_numbers_of_oscillators():
    three = M.Kuramoto(3)
    corner = np.array([0.0, np.pi / 3, np.pi / 6])
    assert M.Averaging(np.ones((3, 3))).ergodicity * np.cos(np.pi / 3) == pytest.approx(1.5)
    assert log_norm(three.jacobian(0.0, corner), np.inf) == pytest.approx(0.0, abs=1e-12)
    for damping, value in ((3.0, 0.0), (2.0, 2.0)):
        J = M.Swing(3, damping=damping).overdamped_jacobian(np.zeros(3))
        assert log_norm(J, np.inf) == pytest.approx(value, abs=1e-12)
    one = M.Chua()
    inner, outer = one.jacobian(0.0, np.zeros(3)), one.jacobian(0.0, [2.0, 0.0, 0.0])
    assert max(log_norm(J, 2) for J in (inner, outer)) == pytest.approx(15.7104, abs=1e-4)
    assert max(log_norm(J, np.inf) for J in (inner, outer)) == pytest.approx(28.0)
    assert max(log_norm(J, 1) for J in (inner, outer)) == pytest.approx(42.6, abs=1e-9)
    assert dn.linalg.spectral_abscissa(inner) == pytest.approx(3.47308, abs=1e-5)
    thomas = M.Thomas(0.2).jacobian(0.0, np.zeros(3))
    values = np.sort(np.linalg.eigvalsh((thomas + thomas.T) / 2))[::-1]
    assert values[0] + values[1] <= 1 - 2 * 0.2 + 1e-12 and values.sum() == pytest.approx(-3 * 0.2)


def test_swing_jacobian_is_a_change_of_coordinates():
    model = M.Swing(WEIGHTS, inertia=0.5, damping=2.0)
    theta, n = RANDOM.normal(size=6), 6
    tau = 2 * 0.5 / 2.0
    order = np.concatenate([np.arange(0, 12, 2), np.arange(1, 12, 2)])
    J = model.jacobian(0.0, np.column_stack([theta, np.zeros(n)]).ravel())[np.ix_(order, order)]
    T = np.block([[np.eye(n), np.zeros((n, n))], [np.eye(n), tau * np.eye(n)]])
    assert np.allclose(T @ J @ np.linalg.inv(T), model.overdamped_jacobian(theta))


def test_worked_numbers_of_traffic_patterns_and_feedback():
    road = M.CellTransmission(3, inflow=0.8)
    assert dn.simulate(road, np.zeros(3), 100.0, save="last").x[-1] == pytest.approx([0.8, 0.8, 0.8], abs=1e-6)
    stripes = M.ReactionDiffusion(nx.cycle_graph(12))
    assert dn.linalg.spectral_abscissa(stripes.reaction) == pytest.approx(-0.5)
    assert stripes.growth(3.95) == pytest.approx(0.028713, abs=1e-6)
    majorant = dn.linalg.metzler_majorant(stripes.reaction)
    assert dn.linalg.spectral_abscissa(majorant) == pytest.approx(1.0811, abs=1e-4)
    calm = M.ReactionDiffusion(nx.cycle_graph(12), reaction=[[-1, -0.5], [0.8, -1]])
    assert dn.linalg.spectral_abscissa(dn.linalg.metzler_majorant(calm.reaction)) == pytest.approx(-0.367544, abs=1e-6)
    assert calm.pattern_free and not stripes.pattern_free
    for p, steepest in ((2, 0.649519), (4, 1.065206), (8, 2.031579), (10, 2.525168)):
        assert M.Goodwin(p=p).feedback_gain == pytest.approx(steepest, abs=1e-6)
        x = np.linspace(0, 3, 20_001)
        assert np.abs(np.gradient(1 / (1 + x**p), x)).max() == pytest.approx(steepest, rel=1e-3)
    loop = M.Goodwin(k=0.8 / M.Goodwin(p=10).feedback_gain)
    steepest_at = (9 / 11) ** 0.1
    J = dn.linalg.metzler_majorant(loop.jacobian(0.0, [0.0, 0.0, steepest_at]))
    assert dn.linalg.spectral_abscissa(J) == pytest.approx(-0.071682, abs=1e-6)
    assert loop.contracts and not M.Goodwin(p=10).contracts


def test_worked_numbers_of_learning_descent_and_opinion():
    gain = M.Hebbian(H, leak=5.0, forgetting=3.0).gain_matrix(sharp=False)
    assert np.array_equal(gain, [[-4.5, 2.0], [2.0, -3.0]])
    assert dn.linalg.spectral_abscissa(gain) == pytest.approx(-1.613999, abs=1e-6)
    saddle = M.PrimalDual(np.diag([1.0, 2.0]), [[1.0, 1.0]]).jacobian(0.0, np.zeros(3))
    assert log_norm(saddle, 2) == pytest.approx(0.0, abs=1e-12)
    assert dn.linalg.spectral_abscissa(saddle) == pytest.approx(-0.658836, abs=1e-6)
    K = np.array([[1.0, 1.0]])
    P = np.block([[np.eye(2), 0.31 * K.T], [0.31 * K, np.eye(1)]])
    assert -log_norm(saddle, 2, P) == pytest.approx(0.598781, abs=1e-6)
    power = M.SocialPower([[0, 0.5, 0.5], [0.3, 0, 0.7], [0.6, 0.4, 0]])
    assert power.centrality == pytest.approx([0.317181, 0.308370, 0.374449], abs=1e-6)
    assert power.fixed_point() == pytest.approx([0.293241, 0.279759, 0.427000], abs=1e-6)
    assert power.tangent_factor(power.fixed_point()) == pytest.approx(0.604167, abs=1e-6)
    assert np.allclose(power.iterate([0.9, 0.05, 0.05], 200)[-1], power.fixed_point())
    stubborn = M.FriedkinJohnsen([[0.5, 0.5], [0.2, 0.8]], 0.5, [0.0, 1.0])
    assert np.allclose(stubborn.iterate([5.0, 5.0], 80)[-1], stubborn.fixed_point())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: M.SIS([[0, -1], [1, 0]]), "not negative"),
        (lambda: M.SIS([[0, 1], [1, 0]], infection=-1.0), "at least 0"),
        (lambda: M.Averaging([[0, -1], [1, 0]]), "not negative"),
        (lambda: M.Compartmental(WEIGHTS, outflow=-0.1), "at least 0"),
        (lambda: M.Compartmental(WEIGHTS, rate="logistic"), "0 at 0"),
        (lambda: M.Swing(3, inertia=0.0), "above 0"),
        (lambda: M.Kuramoto(3, frequency=[1.0, 2.0]), "one for each of 3 nodes"),
        (lambda: M.Kuramoto(3).replace(frequencies=1.0), "did you mean 'frequency'"),
        (lambda: M.CellTransmission(3, inflow=[0, 1, 0]), "0 where a cell follows"),
        (lambda: M.CellTransmission(3, capacity=9.0), "wave"),
        (lambda: M.CellTransmission(3, junctions="fifoo"), "did you mean 'fifo'"),
        (lambda: M.CellTransmission(3, junctions="fifo").replace(sped=2.0), "did you mean 'speed'"),
        (lambda: M.Goodwin(stages=1), "at least 2"),
        (lambda: M.Goodwin(decay=[1.0, 0.0, 1.0]), "above 0"),
        (lambda: M.Thomas(0.0), "above 0"),
        (lambda: M.ReactionDiffusion(3, reaction=[1.0, 2.0]), r"shape \(2, 2\)"),
        (lambda: M.GradientFlow([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (lambda: M.GradientFlow([[-1.0]]), "convex"),
        (lambda: M.PrimalDual([[1.0]], [[1.0, 1.0]]), "1 columns"),
        (lambda: M.Hebbian([[1.0, 2.0]]), "square"),
        (lambda: M.SocialPower([[0.0, 1.0], [1.0, 0.0]]), "star|three"),
        (lambda: M.SocialPower([[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]), "star|centre"),
        (lambda: M.SocialPower([[0.5, 0.5, 0], [0, 0, 1], [1, 0, 0]]), "diagonal"),
        (lambda: M.FriedkinJohnsen([[0.5, 0.4], [0.2, 0.8]], 0.5, 0.0), "sum to 1"),
        (lambda: M.FriedkinJohnsen([[0.5, 0.5], [0.2, 0.8]], 1.5, 0.0), "between 0 and 1"),
    ],
)
def test_wrong_input_is_named(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_parameters_are_replaced():
    model = M.Kuramoto(WEIGHTS, OMEGA)
    slower = model.replace(frequency=0.5 * OMEGA, weight=2.0)
    x = RANDOM.normal(size=6)
    expected = 0.5 * OMEGA + 2 * (WEIGHTS * np.sin(x - x[:, None])).sum(1)
    assert np.allclose(slower.rhs(0.0, x), expected)
    assert np.array_equal(model.params["frequency"], OMEGA)
    assert M.SIS(WEIGHTS).replace(infection=2.0).params["infection"] == 2.0
    assert M.CellTransmission(GRID, inflow=0.9).replace(inflow=0.4).params["inflow"].tolist() == [0.4] + 5 * [0.0]


def test_what_does_not_contract_is_not_said_to():
    past = M.SIS(nx.path_graph(3), infection=1.5, recovery=1.0)
    turing = M.ReactionDiffusion(nx.cycle_graph(12))
    light = M.Swing(3, damping=1.0)
    goodwin = M.Goodwin(k=4.0, p=10.0, decay=0.5)
    flat = M.Persidskii([[-2.0, 1.0], [0.5, -1.0]], activation="relu")
    box = (np.zeros(3), np.full(3, 20.0))
    assert past.reproduction > 1 and not turing.pattern_free and not light.overdamped and not goodwin.contracts
    for model, region in ((past, None), (turing, None), (light, None), (goodwin, box), (flat, None)):
        c = dn.certify(model, kind="strong", region=region)
        assert not c and c.reason, model
    assert "0" in dn.certify(flat, 1, kind="strong").reason


def test_a_queue_holds_up_the_other_exit_only_where_it_is_first_in_first_out():
    fork = [[0, 0, 0, 0], [1, 0, 0, 0], [3, 0, 0, 0], [0, 1, 1, 0]]
    model = M.CellTransmission(fork, inflow=0.9, junctions="fifo")
    rest = np.array([2.4, 0.2, 2.8, 0.8])
    assert np.allclose(model.rhs(0.0, rest), 0.0, atol=1e-12) and not np.allclose(
        M.CellTransmission(fork, inflow=0.9).rhs(0.0, rest), 0.0
    )
    assert model.replace(inflow=0.5).params["inflow"].tolist() == [0.5, 0.0, 0.0, 0.0]
    from dynet.scenario.tables import keywords

    assert {"coupling", "junctions", "speed"} <= set(keywords(M.CellTransmission))
