r"""What a certificate of strong contraction buys, with rate c and its norm.

======================= ======================================================================================
what                    bound
======================= ======================================================================================
two trajectories        :math:`e^{-ct}\|x_0 - y_0\| + (1 - e^{-ct})(\ell_u/c)\sup\|u - v\|`
:math:`L^q` gain        :math:`\|x - y\|_{L^q} \le (\ell_u/c)\|u - v\|_{L^q}` from equal initial states, every q
equilibrium             :math:`\|x - x^*\| \le \|F(x)\|/c` for every x
its shift               :math:`(\ell_u\|u - v\| + \|D(x_u)\|)/c`, when F(., u) becomes F(., v) + D
its tracking            :math:`\limsup\|x - x^*(\theta)\| \le (\ell_\theta/c^2)\limsup\|\dot\theta\|`
entrainment             one period T brings trajectories closer by :math:`e^{-cT}`; the periodic one is within
                        :math:`\|x(T) - x(0)\|/(1 - e^{-cT})` of x(0)
Lyapunov functions      :math:`\|x - x^*\|^2` and :math:`\|F(x)\|^2`, both decaying like :math:`e^{-2ct}`
======================= ======================================================================================

The shift is Lim's lemma with the one-sided constant in place of the Lipschitz constant: for :math:`x_u = G(x_u, u)`,
:math:`F = G - I` has :math:`c = 1 - \mathrm{osLip}(G) \ge 1 - \mathrm{Lip}(G)`. Numbers are rounded up by more than
the rounding of the sums that they come from.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
Davydov, Centorrino, Gokhale, Russo, Bullo, Time-varying convex optimization: a contraction and equilibrium tracking
approach, arXiv:2305.15595.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import VectorField
from ..fields.lure import LureField
from ..linalg.composite import CompositeNorm
from ..linalg.norms import Norm
from ..linalg.rigorous import gamma

__all__ = ["Enclosure", "box", "gain", "lim", "one_sided_lim", "residual"]

_UP = 1 + 1e-12


class Enclosure(NamedTuple):
    """Where the equilibrium is.

    Attributes
    ----------
    centre : ndarray, shape (n,)
    radius : float
        The equilibrium is within this distance of the centre, in the certificate's norm.
    lo, hi : ndarray, shape (n,)
        The corners of the least box around that ball.
    certified : bool
        Whether this is proven: the certificate is, and the rounding of the residual is bounded.
    """

    centre: np.ndarray
    radius: float
    lo: np.ndarray
    hi: np.ndarray
    certified: bool


def lim(lipschitz, gain, change):
    r"""Lim's lemma: how far the solution of x = G(x, u) moves with u, :math:`\ell_u\|u - v\|/(1 - \mathrm{Lip}_x G)`.

    Parameters
    ----------
    lipschitz : float
        Lipschitz constant of G in x, below 1.
    gain : float
        Lipschitz constant of G in u.
    change : float
        Distance of the two inputs.

    Raises
    ------
    ArgumentError
        For a Lipschitz constant of 1 or more: see :func:`one_sided_lim`.

    Examples
    --------
    >>> round(lim(0.5, 2.0, 0.1), 9)
    0.4
    """
    if not 0 <= lipschitz < 1:
        raise ArgumentError(
            "lipschitz", lipschitz, "a number from 0 to below 1; osLip below 1 suffices for one_sided_lim"
        )
    return gain * change / (1 - lipschitz) * _UP


def one_sided_lim(osLip, gain, change, perturbation=0.0):
    r"""The same with a one-sided constant and a perturbation.

    The bound is :math:`(\ell_u\|u-v\| + \|D(x_u, u)\|)/(1 - \mathrm{osLip}_x H)` for :math:`x_u = G(x_u, u)`,
    :math:`x_v = H(x_v, v)` and D = H - G at the solution that is known. Valid for Lipschitz constants of any size, and
    sharper than Lim's lemma wherever osLip < Lip.

    >>> round(one_sided_lim(-3.0, 2.0, 0.1, perturbation=0.2), 9)
    0.1
    """
    if not osLip < 1:
        raise ArgumentError("osLip", osLip, "a one-sided Lipschitz constant below 1")
    return (gain * change + perturbation) / (1 - osLip) * _UP


def gain(norm, structure, wrt, inputs=None):
    """A bound on how strongly the input enters the field: the Lipschitz constant of F in u, from the inputs' norm to `norm`.

    Parameters
    ----------
    norm : Norm
        Of the states.
    structure : structure or None
        Its slope bounds are used for a model whose input passes through its units.
    wrt : float, array_like (n, k), or LureField
        The constant itself; the matrix by which the input enters, or entrywise bounds on the moduli of dF/du; or the model.
    inputs : Norm, 1, 2 or inf, optional
        Norm of the inputs; plain, with the p of `norm`, when None.

    Returns
    -------
    float
    """
    if isinstance(wrt, LureField):
        return _model_gain(norm, structure, wrt, inputs)
    if isinstance(wrt, VectorField):
        raise ArgumentError("wrt", wrt, "a Lipschitz constant or a matrix: how the input enters this form is not known")
    array = np.asarray(wrt.toarray() if hasattr(wrt, "tocsr") else wrt, dtype=float)
    if array.ndim == 0:
        if not 0 <= array < math.inf:
            raise ArgumentError("wrt", wrt, "a Lipschitz constant of at least 0, a matrix, or the model")
        return float(array)
    if array.ndim == 1:
        array = np.diag(array)
    if array.ndim != 2 or not np.isfinite(array).all() or norm.n not in (None, len(array)):
        raise ArgumentError(
            "wrt", Shown(f"an array of shape {array.shape}"), f"a finite matrix of {norm.n or 'n'} rows"
        )
    return _between(array, inputs, norm)


def _model_gain(norm, structure, model, inputs):
    lo, hi = model.slopes if structure is None or structure.form != "lure" else (structure.lo, structure.hi)
    slope = np.maximum(np.abs(lo), np.abs(hi))
    D, F, B = (None if m is None else np.asarray(_dense(m), dtype=float) for m in (model.D, model.F, model.B))
    if not model.inputs or (D is None and B is None):
        raise ArgumentError("wrt", model, "a model with inputs")
    direct = np.zeros((model.n, model.inputs)) if D is None else D
    if B is None:
        return _between(direct, inputs, norm)
    if norm.weights is None or norm.weights.ndim == 1:  # these norms grow with the moduli of the entries
        return _between(np.abs(direct) + (np.abs(F) * slope) @ np.abs(B), inputs, norm)
    inner = Norm(2)
    through = _between(F * slope, inner, norm) * _between(B, inputs if inputs is not None else Norm(norm.p), inner)
    return (_between(direct, inputs, norm) if D is not None else 0.0) + through * _UP


def _between(M, source, target):
    """The induced norm of a matrix from one norm to another, or a bound on it."""
    source = Norm(target.p) if source is None else source if isinstance(source, Norm) else Norm(source)
    n, k = M.shape
    block = np.zeros((n + k, n + k))
    block[:n, n:] = M
    return float(CompositeNorm([(n, target), (k, source)]).gain_matrix(block)[0, 1]) * _UP


def length(norm, x, error=0.0):
    """The norm of every vector within `error` of x, entry by entry; rounded up. Shapes (..., n) -> (...)."""
    x = np.asarray(x, dtype=float)
    error = np.broadcast_to(np.asarray(error, dtype=float), x.shape)
    if isinstance(norm, CompositeNorm):
        parts = [length(inner, x[..., cut], error[..., cut]) for inner, cut in norm.cuts()]
        return length(norm.outer, np.stack(parts, axis=-1))
    weights = norm.weights
    up = 1 + 2 * gamma(x.shape[-1] + 20)
    if weights is None or weights.ndim == 1:
        return norm.length((np.abs(x) + error) * (1 + 2.0**-50)) * up
    # the factor of P is rounded: x P x is off by at most gamma trace(P) |x|^2; and P is at most trace(P) I
    trace = float(np.trace(weights)) * (1 + 1e-9)
    size = np.sqrt((x * x).sum(axis=-1)) * up
    main = np.sqrt(norm.length(x) ** 2 * up + 2 * gamma(2 * x.shape[-1] + 20) * trace * size**2)
    return (main + math.sqrt(trace) * np.sqrt((error * error).sum(axis=-1))) * (1 + 1e-12)


def residual(norm, model, x, u=None):
    """The length of F(x), rounded up, and whether the rounding of F itself is in it."""
    value, error = model.rhs(0.0, x, u), model.rhs_error(0.0, x, u)
    return length(norm, value, 0.0 if error is None else error), error is not None


def box(norm, radius):
    """Half the sides of the least box around a ball, rounded up, shape (n,); or one number where the norm has no size.

    >>> print(box(Norm("inf", [1.0, 3.0]), 2.0).round(9), box(Norm(2, [[4.0, 0.0], [0.0, 1.0]]), 2.0).round(9))
    [2. 6.] [1. 2.]
    """
    if isinstance(norm, CompositeNorm):
        radii = np.broadcast_to(box(norm.outer, radius), len(norm.sizes))
        return np.concatenate(
            [np.broadcast_to(box(inner, r), n) for inner, n, r in zip(norm.norms, norm.sizes, radii, strict=True)]
        )
    w = norm.weights
    if w is None:
        return radius
    if norm.p == math.inf:
        half = radius * w
    elif norm.p == 1:
        half = radius / w
    elif w.ndim == 1:
        half = radius / np.sqrt(w)
    else:
        inverse = np.linalg.inv(w)
        defect = np.abs(np.eye(len(w)) - w @ inverse)
        slack = gamma(len(w) + 4) * (np.abs(w) @ np.abs(inverse))
        doubt = float((defect + slack).sum(axis=1).max())
        if doubt >= 0.5:
            return np.full(len(w), math.inf)
        rows = np.abs(inverse).sum(axis=1) * doubt / (1 - doubt)  # |P^-1 - X|, by Z = I - P X: X Z (I - Z)^-1
        half = radius * np.sqrt(np.maximum(np.diagonal(inverse), 0.0) + rows)
    return half * _UP


def _dense(M):
    if not isinstance(M, np.ndarray):
        return M.toarray()
    return np.diag(M) if M.ndim == 1 else M
