"""The four recurrent models: equations, Jacobians, compiled against plain, labels, bad input."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

import dynet as dn
from dynet.errors import ArgumentError
from dynet.fields import activation
from tests.blocks import run_block

RANDOM = np.random.default_rng(3)
A = RANDOM.normal(0, 0.5, (7, 7))
U = RANDOM.normal(0, 1.0, 7)
C = RANDOM.uniform(0.5, 2.0, 7)

MODELS = {
    "hopfield": (lambda a: dn.models.Hopfield(a, leak=C, input=U), lambda x: -C * x + A @ np.tanh(x) + U),
    "firing": (lambda a: dn.models.FiringRate(a, leak=C, input=U), lambda x: -C * x + np.tanh(A @ x + U)),
    "persidskii": (lambda a: dn.models.Persidskii(a, input=U), lambda x: A @ np.tanh(x) + U),
    "linear": (lambda a: dn.models.LinearMinusMonotone(a, input=U), lambda x: A @ x - np.tanh(x) + U),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_equation_in_python_and_compiled(kind, form):
    make, equation = MODELS[kind]
    model = make(form(A))
    x = RANDOM.normal(0, 1, (5, 7))
    expected = np.array([equation(row) for row in x])
    assert np.allclose(model.rhs(0.0, x), expected, rtol=1e-14, atol=1e-14)
    assert np.allclose(run_block(model, 0.0, x, model.input), expected, rtol=1e-13, atol=1e-13)
    assert np.allclose(run_block(model, 0.0, x[:1], model.input), expected[:1], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_jacobian_agrees_with_differences(kind, form):
    model = MODELS[kind][0](form(A))
    x = RANDOM.normal(0, 1, 7)
    jacobian = model.jacobian(0.0, x)
    jacobian = jacobian if isinstance(jacobian, np.ndarray) else jacobian.toarray()
    h = 1e-6
    differences = np.array([(model.rhs(0, x + h * e) - model.rhs(0, x - h * e)) / (2 * h) for e in np.eye(7)]).T
    assert np.allclose(jacobian, differences, atol=1e-8)


@pytest.mark.parametrize("name", [*activation.names(), "leaky_relu(0.3)"])
def test_each_activation_compiled_agrees_with_python(name):
    model = dn.models.FiringRate(np.eye(5) * 2.0, activation=name)
    x = np.array([[-8.0, -1.3, -1e-3, 0.0, 1e-9], [0.2, 0.9, 1.1, 4.0, 9.0]])
    assert np.allclose(run_block(model, 0.0, x), model.rhs(0.0, x), rtol=1e-13, atol=1e-14)


def test_a_users_activation_compiles_from_its_source():
    def cubic(z, a):
        return z + 0.1 * np.sin(z)

    mine = dn.Activation("cubic", cubic, slopes=(0.9, 1.1))
    model = dn.models.Hopfield(A, activation=mine)
    x = RANDOM.normal(0, 1, (3, 7))
    assert np.allclose(run_block(model, 0.0, x), model.rhs(0.0, x), rtol=1e-13, atol=1e-13)


def test_rounding_bound_covers_the_difference_to_longdouble():
    for make, _ in MODELS.values():
        model = make(A)
        for _ in range(20):
            x = RANDOM.normal(0, 10.0 ** RANDOM.integers(-3, 4), 7)
            wide = x.astype(np.longdouble)
            E, F, G = (np.diag(m) if m.ndim == 1 else m for m in (model.E, model.F, model.G))
            u = np.asarray(U, dtype=np.longdouble)
            z = G.astype(np.longdouble) @ wide + (u if model.B is not None else 0)
            true = (
                E.astype(np.longdouble) @ wide
                + F.astype(np.longdouble) @ np.tanh(z)
                + (u if model.D is not None else 0)
            )
            error = np.abs(model.rhs(0.0, x) - true)
            bound = model.rhs_error(0.0, x)
            assert np.all(error <= bound) and np.all(bound < 1e-10 * (1 + np.abs(x).max()))


def test_labels_come_from_the_graph_and_can_be_given():
    graph = nx.les_miserables_graph()
    assert dn.models.Hopfield(graph).labels[0] == "Napoleon"
    assert dn.models.Hopfield(graph).params["weight"] == 1.0
    assert dn.models.Hopfield([[0.0]], labels=["only"]).labels == ("only",)


def test_replace_rebuilds_with_one_parameter_changed():
    model = dn.models.FiringRate(A, weight=0.1)
    other = model.replace(weight=0.2)
    assert np.allclose(other.G, 2 * model.G) and other.params["weight"] == 0.2
    with pytest.raises(ArgumentError, match="did you mean 'weight'"):
        model.replace(wieght=1.0)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (dict(coupling=np.ones((2, 3))), "coupling"),
        (dict(coupling=[[np.nan]]), "coupling"),
        (dict(coupling=[[1.0]], weight=np.inf), "weight"),
        (dict(coupling=[[1.0]], weight="a"), "weight"),
        (dict(coupling=[[1.0]], leak=[1.0, 2.0]), "leak"),
        (dict(coupling=[[1.0]], activation="rleu"), "did you mean 'relu'"),
        (dict(coupling=[[1.0]], input=[1.0, 2.0]), "input"),
        (dict(coupling=[[1.0]], labels=["a", "b"]), "labels"),
    ],
)
def test_bad_arguments_are_named(arguments, word):
    with pytest.raises(ArgumentError, match=word):
        dn.models.Hopfield(**arguments)


def test_general_lure_field_with_rectangular_layers():
    F, G, B = RANDOM.normal(size=(3, 5)), RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(5, 2))
    E, D = RANDOM.normal(size=(3, 3)), RANDOM.normal(size=(3, 2))
    g, h, u = RANDOM.normal(size=5), RANDOM.normal(size=3), np.array([0.3, -0.4])
    model = dn.models.Lure(E, F, G, B=B, D=D, g=g, h=h, activation="tanh", input=u)
    x = RANDOM.normal(size=(4, 3))
    expected = np.array([E @ v + F @ np.tanh(G @ v + B @ u + g) + D @ u + h for v in x])
    assert np.allclose(model.rhs(0.0, x), expected, atol=1e-14)
    assert np.allclose(run_block(model, 0.0, x, model.input), expected, atol=1e-13)
    for name, value in dict(F=F.T, G=G[:, :2], B=B.T, D=D[:, :1], g=h, h=g).items():
        with pytest.raises(ArgumentError, match=name):
            dn.models.Lure(**{**dict(E=E, F=F, G=G, B=B, D=D, g=g, h=h), name: value})
