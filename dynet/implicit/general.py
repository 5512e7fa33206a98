"""The loss and gradient of a network with any activation: :mod:`dynet.implicit.learner` on the passes of the network itself.

For rectifiers the learner's own loops are about twice as fast; both compute the same numbers.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from . import intervals
from .learner import ImplicitLearner, cross_entropy
from .passes import Passes

__all__ = ["GeneralLearner"]


class GeneralLearner(ImplicitLearner):
    """As :class:`dynet.implicit.learner.ImplicitLearner`, for activations that a scalar equation has to be solved for."""

    def __init__(self, net, **options):
        if options.get("dropout"):
            raise ArgumentError("dropout", options["dropout"], f"0 for {net.activation.name}: a unit that is left out has "
                                "the value 0, which only rectifiers take by themselves")  # fmt: skip
        super().__init__(net, **options)

    def _passes(self, A, a):
        whole = A.copy()
        np.fill_diagonal(whole, a)
        p, eta = self.params, np.exp(self.params["w"].astype(float))
        return Passes(whole, p["B"], p["b"], eta, self.net.activation, self.dtype.name), self.tol / eta.max()

    def _clean(self, U, labels, A, a, gone, share, grads, dA, da):
        passes, tol = self._passes(A, a)
        p, U = self.params, np.ascontiguousarray(self._scaled(U))
        state = passes.forward(U, tol)
        y = state.x @ p["C"].T + p["d"]
        loss, dy = cross_entropy(y, labels)
        correct = int(np.count_nonzero(y.argmax(axis=1) == labels))
        residual = self._left(state.residual, tol)
        if share <= 0.0:
            return 0.0, correct, (int(state.iterations.max()), 0), residual
        dy *= self.dtype.type(share)
        nu, found = passes.adjoint(state, dy @ p["C"], self.tol)
        self._add(grads, dA, da, dy.T @ state.x, dy.sum(axis=0), *passes.gradients(state, nu))
        return share * loss, correct, (int(state.iterations.max()), int(found.iterations.max())), residual

    def _robust(self, U, labels, A, a, gone, eps, kappa, grads, dA, da):
        intervals.check_monotone(self.net.activation)
        passes, tol = self._passes(A, a)
        p, real = self.params, self.dtype.type
        low, high = (np.clip(U + real(sign * eps), *self.pixels) for sign in (-1, 1))
        lo, hi = (np.ascontiguousarray(self._scaled(end)) for end in (low, high))
        worst = intervals.worst_logits(passes, p["C"], p["d"], lo, hi, labels, tol)
        loss, dz = cross_entropy(worst.logits, labels)
        dz *= real(kappa)
        found = intervals.pull(passes, p["C"], worst, dz, self.tol)
        self._add(grads, dA, da, found.C, found.d, found.A, found.B, found.b)
        count = int(worst.pair.iterations.max())
        return kappa * loss, (count, count), self._left(worst.pair.residual, tol)

    def _left(self, residual, tol):
        """The largest residual, from the weighted norm; the sweep's own rounding is allowed for."""
        return float(residual.max()) / tol * self.tol

    @staticmethod
    def _add(grads, dA, da, by_C, by_d, by_A, by_B, by_b):
        for name, value in (("C", by_C), ("d", by_d), ("B", by_B), ("b", by_b)):
            grads[name] += value
        dA += by_A
        da += by_A.diagonal()
