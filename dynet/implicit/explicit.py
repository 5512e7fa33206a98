r"""Explicit networks of rectifiers: what implicit networks are compared with, trained and certified by the same code.

.. math:: h_0 = u, \quad h_k = \max(0, W_k h_{k-1} + b_k), \quad y = W_L h_{L-1} + b_L.

Bounds over a box are interval arithmetic layer by layer; the last layer is folded into the margins, so that the
difference of two outputs is bounded and not each of them. Every product is widened by its a priori rounding error
(:math:`\gamma_k = k u / (1 - k u)` times the same product of absolute values), so the bounds hold in spite of rounding.

References
----------
Gowal et al., On the effectiveness of interval bound propagation for training verifiably robust models,
arXiv:1810.12715. Higham, Accuracy and Stability of Numerical Algorithms, second edition, 2002, chapter 3.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError, Shown
from ..linalg.rigorous import gamma
from .learner import Step, cross_entropy

__all__ = ["ExplicitLearner", "ExplicitNetwork"]

_FORMAT = "dynet-explicit-network"


@dataclass(frozen=True, eq=False)
class ExplicitNetwork:
    """A stack of dense layers with rectifiers between them.

    Parameters
    ----------
    matrices : sequence of ndarray
        W_1 (units, inputs) to W_L (outputs, units).
    offsets : sequence of ndarray
        b_1 to b_L.

    Raises
    ------
    ArgumentError
        For shapes that do not fit or entries that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from dynet.implicit import ExplicitNetwork
    >>> net = ExplicitNetwork([np.array([[1.0, -1.0]]), np.array([[2.0], [0.0]])], [np.zeros(1), np.array([0.0, 1.0])])
    >>> net([[3.0, 1.0]])
    array([[4., 1.]])
    >>> net.certify([[3.0, 1.0]], [0], eps=0.2), net.certify([[3.0, 1.0]], [0], eps=1.0)
    (array([ True]), array([False]))
    """

    matrices: tuple = field(repr=False)
    offsets: tuple = field(repr=False)

    def __post_init__(self):
        matrices = tuple(np.array(W, dtype=float, ndmin=2) for W in self.matrices)
        offsets = tuple(np.array(b, dtype=float, ndmin=1) for b in self.offsets)
        if not matrices or len(matrices) != len(offsets):
            raise ArgumentError(
                "offsets", Shown(f"{len(offsets)} of them"), f"one for each of {len(matrices)} matrices"
            )
        for k, (W, b) in enumerate(zip(matrices, offsets, strict=True)):
            if b.shape != W.shape[:1] or (k and W.shape[1] != len(offsets[k - 1])):
                shapes = Shown(", ".join(f"{w.shape} and {o.shape}" for w, o in zip(matrices, offsets, strict=True)))
                raise ArgumentError("matrices", shapes, f"shapes that fit; those of layer {k + 1} do not")
            if not (np.isfinite(W).all() and np.isfinite(b).all()):
                raise ArgumentError(f"matrices[{k}]", Shown("NaN or infinity"), "finite numbers")
        for array in (*matrices, *offsets):
            array.setflags(write=False)
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "offsets", offsets)

    @classmethod
    def random(cls, sizes, seed=0):
        """Uniform entries of variance 1/(3 inputs of the layer), the usual start.

        Parameters
        ----------
        sizes : sequence of int
            Inputs, units of each hidden layer, outputs.
        seed : int
        """
        if len(sizes) < 2 or any(int(size) != size or size < 1 for size in sizes):
            raise ArgumentError("sizes", sizes, "at least two whole numbers of at least 1: inputs, ..., outputs")
        rng = np.random.default_rng(seed)
        bounds = [1.0 / np.sqrt(size) for size in sizes[:-1]]
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        return cls(
            [rng.uniform(-b, b, shape) for b, shape in zip(bounds, shapes, strict=True)],
            [rng.uniform(-b, b, shape[0]) for b, shape in zip(bounds, shapes, strict=True)],
        )

    @property
    def inputs(self):
        """The number of inputs."""
        return self.matrices[0].shape[1]

    @property
    def outputs(self):
        """The number of outputs."""
        return self.matrices[-1].shape[0]

    @property
    def parameters(self):
        """The number of all entries."""
        return sum(array.size for array in (*self.matrices, *self.offsets))

    @property
    def digest(self):
        """SHA-256 of all entries, in hexadecimal: equal networks have equal ones."""
        h = hashlib.sha256(b"explicit")
        for array in (*self.matrices, *self.offsets):
            h.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return h.hexdigest()

    def __call__(self, U):
        """The outputs (batch, outputs) of inputs (batch, inputs)."""
        return self._states(np.asarray(U, dtype=float))[-1]

    def _states(self, h):
        found = [h]
        for k, (W, b) in enumerate(zip(self.matrices, self.offsets, strict=True)):
            h = h @ W.T + b
            if k < len(self.matrices) - 1:
                h = np.maximum(h, 0.0)
            found.append(h)
        return found

    def input_gradient(self, U, slope):
        """The gradient by the inputs of a function of the outputs.

        Parameters
        ----------
        U : ndarray, shape (batch, inputs)
        slope : callable
            Outputs -> the function's derivative by them, both (batch, outputs).

        Returns
        -------
        (ndarray, ndarray)
            Outputs, and gradients of shape (batch, inputs).
        """
        states = self._states(np.asarray(U, dtype=float))
        g = slope(states[-1])
        for k in range(len(self.matrices) - 1, -1, -1):
            g = g @ self.matrices[k]
            if k:
                g = g * (states[k] > 0.0)
        return states[-1], g

    def lipschitz(self, p=np.inf):
        """The product of the layers' norms, rounded up: from the largest entry of an input to that of an output."""
        if p != np.inf:
            raise ArgumentError("p", p, "inf: the norm in which boxes are balls")
        norms = [np.abs(W).sum(axis=1).max() for W in self.matrices]
        return float(np.prod(norms)) * (1.0 + gamma(sum(W.shape[1] for W in self.matrices) + 2 * len(norms)))

    def gain(self):
        """The product of the |W_k|, rounded up, shape (outputs, inputs): how far each input moves each output at most."""
        return np.abs(self.matrices[-1]) @ self._inner()

    def _inner(self):
        total = np.abs(self.matrices[0])
        for W in self.matrices[1:-1]:
            total = np.abs(W) @ total
        return total * (1.0 + gamma(4 * sum(W.shape[1] for W in self.matrices)))

    def bounds(self, lo, hi):
        """Boxes of outputs that contain the output of every input in boxes [lo, hi], shapes (batch, inputs)."""
        middle, radius = self._last(lo, hi)
        center, wide = _affine(self.matrices[-1], self.offsets[-1], middle, radius)
        return np.nextafter(center - wide, -np.inf), np.nextafter(center + wide, np.inf)

    def _last(self, lo, hi):
        """Middle and radius of boxes for the last hidden layer."""
        middle, radius = _ball(np.asarray(lo, dtype=float), np.asarray(hi, dtype=float))
        for W, b in zip(self.matrices[:-1], self.offsets[:-1], strict=True):
            center, wide = _affine(W, b, middle, radius)
            lo, hi = np.nextafter(center - wide, -np.inf), np.nextafter(center + wide, np.inf)
            middle, radius = _ball(np.maximum(lo, 0.0), np.maximum(hi, 0.0))
        return middle, radius

    def margins(self, U, labels, eps, kind="interval", pixels=(-np.inf, np.inf)):
        """The least y_t - y_j over boxes around inputs and classes j other than the label t, rounded down.

        Parameters
        ----------
        U : array_like, shape (batch, inputs)
        labels : array_like of int, shape (batch,)
        eps : float
            Half the width of the box.
        kind : str
            ``"interval"``, ``"gain"`` (the product of the |W_k|) or ``"lipschitz"`` (the product of their norms).
        pixels : pair of float
            The box is cut to this range (``"interval"`` only).
        """
        U, labels = np.asarray(U, dtype=float), np.asarray(labels)
        if kind not in ("interval", "gain", "lipschitz"):
            raise ArgumentError("kind", kind, "a kind of certificate", choices=("interval", "gain", "lipschitz"))
        if kind == "interval":
            lo, hi = np.nextafter(U - eps, -np.inf), np.nextafter(U + eps, np.inf)
            middle, radius = self._last(np.maximum(lo, pixels[0]), np.minimum(hi, pixels[1]))
            spread = None
        else:
            middle, radius = self._last(U, U)
            if kind == "gain":
                spread = self._inner().sum(axis=1)
            else:
                inner = [np.abs(W).sum(axis=1).max() for W in self.matrices[:-1]]
                spread = np.full(self.matrices[-1].shape[1], np.prod(inner))
            radius = radius + eps * spread * (1.0 + gamma(4 * sum(W.shape[1] for W in self.matrices)))
        return fold(self.matrices[-1], self.offsets[-1], middle, radius, labels)

    def certify(self, U, labels, eps, kind="interval"):
        """Whether each sample's class is the label all over the box of half-width `eps` around it: proven, or False."""
        return self.margins(U, labels, eps, kind) > 0.0

    def save(self, path):
        """Write the network to a file, which :meth:`load` reads."""
        from .files import write_arrays

        arrays = {f"W{k}": W for k, W in enumerate(self.matrices)} | {f"b{k}": b for k, b in enumerate(self.offsets)}
        write_arrays(path, {"format": _FORMAT, "layers": len(self.matrices)}, arrays)

    @classmethod
    def load(cls, path):
        """Read a network that :meth:`save` wrote; ArgumentError for a file that is damaged or of another kind."""
        from .files import read_arrays

        header, arrays = read_arrays(path, _FORMAT)
        layers = range(header["layers"])
        return cls([arrays[f"W{k}"] for k in layers], [arrays[f"b{k}"] for k in layers])


def _ball(lo, hi):
    """Middle and radius of intervals, the radius rounded up."""
    middle = 0.5 * (lo + hi)
    return middle, np.nextafter(np.maximum(hi - middle, middle - lo), np.inf)


def _affine(W, b, middle, radius):
    """Centre and half-width of W x + b over a box, rounding included; its ends need one more rounding outward."""
    size = np.abs(W).T
    center = middle @ W.T + b
    wide = radius @ size
    return center, wide + gamma(W.shape[1] + 8) * 2.0 * (np.abs(middle) @ size + np.abs(b) + wide)


def fold(C, d, middle, radius, labels):
    """The least margin over boxes of states, the last layer folded in, rounded down; shape (batch,)."""
    margins = np.empty(len(labels))
    for t in np.unique(labels):
        rows = np.flatnonzero(labels == t)
        others = np.arange(len(d)) != t
        center, wide = _affine(C[t] - C[others], d[t] - d[others], middle[rows], radius[rows])
        size = (np.abs(C[t]) + np.abs(C[others])).T  # of what the difference of two rows may have lost
        lost = 2.0**-51 * ((np.abs(middle[rows]) + radius[rows]) @ size + np.abs(d[t]) + np.abs(d[others]))
        margins[rows] = np.nextafter(center - wide - lost, -np.inf).min(axis=1)
    return margins


class ExplicitLearner:
    """The parameters of an explicit network, its loss and gradients; as :class:`dynet.implicit.learner.ImplicitLearner`."""

    def __init__(self, net, *, shift=0.0, scale=1.0, sparse=False, pixels=(0.0, 1.0), dtype=np.float32):
        self.pixels = pixels
        self.net, self.shift, self.scale, self.dtype = net, shift, scale, np.dtype(dtype)
        params = {}
        for k, (W, b) in enumerate(zip(net.matrices, net.offsets, strict=True)):
            params[f"W{k}"], params[f"b{k}"] = (W * scale, b + shift * W.sum(axis=1)) if k == 0 else (W, b)
        self.params = {name: np.array(value, dtype=dtype, order="C") for name, value in params.items()}
        self.layers = len(net.matrices)
        self.kept = {f"W{k}": W != 0.0 for k, W in enumerate(net.matrices)} if sparse else {}

    def network(self):
        """The network of the present parameters, in double precision."""
        p = {name: value.astype(float) for name, value in self.params.items()}
        p["W0"] = p["W0"] / self.scale
        p["b0"] = p["b0"] - self.shift * p["W0"].sum(axis=1)
        return ExplicitNetwork([p[f"W{k}"] for k in range(self.layers)], [p[f"b{k}"] for k in range(self.layers)])

    def lipschitz(self):
        """The product of the layers' norms, from pixels to outputs."""
        return self.network().lipschitz()

    def step(self, U, labels, *, eps=0.0, kappa=0.0, penalty=0.0, rng=None):
        """The loss and its gradients for a batch."""
        grads = {name: np.zeros_like(value) for name, value in self.params.items()}
        real, p, last = self.dtype.type, self.params, self.layers - 1
        U = np.asarray(U, self.dtype)
        states = [self._scaled(U)]
        for k in range(self.layers):
            y = states[-1] @ p[f"W{k}"].T + p[f"b{k}"]
            states.append(np.maximum(y, 0) if k < last else y)
        loss, g = cross_entropy(states[-1], labels)
        correct = int(np.count_nonzero(states[-1].argmax(axis=1) == labels))
        loss, g = (1.0 - kappa) * loss, g * real(1.0 - kappa)
        for k in range(last, -1, -1):
            grads[f"W{k}"] += g.T @ states[k]
            grads[f"b{k}"] += g.sum(axis=0)
            if k:
                g = (g @ p[f"W{k}"]) * (states[k] > 0)
        if kappa > 0.0:
            loss += self._robust(U, labels, eps, kappa, grads)
        if penalty > 0.0:
            loss += penalty * self._penalty(penalty, grads)
        for name, mask in self.kept.items():
            grads[name] *= mask
        return Step(float(loss), grads, correct, 1, 1, 0.0)

    def _scaled(self, U):
        return (U - self.dtype.type(self.shift)) / self.dtype.type(self.scale)

    def _robust(self, U, labels, eps, kappa, grads):
        from ..engine.training import kernels

        real, p, last, half = self.dtype.type, self.params, self.layers - 1, self.dtype.type(0.5)
        low, high = (self._scaled(np.clip(end, *self.pixels)) for end in (U - real(eps), U + real(eps)))
        balls, ends = [(half * (low + high), half * (high - low))], []
        for k in range(last):
            m = balls[-1][0] @ p[f"W{k}"].T + p[f"b{k}"]
            r = balls[-1][1] @ np.abs(p[f"W{k}"]).T
            low, high = np.maximum(m - r, 0), np.maximum(m + r, 0)
            ends.append((low > 0, high > 0))
            balls.append((half * (low + high), half * (high - low)))
        m, r = balls[-1]
        C, d = p[f"W{last}"], p[f"b{last}"]
        z, gm, gr = np.empty((len(U), len(d)), self.dtype), np.empty_like(m), np.empty_like(r)
        kernels().worst(C, d, labels, m, r, z)
        loss, dz = cross_entropy(z, labels)
        dz *= real(kappa)
        kernels().worst_adjoint(C, labels, m, r, dz, gm, gr, grads[f"W{last}"], grads[f"b{last}"])
        for k in range(last - 1, -1, -1):
            low, high = half * (gm - gr) * ends[k][0], half * (gm + gr) * ends[k][1]
            gm, gr = low + high, high - low
            W, (m, r) = p[f"W{k}"], balls[k]
            grads[f"W{k}"] += gm.T @ m + np.sign(W) * (gr.T @ r)
            grads[f"b{k}"] += gm.sum(axis=0)
            gm, gr = gm @ W, gr @ np.abs(W)
        return kappa * loss

    def _penalty(self, share, grads):
        """The product of the layers' norms; `share` times its gradient is added to `grads`."""
        rows = [np.abs(self.params[f"W{k}"]).sum(axis=1, dtype=float) for k in range(self.layers)]
        top = [int(row.argmax()) for row in rows]
        bound = float(np.prod([row[i] for row, i in zip(rows, top, strict=True)])) / self.scale
        for k, (row, i) in enumerate(zip(rows, top, strict=True)):
            grads[f"W{k}"][i] += share * bound / row[i] * np.sign(self.params[f"W{k}"][i])
        return bound
