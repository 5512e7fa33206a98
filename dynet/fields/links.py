"""Links between parts by functions: plain Python, compiled like a field, with stated bounds on their slopes."""

from __future__ import annotations

import types

import numpy as np

from ..errors import ArgumentError, Shown
from . import lanes
from .base import describe
from .columns import Seen, watched
from .function import _check_params, _on_numpy

__all__ = ["Link"]

_PROBES = 8  # states at which the stated bounds of a function are tried


class Link:
    r"""A link by a function whose Lipschitz constant is stated: :math:`g(t, x, p)` is added to the receiving part.

    Parameters
    ----------
    function : function
        ``g(t, x, p, s)`` writes every component of ``s``, one for each state of the receiving part; `x` is the state of the
        sending part. Plain Python, as for :func:`dynet.vector_field`.
    lipschitz : float or array_like (n_to, n_from)
        A matrix bounds the moduli of the partial derivatives of g. A number L says that no component of s changes by more
        than L times the largest change of a component of x. Certificates take it at its word.
    params : dict, optional
        Name -> number or array, as ``p.name``.

    Raises
    ------
    ArgumentError
        For bounds that are negative or not finite.

    Examples
    --------
    >>> import math
    >>> def repress(t, x, p, s):
    ...     s[0] = p.k / (1.0 + x[0] ** 2)
    >>> Link(repress, lipschitz=0.65, params={"k": 1.0})
    Link(repress, lipschitz=0.65)
    """

    def __init__(self, function, lipschitz, params=None):
        self.function, self.params = function, _check_params(params)
        try:
            self.lipschitz = np.array(lipschitz, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError("lipschitz", lipschitz, "a number, or a matrix of bounds") from None
        if self.lipschitz.ndim not in (0, 2) or not np.all((self.lipschitz >= 0) & np.isfinite(self.lipschitz)):
            raise ArgumentError("lipschitz", describe(self.lipschitz), "finite bounds that are not negative")
        shapes = {key: np.shape(value) for key, value in self.params.items()}
        self.source = lanes.block_source(function, shapes, False)
        self._plain = _on_numpy(function)

    def __call__(self, t, x, size):
        """The `size` components that the receiving part gets."""
        s = np.zeros(size, dtype=np.result_type(x, float))
        with np.errstate(all="ignore"):
            self._plain(t, x, types.SimpleNamespace(**self.params), s)
        return s

    def jacobian(self, t, x, size):
        """Derivatives (size, n_from), by the complex step."""
        columns = [self(t, x + 1e-30j * e, size).imag / 1e-30 for e in np.eye(len(x))]
        return np.array(columns).T.reshape(size, len(x))

    def parameter_vector(self):
        return np.concatenate([np.ravel(v) for v in self.params.values()]) if self.params else np.empty(0)

    def check(self, name, to, source):
        """Raise ArgumentError unless the function fits the parts and its bounds hold at a few states."""
        if self.lipschitz.ndim == 2 and self.lipschitz.shape != (to.n, source.n):
            expected = f"shape ({to.n}, {source.n}), or one number"
            raise ArgumentError(f"{name}.lipschitz", Shown(f"a matrix of shape {self.lipschitz.shape}"), expected)
        seen = Seen("link", {k: v for k, v in self.params.items()})
        written = watched(
            "link", lambda x, p, s: self._plain(0.0, x, p, s), list(np.linspace(0.3, 0.7, source.n)), seen
        )
        if sorted(written) != list(range(to.n)):
            what = Shown(f"components {sorted(written)} of s are written")
            raise ArgumentError(name, what, f"all {to.n} components written, one for each state of the receiving part")
        try:
            for x in np.random.default_rng(0).normal(size=(_PROBES, source.n)):
                slope = np.abs(self.jacobian(0.0, x, to.n))
                size = slope if self.lipschitz.ndim else slope.sum(axis=1)
                if np.any(size > self.lipschitz * (1 + 1e-9) + 1e-12):
                    what = Shown(f"{self.lipschitz.max():.6g}")
                    raise ArgumentError(
                        f"{name}.lipschitz", what, f"bounds that hold: a slope is {slope.max():.6g} at a state"
                    )
        except (TypeError, AttributeError):
            return  # without a complex version of the function nothing is tried

    def __repr__(self):
        bound = f"{float(self.lipschitz):g}" if self.lipschitz.ndim == 0 else f"a matrix {self.lipschitz.shape}"
        return f"Link({self.function.__name__}, lipschitz={bound})"
