"""Naive twins of the certificates: exact rational enumeration of all slopes, and random fields to try them on.

Nothing here imports the rooms that are tested; the models are only carriers of matrices.
"""

from fractions import Fraction

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

import dynet as dn
from dynet.fields.lure import LureField
from tests import oracles

KINDS = ("FiringRate", "Hopfield", "Persidskii", "LinearMinusMonotone", "Lure", "unit")
SLOPES = ((0.0, 1.0), (0.0, 0.25), (0.3, 1.0), (-1.0, 1.0), (-0.128904145, 1.128904145), (1.0, 1.0), (-0.7, -0.2))


def activation(lo, hi):
    """An activation of which the certificate knows nothing but its slopes."""
    middle = (lo + hi) / 2
    return dn.Activation("bent", lambda z, a: middle * z, lambda z, a: middle + 0 * z, (lo, hi))


def dense(matrix):
    """A matrix of any of the three kinds, as a dense array."""
    if not isinstance(matrix, np.ndarray):
        return matrix.toarray()
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def parts(model):
    """E, F, G dense, and the ends of the slopes."""
    return *(dense(m) for m in (model.E, model.F, model.G)), *model.slopes


def exact_maximum(model, norm):
    """The largest log norm over all slopes, as a Fraction; p = 1 or inf."""
    n = model.n
    eta = np.ones(n) if norm.weights is None else norm.weights
    return oracles.max_log_norm_exact(*parts(model), norm.p, eta)


def exact_l2_holds(model, P, b):
    """Whether ``P J + J' P <= 2 b P`` at every vertex of the slopes: sufficient for all, as J is affine in them."""
    E, F, G, lo, hi = parts(model)
    n, m = len(E), len(G)
    E, F, G, P = ([[Fraction(float(v)) for v in row] for row in M] for M in (E, F, G, P))
    b = Fraction(float(b))
    for d in oracles.slope_corners([Fraction(float(v)) for v in lo], [Fraction(float(v)) for v in hi]):
        J = [[E[i][j] + sum(F[i][k] * d[k] * G[k][j] for k in range(m)) for j in range(n)] for i in range(n)]
        PJ = [[sum(P[i][k] * J[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
        S = [[2 * b * P[i][j] - PJ[i][j] - PJ[j][i] for j in range(n)] for i in range(n)]
        if not is_semidefinite(S):
            return False
    return True


def is_semidefinite(S):
    """Symmetric elimination in rationals."""
    S = [list(row) for row in S]
    for k in range(len(S)):
        if S[k][k] < 0 or (S[k][k] == 0 and any(S[i][k] != 0 for i in range(k, len(S)))):
            return False
        if S[k][k] == 0:
            continue
        for i in range(k + 1, len(S)):
            factor = S[i][k] / S[k][k]
            for j in range(k, len(S)):
                S[i][j] -= factor * S[k][j]
    return True


def make(kind, A, leak, slopes, random, sparse=False):
    """A field of the kind, with coupling A; for the general forms two more matrices are drawn."""
    n = len(A)
    phi = activation(*slopes)
    form = sp.csr_array if sparse else np.array
    if kind in ("FiringRate", "Hopfield"):
        return getattr(dn.models, kind)(form(A), leak=leak, activation=phi)
    if kind in ("Persidskii", "LinearMinusMonotone"):
        return getattr(dn.models, kind)(form(A), activation=phi)
    m = 1 if kind == "unit" else 2
    F, G = np.round(random.normal(size=(n, m)), 2), np.round(random.normal(size=(m, n)), 2)
    return LureField(form(A - np.diag(leak)), form(F), form(G), activation=phi)


@st.composite
def fields(draw, kinds=KINDS, largest=5, integer=None, sparse=None):
    """A field, dense or sparse, with zeros, of round or of arbitrary numbers, with slopes of any sign."""
    n = draw(st.integers(1, largest))
    kind = draw(st.sampled_from(kinds))
    slopes = draw(st.sampled_from(SLOPES))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    A = random.normal(size=(n, n)) * (random.random((n, n)) < draw(st.sampled_from([0.3, 0.7, 1.0])))
    leak = random.uniform(-0.5, 3.0, n)
    if draw(st.booleans()) if integer is None else integer:
        A, leak = np.round(2 * A), np.round(leak)
    return make(kind, A, leak, slopes, random, draw(st.booleans()) if sparse is None else sparse)


@st.composite
def weights(draw, n):
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).uniform(0.1, 3.0, n)
