"""Training implicit graph networks, and two small tasks for them that need no data from outside.

*Chains*: a class is written on the first node of a path and asked for at every node. Whoever looks k edges far knows nothing
at the other end; an implicit network's influence fades but does not end. *Karate club*: the two factions after the split,
from the names of the two leaders and who meets whom.

References
----------
Gu, Chang, Zhu, Sojoudi, El Ghaoui, Implicit graph neural networks, NeurIPS 2020, arXiv:2009.06211.
Zachary, An information flow model for conflict and fission in small groups, Journal of Anthropological Research 33, 1977.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import describe
from ..fields.graph import coupling_matrix
from .optimize import Adam

__all__ = ["GraphHistory", "GraphTask", "accuracy", "chains", "fit_nodes", "karate_club", "normalised"]


class GraphTask(NamedTuple):
    """A graph, features and labels of its nodes, and which of them are shown in training.

    Attributes
    ----------
    coupling : ndarray or scipy.sparse.csr_array, shape (N, N)
    U : ndarray, shape (N, m)
    labels : ndarray of int, shape (N,)
    shown : ndarray of bool, shape (N,)
    """

    coupling: object
    U: np.ndarray
    labels: np.ndarray
    shown: np.ndarray


class GraphHistory(NamedTuple):
    """One number per epoch each: loss and accuracy on the nodes that are shown, iterations of the forward and adjoint pass,
    and the log norm."""

    loss: np.ndarray
    accuracy: np.ndarray
    iterations: np.ndarray
    adjoint: np.ndarray
    mu: np.ndarray


def normalised(graph, loops=True, edge_weight="weight"):
    r"""A coupling matrix divided by the roots of its degrees, :math:`D^{-1/2}(K + I)D^{-1/2}`, whose largest eigenvalue is 1.

    Parameters
    ----------
    graph : networkx graph, ndarray (N, N) or scipy sparse array
        Weights not negative; symmetric, for the eigenvalue.
    loops : bool
        Whether to add 1 to the diagonal.
    edge_weight : str

    Returns
    -------
    ndarray or scipy.sparse.csr_array

    Examples
    --------
    >>> normalised(np.array([[0.0, 1.0], [1.0, 0.0]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    K, _ = coupling_matrix(graph, weight=edge_weight)
    entries = K if isinstance(K, np.ndarray) else K.data
    if (entries < 0).any():
        raise ArgumentError("graph", Shown("a negative weight"), "weights that are not negative")
    if not isinstance(K, np.ndarray):
        from scipy.sparse import diags_array, eye_array

        K = (K + eye_array(K.shape[0])).tocsr() if loops else K
        scale = diags_array(1 / np.sqrt(np.maximum(K.sum(axis=1), 1e-300)))
        return (scale @ K @ scale).tocsr()
    K = K + np.eye(len(K)) if loops else K
    scale = 1 / np.sqrt(np.maximum(K.sum(axis=1), 1e-300))
    return K * scale[:, None] * scale


def chains(classes=2, count=10, length=30, shown=2, seed=0):
    """Paths whose first node tells the class of all their nodes; the other nodes have no features.

    Parameters
    ----------
    classes, count, length : int
        Number of classes, paths of each class, nodes of a path.
    shown : int
        Paths of each class whose labels are shown in training.
    seed : int
        Draws the order of the paths and how strongly each first node speaks.

    Returns
    -------
    GraphTask
        The coupling is normalised, without loops, and sparse.

    Examples
    --------
    >>> task = chains(classes=3, count=4, length=5)
    >>> task.coupling.shape, task.U.shape, int(task.shown.sum())
    ((60, 60), (60, 3), 30)
    """
    for name, value, least in (
        ("classes", classes, 2),
        ("count", count, 1),
        ("length", length, 2),
        ("shown", shown, 1),
    ):
        if not isinstance(value, (int, np.integer)) or value < least or (name == "shown" and value > count):
            raise ArgumentError(
                name, value, f"an integer of at least {least}" + (", not above count" * (name == "shown"))
            )
    from scipy.sparse import block_diag, diags_array

    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.repeat(np.arange(classes), count))
    one = np.ones(length - 1)
    path = normalised(diags_array([one, one], offsets=[-1, 1]).tocsr(), loops=False)
    U = np.zeros((len(kinds), length, classes))
    U[np.arange(len(kinds)), 0, kinds] = rng.uniform(0.5, 1.5, len(kinds))
    seen = np.zeros(len(kinds), bool)
    for kind in range(classes):
        seen[np.flatnonzero(kinds == kind)[:shown]] = True
    coupling = block_diag([path] * len(kinds), format="csr")
    return GraphTask(coupling, U.reshape(-1, classes), np.repeat(kinds, length), np.repeat(seen, length))


def karate_club():
    """Zachary's karate club: 34 members, two factions, of which the two leaders are shown.

    >>> task = karate_club()
    >>> task.U.shape, int(task.shown.sum()), np.bincount(task.labels)
    ((34, 34), 2, array([17, 17]))
    """
    import networkx as nx

    graph = nx.karate_club_graph()
    labels = np.array([int(graph.nodes[node]["club"] != "Mr. Hi") for node in graph])
    shown = np.zeros(34, bool)
    shown[[0, 33]] = True
    return GraphTask(normalised(graph, edge_weight=None), np.eye(34), labels, shown)


def accuracy(net, task, where=None, tol=1e-10):
    """The share of nodes that a network assigns to their class: of those that were not shown, or of `where`.

    >>> from dynet.implicit.graph import GraphNetwork
    >>> task = karate_club()
    >>> net = GraphNetwork.random(task.coupling, 34, 4, 2, seed=1)
    >>> 0.0 <= accuracy(net, task) <= 1.0
    True
    """
    where = ~task.shown if where is None else where
    return float((net(task.U, tol)[where].argmax(axis=1) == task.labels[where]).mean())


def fit_nodes(net, task, *, epochs=100, lr=0.02, gamma=0.9, decay=0.0, tol=1e-8, bias=True):
    r"""Train a graph network on the nodes that a task shows: cross entropy, exact gradients, Adam, projection.

    After every step the rows of W are projected such that :math:`\mu \le \gamma`: the network is well-posed all the time.

    Parameters
    ----------
    net : GraphNetwork
        On the task's coupling; unchanged.
    task : GraphTask
    epochs : int
        Steps; each uses all nodes that are shown.
    lr : float
        Rate of Adam.
    gamma : float
        Above 0 and below 1.
    decay : float
        Half the weight of the squares of W, B and C in the loss.
    tol : float
        Error of the states, and relative error of the adjoint.
    bias : bool
        Whether to train b and d.

    Returns
    -------
    net : GraphNetwork
    history : GraphHistory
        Shorter than `epochs` where the loss is no longer finite; the network is then the last one before.

    Raises
    ------
    ArgumentError
        For labels that are out of range, or no node that is shown.

    Examples
    --------
    >>> from dynet.implicit.graph import GraphNetwork
    >>> task = karate_club()
    >>> net, history = fit_nodes(GraphNetwork.random(task.coupling, 34, 4, 2), task, epochs=20)
    >>> bool(history.loss[-1] < history.loss[0]), net.mu <= 0.9
    (True, True)
    """
    labels, shown = np.asarray(task.labels), np.flatnonzero(task.shown)
    if not shown.size:
        raise ArgumentError("task", Shown("no node that is shown"), "at least one")
    if (
        labels.shape != (net.nodes,)
        or labels.dtype.kind not in "iu"
        or not (labels < net.outputs).all()
        or (labels < 0).any()
    ):
        raise ArgumentError("task", describe(labels), f"{net.nodes} labels from 0 to {net.outputs - 1}")
    for name, value in (("lr", lr), ("tol", tol)):
        if not (np.isscalar(value) and np.isfinite(value) and value > 0):
            raise ArgumentError(name, value, "a positive number")
    if not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise ArgumentError("epochs", epochs, "a positive integer")
    names = ("W", "B", "C", "b", "d") if bias else ("W", "B", "C")
    net = net.projected(gamma)
    adam = Adam({name: getattr(net, name) for name in names})
    rows, X = [], None
    for _ in range(epochs):
        found = net.solve(task.U, tol, x0=X)
        X = found.x
        loss, hits, dY = _cross_entropy(X @ net.C.T + net.d, labels, shown)
        if not np.isfinite(loss):
            break
        slopes = net.gradients(task.U, X, dY, tol)
        rows.append((loss, hits, found.iterations, slopes.iterations, net.mu))
        changed = {name: np.array(getattr(net, name), order="C") for name in names}
        pull = {name: decay if value.ndim == 2 else 0.0 for name, value in changed.items()}  # a penalty of the loss
        adam.step(
            changed,
            {name: np.ascontiguousarray(getattr(slopes, name) + pull[name] * value) for name, value in changed.items()},
            lr,
        )
        net = net.replace(**changed, weights=net.posedness[-2:]).projected(gamma)
    return net, GraphHistory(*(np.array(column) for column in zip(*rows, strict=True)))


def _cross_entropy(Y, labels, shown):
    """Mean cross entropy and accuracy over some nodes, and the gradient with respect to Y."""
    logits = Y[shown] - Y[shown].max(axis=1, keepdims=True)
    weights = np.exp(logits)
    p = weights / weights.sum(axis=1, keepdims=True)
    own = np.arange(len(shown)), labels[shown]
    loss = float(np.mean(np.log(weights.sum(axis=1)) - logits[own]))
    hits = float((logits.argmax(axis=1) == labels[shown]).mean())
    p[own] -= 1.0
    dY = np.zeros_like(Y)
    dY[shown] = p / len(shown)
    return loss, hits, dY
