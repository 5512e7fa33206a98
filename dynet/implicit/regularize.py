r"""Smaller networks whose certificate is the larger one's.

Deleting units leaves a principal submatrix, and :math:`\mu(A_{SS}) \le \mu(A)` with the weights of the units that stay;
deleting couplings off the diagonal, or entries of B and C, can only lower row sums. So what is pruned stays well-posed,
with the rate and the Lipschitz bound of the whole at least, and nothing has to be certified again.

What is deleted is what the outputs can miss best, by a bound. With :math:`G = |C|(I - \lceil A\rceil)^{-1}` the gain
from a unit's argument to the outputs, deleting entries E of A, :math:`E_B` of B and :math:`E_C` of C changes the
outputs by at most

.. math:: G\,(|E||x| + |E_B||u|) + |E_C||x|,

x the states of the network that is pruned (since :math:`\lceil A - E\rceil \le \lceil A\rceil`). Averages of
:math:`|x|` and :math:`|u|` over a set of images make it a score of each entry; a unit's score is that of all that
leaves it.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from .robustness import outputs

__all__ = ["change_bound", "importance", "prune", "size"]


def size(net):
    """The couplings of a network: entries of A off the diagonal, of B and of C that are not zero."""
    A, B, C = _dense(net)
    return int(np.count_nonzero(A) - np.count_nonzero(A.diagonal()) + np.count_nonzero(B) + np.count_nonzero(C))


def importance(net, U):
    """How much the outputs can change at most, on average over images, when something is deleted.

    Parameters
    ----------
    net : ImplicitNetwork
        Well-posed, with an activation whose slopes are in [0, 1].
    U : array_like, shape (samples, inputs)

    Returns
    -------
    dict of str to ndarray
        ``"A"`` (n, n, zero on the diagonal), ``"B"`` (n, m), ``"C"`` (q, n) for single entries and ``"units"`` (n,).

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [0.0, -1.0]], [[1.0], [1.0]], [[1.0, 0.0]])
    >>> found = importance(net, [[2.0]])
    >>> found["units"].round(9)
    array([1.25, 0.25])
    """
    gain, x = _gain(net), np.abs(net.solve(U, 1e-8).x).mean(axis=0)
    u = np.abs(np.asarray(U, dtype=float)).mean(axis=0)
    A, B, C = (np.abs(matrix) for matrix in _dense(net))
    np.fill_diagonal(A, 0.0)
    worst = gain.max(axis=0)
    by_unit = ((gain @ A + C) * x).max(axis=0)
    return {"A": worst[:, None] * A * x, "B": worst[:, None] * B * u, "C": C * x, "units": by_unit}


def prune(net, U, *, units=None, couplings=None):
    """The network without the units or couplings that its outputs miss least.

    Parameters
    ----------
    net : ImplicitNetwork
    U : array_like, shape (samples, inputs)
        Images for which the outputs should stay as they are.
    units : int, optional
        How many units stay.
    couplings : int, optional
        How many entries of A off the diagonal, of B and of C stay, after the units.

    Returns
    -------
    ImplicitNetwork
        With the weights of the units that stay; its log norm and Lipschitz bound are at most those of `net`.

    Raises
    ------
    ArgumentError
        For a target that is not between 1 and what there is, or neither of the two.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork.random(4, 20, 3, gamma=0.5, seed=2)
    >>> small = dn.implicit.prune(net, [[0.1, 0.4, 0.2, 0.9]], units=10, couplings=60)
    >>> small.n, dn.implicit.regularize.size(small), small.mu <= net.mu
    (10, 60, True)
    """
    if units is None and couplings is None:
        raise ArgumentError("units", None, "how many units stay, or couplings=, how many couplings")
    if units is not None:
        _check("units", units, net.n)
        score = importance(net, U)["units"]
        stay = np.sort(np.argsort(-score, kind="stable")[:units])
        A, B, C = _dense(net)
        net = net.replace(
            A=A[np.ix_(stay, stay)], B=B[stay], C=C[:, stay], b=net.exact("b")[stay], weights=net.weights[stay]
        )  # fmt: skip
    if couplings is not None:
        _check("couplings", couplings, size(net))
        score, (A, B, C) = importance(net, U), _dense(net)
        there = {"A": A != 0.0, "B": B != 0.0, "C": C != 0.0}
        np.fill_diagonal(there["A"], False)
        # an entry without effect on these images goes first, an entry that is not there is none
        flat = np.concatenate([np.where(there[k], score[k], -1.0).ravel() for k in "ABC"])
        keep = np.zeros(flat.size, dtype=bool)
        keep[np.argsort(-flat, kind="stable")[:couplings]] = True
        cuts = np.cumsum([A.size, B.size])
        keep = [part.reshape(M.shape) for part, M in zip(np.split(keep, cuts), (A, B, C), strict=True)]
        np.fill_diagonal(keep[0], True)
        net = net.replace(A=A * keep[0], B=B * keep[1], C=C * keep[2], weights=net.weights)
    return net


def change_bound(net, pruned, U):
    """A bound on the change of each output when couplings were deleted, shape (samples, outputs); not rounded outward.

    Parameters
    ----------
    net, pruned : ImplicitNetwork
        Of the same units; `pruned` has fewer couplings.
    U : array_like, shape (samples, inputs)
    """
    x, u = np.abs(net.solve(U, 1e-10).x), np.abs(np.asarray(U, dtype=float))
    gone = [np.abs(a - b) for a, b in zip(_dense(net), _dense(pruned), strict=True)]
    return (x @ gone[0].T + u @ gone[1].T) @ _gain(net).T + x @ gone[2].T


def sparsity(net, U, labels, fractions, images):
    """Accuracy of the pruned network for fractions of the couplings that stay.

    Parameters
    ----------
    net : ImplicitNetwork
    U, labels : array_like
        For the accuracy.
    fractions : sequence of float
        Above 0, up to 1.
    images : array_like
        For the scores.

    Returns
    -------
    list of (ImplicitNetwork, float)
        Pruned networks and their accuracies.
    """
    whole, found = size(net), []
    for fraction in fractions:
        if not 0.0 < fraction <= 1.0:
            raise ArgumentError("fractions", fraction, "numbers above 0, up to 1")
        small = net if fraction == 1.0 else prune(net, images, couplings=max(1, round(fraction * whole)))
        found.append((small, float(np.mean(outputs(small, U).argmax(axis=1) == np.asarray(labels)))))
    return found


def _check(name, value, largest):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= largest:
        raise ArgumentError(name, value, f"a whole number from 1 to {largest}")


def _dense(net):
    """A, B and C as arrays of their own."""
    found = (net.exact(name) for name in "ABC")
    return [matrix.copy() if isinstance(matrix, np.ndarray) else matrix.toarray() for matrix in found]


def _gain(net):
    """|C| (I - ceil A)^-1, shape (q, n)."""
    if not net.well_posed or not (0.0 <= net.activation.slopes[0] and net.activation.slopes[1] <= 1.0):
        raise ArgumentError("net", net, "a well-posed network whose slopes are in [0, 1]")
    A, _, C = _dense(net)
    majorant = np.abs(A)
    np.fill_diagonal(majorant, A.diagonal())
    return np.linalg.solve((np.eye(net.n) - majorant).T, np.abs(C).T).T
