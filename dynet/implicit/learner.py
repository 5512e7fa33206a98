r"""The loss of an implicit network and its exact gradient, for a batch, in the arithmetic of training (single
precision).

**Parameters.** :math:`A = [\eta]\, T\, [\eta]^{-1} + [a]` with :math:`\eta = e^w`, T without diagonal and
:math:`a_i = \gamma - \sum_j |T_{ij}| - s_i^2`, so that :math:`\mu_{\infty,[\eta]^{-1}}(A) = \gamma - \min_i s_i^2`
whatever T, w and s are: every network on the way is well-posed. Pixels are shifted and scaled to mean 0 and deviation 1
before B; the network that comes out takes pixels as they are.

**Loss.** With y the outputs, t the label and z the largest possible :math:`y_j - y_t` over the box of half-width
:math:`\varepsilon` around the image, within the range of pixels,

.. math:: (1 - \kappa)\, \mathrm{CE}(y, t) + \kappa\, \mathrm{CE}(z, t) + \lambda\, \mathrm{Lip}, \qquad
   \mathrm{Lip} = \|C[\eta]\|_\infty \|[\eta]^{-1} B\|_\infty / (1 - \mu).

z comes from the mixed-monotone embedding: with :math:`l = m - r` and :math:`h = m + r` the ends of the interval of
states, :math:`A m` and :math:`|A| r` give both, since :math:`\lceil A\rceil x + \lfloor A\rfloor \bar x` and its mirror
image are their difference and sum.

**Gradient.** With D the slopes at the fixed point, :math:`w = D(A^\top w + g)` is swept like the state, and
:math:`\partial A = w x^\top` etc. Both sweeps absorb the diagonal, so the factor of the forward one bounds the
adjoint's (in the dual norm). Nothing here is rounded outward: training needs no proof. What is proven of the trained
network is proven by :mod:`dynet.implicit.bounds`.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194;
Jafarpour, Abate, Davydov, Bullo, Coogan, Robustness certificates for implicit neural networks: a mixed monotone
contractive approach, arXiv:2112.05310.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engine.training import kernels, worst_gap
from ..errors import ArgumentError
from .parametrize import WeightedInf

__all__ = ["ImplicitLearner", "Step", "cross_entropy", "softmax"]

_SLACK = 1e-2  # the least s^2 of a start: at s = 0 its gradient vanishes
_SWEEPS = 200
_GONE = -1e30  # what a dropped unit sees


@dataclass(frozen=True)
class Step:
    """What one batch gave.

    Attributes
    ----------
    loss : float
    gradients : dict of str to ndarray
        By the names of the parameters.
    correct : int
        Samples that the network classified rightly.
    iterations, adjoint_iterations : int
        Sweeps until the residual was below the tolerance.
    residual : float
        The largest entry of x - relu(Ax + Bu + b) over the batch.
    """

    loss: float
    gradients: dict
    correct: int
    iterations: int
    adjoint_iterations: int
    residual: float


def softmax(y):
    """Probabilities of the outputs `y`, shape (batch, classes)."""
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(y, labels):
    """The mean cross entropy and its derivative by `y`, shape (batch, classes)."""
    rows = np.arange(len(labels))
    top = y.max(axis=1, keepdims=True)
    e = np.exp(y - top)
    total = e.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) + top[:, 0] - y[rows, labels]))
    e /= total
    e[rows, labels] -= 1.0
    e *= y.dtype.type(1.0 / len(labels))
    return loss, e


class ImplicitLearner:
    """The parameters of a network of rectifiers, its loss and its gradients.

    Parameters
    ----------
    net : ImplicitNetwork
        Where to start.
    gamma : float
        Bound on the log norm of A in its weighted norm, kept throughout; at least the network's own.
    shift, scale : float
        Subtracted from pixels, which are then divided by it.
    tol : float
        Largest residual of a fixed point.
    sparse : bool
        Entries of A, B and C that are zero stay zero.
    pixels : tuple of float
        The range to which boxes of images are cut.
    dropout, edge_dropout : float
        Probabilities with which a unit, or an entry of A off its diagonal, is left out of a batch.
    dtype : dtype
    """

    def __init__(
        self,
        net,
        *,
        gamma,
        shift=0.0,
        scale=1.0,
        tol=1e-4,
        sparse=False,
        dropout=0.0,
        edge_dropout=0.0,
        pixels=(0.0, 1.0),
        dtype=np.float32,
    ):
        A, eta = net.exact("A"), net.weights
        T = A * eta / eta[:, None]
        np.fill_diagonal(T, 0.0)
        slack = gamma - np.abs(T).sum(axis=1) - np.diag(A)
        if slack.min() < -1e-9 * (1.0 + np.abs(A).max()):
            raise ArgumentError("gamma", gamma, f"at least the log norm of the network's A, which is {net.mu:.6g}")
        params = {
            "T": T, "w": np.log(eta), "s": np.sqrt(np.maximum(slack, _SLACK)), "B": np.asarray(net.B) * scale,
            "b": np.asarray(net.b) + shift * np.asarray(net.B).sum(axis=1), "C": net.C, "d": net.d,
        }  # fmt: skip
        self.params = {name: np.array(value, dtype=dtype, order="C") for name, value in params.items()}
        self.net, self.gamma, self.shift, self.scale, self.tol = net, float(gamma), shift, scale, tol
        self.dropout, self.edge_dropout, self.dtype = dropout, edge_dropout, np.dtype(dtype)
        self.pixels = pixels
        self.kept = {"T": T != 0.0, "B": net.B != 0.0, "C": net.C != 0.0} if sparse else {}
        self._space = {}

    def network(self):
        """The network of the present parameters, in double precision."""
        p, keep = {name: value.astype(float) for name, value in self.params.items()}, 1.0 - self.dropout
        A, eta = WeightedInf(self.gamma).build(p)
        diagonal = A.diagonal().copy()
        A *= keep * (1.0 - self.edge_dropout)  # couplings that shrink keep the log norm below gamma
        np.fill_diagonal(A, diagonal)
        B = p["B"] / self.scale
        return self.net.replace(A=A, B=B, b=p["b"] - self.shift * B.sum(axis=1), C=keep * p["C"], d=p["d"], weights=eta)

    def lipschitz(self):
        """The bound on the Lipschitz constant, of pixels to outputs, largest entry to largest entry."""
        return self._penalty(None)

    def step(self, U, labels, *, eps=0.0, kappa=0.0, penalty=0.0, rng=None):
        """The loss and its gradients for a batch.

        Parameters
        ----------
        U : ndarray, shape (batch, pixels)
        labels : ndarray of int, shape (batch,)
        eps, kappa, penalty : float
            As in the loss above; without `kappa` no interval is computed.
        rng : numpy.random.Generator, optional
            For dropout.

        Returns
        -------
        Step
        """
        p, real = self.params, self.dtype.type
        eta = np.exp(p["w"])
        ratio = eta[:, None] / eta
        a = real(self.gamma) - np.abs(p["T"]).sum(axis=1) - p["s"] ** 2
        edges, gone = self._drop(rng)
        T = p["T"] if edges is None else p["T"] * edges
        A = T * ratio
        grads = {name: np.zeros_like(value) for name, value in p.items() if name != "T"}
        dA, da = np.zeros_like(A), np.zeros_like(a)
        loss, correct, counts, residual = self._clean(U, labels, A, a, gone, 1.0 - kappa, grads, dA, da)
        if kappa > 0.0:
            more, others, left = self._robust(U, labels, A, a, gone, eps, kappa, grads, dA, da)
            loss, residual = loss + more, max(residual, left)
            counts = tuple(map(max, counts, others))
        np.fill_diagonal(dA, 0.0)
        grads["T"] = dA * ratio
        if edges is not None:
            grads["T"] *= edges
        grads["T"] -= np.sign(p["T"]) * da[:, None]
        both = dA * A
        grads["w"] += both.sum(axis=1) - both.sum(axis=0)
        grads["s"] -= 2 * p["s"] * da
        if penalty > 0.0:
            loss += penalty * self._penalty(grads, penalty)
        for name, mask in self.kept.items():
            grads[name] *= mask
        return Step(loss, grads, correct, *counts, residual)

    def _drop(self, rng):
        if rng is None or not (self.dropout or self.edge_dropout):
            return None, None
        n = len(self.params["b"])
        gone = rng.random(n) < self.dropout if self.dropout else None
        edges = None
        if self.edge_dropout:
            edges = (rng.random((n, n)) >= self.edge_dropout).astype(self.dtype)
        return edges, gone

    def _scaled(self, U):
        """Pixels as the first product takes them."""
        return (np.asarray(U, self.dtype) - self.dtype.type(self.shift)) / self.dtype.type(self.scale)

    def _arrays(self, kind, count, samples):
        """Room that one batch leaves to the next of its size."""
        shape = (samples, len(self.params["b"]))
        if (kind, samples) not in self._space:
            self._space[kind, samples] = [np.zeros(shape, self.dtype) for _ in range(count)]
        return self._space[kind, samples]

    def _clean(self, U, labels, A, a, gone, share, grads, dA, da):
        """Adds `share` times the plain cross entropy."""
        loops, p = kernels(), self.params
        U = self._scaled(U)
        v, x, w, gap = self._arrays("clean", 4, len(U))
        c = U @ p["B"].T
        c += p["b"]
        if gone is not None:
            c[:, gone] = _GONE
        v[...], w[...] = 0.0, 0.0
        loops.sweep(v, c, x, a, gap)  # the start: every unit alone
        turned = np.ascontiguousarray(A.T)
        iterations, residual = self._until(
            lambda: (np.matmul(x, turned, out=v), loops.sweep(v, c, x, a, gap)), gap, self.tol
        )
        y = x @ p["C"].T
        y += p["d"]
        loss, dy = cross_entropy(y, labels)
        correct = int(np.count_nonzero(y.argmax(axis=1) == labels))
        if share <= 0.0:
            return 0.0, correct, (iterations, 0), residual
        dy *= self.dtype.type(share)
        g = dy @ p["C"]
        v[...] = 0.0
        loops.adjoint(v, g, x, a, w, gap)
        small = self.tol * max(float(np.abs(g).max()), 1e-30)
        back, _ = self._until(lambda: (np.matmul(w, A, out=v), loops.adjoint(v, g, x, a, w, gap)), gap, small)
        grads["C"] += dy.T @ x
        grads["d"] += dy.sum(axis=0)
        grads["B"] += w.T @ U
        grads["b"] += w.sum(axis=0)
        dA += w.T @ x
        da += np.einsum("si,si->i", w, x)
        return share * loss, correct, (iterations, back), residual

    def _robust(self, U, labels, A, a, gone, eps, kappa, grads, dA, da):
        """Adds `kappa` times the cross entropy of the worst case over the box."""
        loops, p, real = kernels(), self.params, self.dtype.type
        low, high = (self._scaled(np.clip(end, *self.pixels)) for end in (U - real(eps), U + real(eps)))
        um, ur = real(0.5) * (low + high), real(0.5) * (high - low)
        vm, vr, lo, hi, m, r, wl, wh, pm, pr, gap, gm, gr = self._arrays("robust", 13, len(U))
        size_A, size_B = np.abs(A), np.abs(p["B"])
        cm = um @ p["B"].T
        cm += p["b"]
        cr = ur @ size_B.T
        if gone is not None:
            cm[:, gone] = _GONE
        for array in (vm, vr, wl, wh):
            array[...] = 0.0
        loops.interval(vm, vr, cm, cr, lo, hi, m, r, a, gap)
        turned, size_turned = np.ascontiguousarray(A.T), np.ascontiguousarray(size_A.T)

        def forward():
            np.matmul(m, turned, out=vm)
            np.matmul(r, size_turned, out=vr)
            loops.interval(vm, vr, cm, cr, lo, hi, m, r, a, gap)

        iterations, residual = self._until(forward, gap, self.tol)
        z = np.empty((len(U), len(p["d"])), self.dtype)
        loops.worst(p["C"], p["d"], labels, m, r, z)
        loss, dz = cross_entropy(z, labels)
        dz *= real(kappa)
        loops.worst_adjoint(p["C"], labels, m, r, dz, gm, gr, grads["C"], grads["d"])
        vm[...], vr[...] = 0.0, 0.0
        loops.interval_adjoint(vm, vr, gm, gr, lo, hi, a, wl, wh, pm, pr, gap)

        def backward():
            np.matmul(pm, A, out=vm)
            np.matmul(pr, size_A, out=vr)
            loops.interval_adjoint(vm, vr, gm, gr, lo, hi, a, wl, wh, pm, pr, gap)

        small = self.tol * max(float(np.abs(gm).max()), float(np.abs(gr).max()), 1e-30)
        back, _ = self._until(backward, gap, small)
        grads["B"] += pm.T @ um + np.sign(p["B"]) * (pr.T @ ur)
        grads["b"] += pm.sum(axis=0)
        dA += pm.T @ m + np.sign(A) * (pr.T @ r)
        da += np.einsum("si,si->i", wl, lo) + np.einsum("si,si->i", wh, hi)
        return kappa * loss, (iterations, back), residual

    def _until(self, sweep, gap, tol):
        """Sweep until `gap` is small: its number of sweeps and the last gap."""
        count, left = 0, np.inf
        while left > tol and count < _SWEEPS:  # NaN ends it as well, and the residual then shows it
            sweep()
            count, left = count + 1, worst_gap(gap)
        return count, left

    def _penalty(self, grads, share=1.0):
        """The Lipschitz bound; `share` times its gradient is added to `grads`."""
        p = {name: self.params[name].astype(float) for name in ("w", "s", "B", "C")}
        eta = np.exp(p["w"])
        rows_c = np.abs(p["C"]) @ eta
        rows_b = np.abs(p["B"]).sum(axis=1) / (self.scale * eta)
        c, b, least = int(rows_c.argmax()), int(rows_b.argmax()), int(np.abs(p["s"]).argmin())
        gap = 1.0 - self.gamma + p["s"][least] ** 2
        bound = rows_c[c] * rows_b[b] / gap
        if grads is not None:
            by_c, by_b = share * bound / rows_c[c], share * bound / rows_b[b]
            grads["C"][c] += by_c * np.sign(p["C"][c]) * eta
            grads["w"] += by_c * np.abs(p["C"][c]) * eta
            grads["B"][b] += by_b * np.sign(p["B"][b]) / (self.scale * eta[b])
            grads["w"][b] -= share * bound
            grads["s"][least] -= share * bound * 2.0 * p["s"][least] / gap
        return float(bound)
