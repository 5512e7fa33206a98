r"""Feedforward networks as implicit networks with a block-triangular matrix.

Stack the outputs of all layers, :math:`x = (x_1, \dots, x_L)`. Layer by layer evaluation is the equation

.. math:: x = \Phi(A x + B u + b), \qquad y = x_L,

whose matrix A holds :math:`W_k` in block (k, k-1) and nothing else; :math:`W_1` stands in B. A is nilpotent, and so is
:math:`|A|`: the equation is well-posed for any weights, and the sweep :math:`x \leftarrow \Phi(A x + B u + b)` ends after
L turns, from any state, in *exactly* the layer by layer result, rounding included: the k-th turn makes block k final. The
matrix is kept as its layers, whether dense or convolutions, and never written down.

Layers without slopes (pooling, normalisation, dropout) stand between blocks: :math:`x = \Phi(A P(x) + B u + b)`, where P acts
on each block by itself. All of the above holds, since the pattern does.

How far can inputs that differ by at most r move the states? For a nilpotent majorant the componentwise gain
:math:`(I - |A|)^{-1}|B|` is the product of the layers' own bounds, so that one evaluation with
:math:`|W_k|` in place of :math:`W_k` answers. It is rounded up everywhere, and holds for all inputs.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
El Ghaoui, Gu, Travacca, Askari, Tsai, Implicit deep learning, arXiv:1908.06315.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..equilibrium import Equilibrium
from ..errors import ArgumentError, Shown, Status
from ..fields.base import describe
from ..linalg.norms import Norm
from .layers import Affine, Dense, Dropout, Layer, least_rounding
from .triangular import BlockTriangular

__all__ = ["FeedforwardNetwork"]

_WRITTEN = 20_000  # states up to which a network's matrix may be written down
_GAINS = 64  # unit vectors that are sent through a network at a time


class Block(NamedTuple):
    """An affine layer, the layers without slopes before it, and the shapes: what enters them, what enters it, what leaves."""

    before: tuple
    layer: Affine
    source: tuple
    entry: tuple
    shape: tuple


class FeedforwardNetwork:
    r"""A list of layers as the implicit network :math:`x = \Phi(A P(x) + B u + b)`, :math:`y = x_L`.

    Parameters
    ----------
    layers : list
        :class:`~dynet.implicit.layers.Dense` and :class:`~dynet.implicit.convolution.Convolution` layers, the last layer
        one of them; between them :class:`~dynet.implicit.convolution.MaxPool`,
        :class:`~dynet.implicit.layers.ResponseNormalisation`, :class:`~dynet.implicit.layers.Dropout`.
    shape : int or tuple of int
        Shape of one input: a number, or (channels, rows, columns).

    Attributes
    ----------
    blocks : tuple of Block
        One for each layer with weights.
    n, inputs, outputs, parameters : int
        States (units of all blocks), numbers in an input and in an output, numbers in weights and biases.
    slices : tuple of slice
        Where the states of each block are.
    A, B : BlockTriangular
        Of shapes (n, p) and (n, p'), where p = n and p' = `inputs` unless layers without slopes change sizes.
    b : ndarray, shape (n,)

    Raises
    ------
    ArgumentError
        For layers that do not fit each other, none at all, or a last layer without weights.

    Examples
    --------
    >>> net = FeedforwardNetwork([Dense([[1.0, -1.0]]), Dense([[2.0]], [0.5], activation="identity")], shape=2)
    >>> net.n, net([[3.0, 1.0]])
    (2, array([[4.5]]))
    >>> net.sweep([[3.0, 1.0]], net.sweep([[3.0, 1.0]], [[7.0, 7.0]]))  # two sweeps from anywhere: the solution
    array([[2. , 4.5]])
    >>> net.gain().round(9)
    array([[2., 2.]])
    """

    def __init__(self, layers, shape):
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if len(shape) not in (1, 3) or not all(isinstance(v, (int, np.integer)) and v > 0 for v in shape):
            raise ArgumentError("shape", shape, "a positive integer, or three of them: channels, rows, columns")
        self.layers, self.shape = tuple(layers), tuple(int(v) for v in shape)
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise ArgumentError(
                    "layers", layer, "layers: Dense, Convolution, MaxPool, ResponseNormalisation, Dropout"
                )
        if not self.layers or not isinstance(self.layers[-1], Affine):
            raise ArgumentError("layers", self.layers, "a list that ends in a dense or convolution layer")
        blocks, before, source, entry = [], [], self.shape, self.shape
        for layer in self.layers:
            leaving = layer.output_shape(entry)
            if isinstance(layer, Affine):
                blocks.append(Block(tuple(before), layer, source, entry, leaving))
                before, source = [], leaving
            else:
                before.append(layer)
            entry = leaving
        self.blocks = tuple(blocks)
        ends = np.cumsum([0, *(math.prod(block.shape) for block in blocks)])
        self.slices = tuple(slice(int(a), int(b)) for a, b in zip(ends, ends[1:], strict=False))
        self.n, self.inputs, self.outputs = int(ends[-1]), math.prod(self.shape), math.prod(blocks[-1].shape)
        self.parameters = sum(block.layer.parameters for block in blocks)
        self.dtype = np.result_type(*(block.layer.weight for block in blocks))
        columns = np.cumsum([0, *(math.prod(block.entry) for block in blocks[1:])])
        parts = [
            (self.slices[k].start, int(columns[k - 1]), block.layer, block.entry, block.shape)
            for k, block in enumerate(blocks)
        ]
        self.A = BlockTriangular((self.n, int(columns[-1]) + self.outputs), parts[1:])
        self.B = BlockTriangular((self.n, math.prod(blocks[0].entry)), [(0, 0, *parts[0][2:])])

    @property
    def b(self):
        parts = [block.layer.shifted(np.zeros(block.shape, block.layer.weight.dtype)).ravel() for block in self.blocks]
        return np.concatenate(parts)

    def __call__(self, U, rng=None):
        """The outputs, layer by layer.

        Parameters
        ----------
        U : array_like, shape (batch, inputs) or (batch, *shape)
        rng : numpy.random.Generator, optional
            Draws the units that dropout leaves out; without it the network predicts.

        Returns
        -------
        ndarray, shape (batch, outputs)
            Each sample's bits are the same alone or in any batch.
        """
        x = self._read(U)
        for block in self.blocks:
            x = _turn(block, x, rng)
        return x.reshape(len(x), -1)

    def sweep(self, U, x):
        r"""One turn of :math:`x \leftarrow \Phi(A P(x) + B u + b)`, all blocks at once; `x` and the result (batch, n)."""
        U = self._read(U)
        x = np.asarray(x, dtype=self.dtype)
        if x.shape != (len(U), self.n):
            raise ArgumentError("x", describe(x), f"an array of shape ({len(U)}, {self.n})")
        entering = [U, *(x[:, part] for part in self.slices[:-1])]
        turned = [_turn(b, e.reshape(len(U), *b.source)) for b, e in zip(self.blocks, entering, strict=True)]
        return np.concatenate([t.reshape(len(U), -1) for t in turned], axis=1)

    def solve(self, U):
        r"""All states of the network, with a proven bound on what rounding has done to them.

        Parameters
        ----------
        U : array_like, shape (batch, inputs) or (batch, *shape)

        Returns
        -------
        Equilibrium
            ``x`` (batch, n): bit for bit what L sweeps give from anywhere, so that the residual is zero. ``error`` bounds the
            largest difference of any state from the solution in real numbers.
        """
        x, errors = self._states(U)
        worst = np.max([e.reshape(len(e), -1).max(axis=1) for e in errors], axis=0)
        flat = np.concatenate([v.reshape(len(v), -1) for v in x], axis=1)
        finite = np.isfinite(flat).all(axis=1) & np.isfinite(worst)
        status = tuple(Status.OK if good else Status.NONFINITE for good in finite)
        count = np.full(len(flat), len(self.blocks))
        return Equilibrium(
            flat, worst, np.zeros(len(flat)), count, status, Norm("inf"), bool(finite.all()), "sweep", ()
        )

    def _states(self, U, errors=True):
        """Outputs of all blocks, and bounds on their rounding errors, componentwise: |W|(e + g |x|) + g |b| in each block."""
        given = np.asarray(U, dtype=float)
        x = self._read(U)
        e = np.abs(x.reshape(len(x), -1).astype(float) - given.reshape(len(x), -1)).reshape(x.shape)
        states, bounds = [], []
        for block in self.blocks:
            for layer in block.before:
                x = layer.apply(x)
                e = layer.spread(e) + layer.rounding(x)
            layer, unit = block.layer, np.finfo(x.dtype).eps / 2
            growth = (layer.terms + 4) * unit / (1 - (layer.terms + 4) * unit) * (1 + 1e-9)
            x, e = x.reshape(len(x), *block.entry), e.reshape(len(x), *block.entry)
            inner = layer.majorant((e + growth * np.abs(x).astype(float)) * (1 + 1e-9))
            bias = growth * np.abs(layer.shifted(np.zeros(block.shape))) + _underflow(layer, x.dtype)
            z = layer.shifted(layer.product(x))
            x = layer.activate(z)
            e = ((inner + bias) * layer.slope + layer.activation_error(z, x)) * (1 + 1e-9) + least_rounding(x.dtype)
            states.append(x)
            bounds.append(e)
        return states, bounds

    def spread(self, radius):
        """Upper bounds on how far the outputs move when no input moves further than its radius, for all inputs.

        Parameters
        ----------
        radius : float or array_like, shape (inputs,) or (batch, inputs)
            Not negative.

        Returns
        -------
        ndarray, shape (outputs,) or (batch, outputs)
            Rounded up, also where the layers are in single precision.
        """
        r, single = self._radius(radius)
        for block in self.blocks:
            r = _spread(block, r)
        r = r.reshape(len(r), -1)
        return r[0] if single else r

    def gain(self):
        r"""The componentwise gain: :math:`|y - y'| \le \Gamma\,|u - u'|` for all inputs; shape (outputs, inputs).

        It is found column by column. For inputs of very many numbers ask :meth:`spread`, which is one evaluation.
        """
        gain = np.empty((self.outputs, self.inputs))
        for start in range(0, self.inputs, _GAINS):
            count = min(_GAINS, self.inputs - start)
            units = np.zeros((count, self.inputs))
            units[np.arange(count), start + np.arange(count)] = 1.0
            gain[:, start : start + count] = self.spread(units).T
        return gain

    def weights(self, factor=0.5):
        r"""Weights, one for each block, in whose :math:`\ell_\infty` norm the sweep contracts with `factor`; shape (L,).

        With :math:`\|x\| = \max_k \|x_k\|_\infty/\eta_k` any factor above 0 can be had: the matrix is nilpotent.
        """
        if not (np.isscalar(factor) and 0 < factor < np.inf):
            raise ArgumentError("factor", factor, "a positive number")
        eta = [1.0]
        for block in self.blocks[1:]:
            most = _spread(block, np.full((1, *block.source), eta[-1])).max()
            eta.append(max(float(np.nextafter(most / factor, np.inf)), 1e-200))
        return np.array(eta)

    def margins(self, U, labels, eps):
        r"""The least margin of each sample against any other class, over all inputs within `eps` of it in every component.

        Parameters
        ----------
        U : array_like, shape (batch, inputs) or (batch, *shape)
        labels : array_like of int, shape (batch,)
        eps : float
            Not negative.

        Returns
        -------
        ndarray, shape (batch,)
            A lower bound, rounding of the evaluation included; positive means that no such input is taken for another class.
        """
        if not (np.isscalar(eps) and np.isfinite(eps) and eps >= 0):
            raise ArgumentError("eps", eps, "a number that is not negative")
        states, errors = self._states(U)
        y, e = (v[-1].reshape(len(v[-1]), -1) for v in (states, errors))
        labels = np.asarray(labels)
        if (
            labels.shape != (len(y),)
            or labels.dtype.kind not in "iu"
            or np.any((labels < 0) | (labels >= self.outputs))
        ):
            raise ArgumentError("labels", describe(labels), f"{len(y)} integers from 0 to {self.outputs - 1}")
        apart = self._apart(float(eps), np.unique(labels))
        rows = np.arange(len(y))
        own, slack = y[rows, labels].astype(float), e[rows, labels]
        lost = (np.array([apart[t] for t in labels]) + slack[:, None] + e) * (1 + 1e-9)
        margin = np.nextafter(own[:, None] - y.astype(float), -np.inf) - lost
        margin = np.nextafter(margin, -np.inf)
        margin[rows, labels] = np.inf
        known = np.all([np.isfinite(v.reshape(len(v), -1)).all(axis=1) for v in (*states, *errors)], axis=0)
        return np.where(known, margin.min(axis=1), -np.inf)  # an overflow on the way may have any true value

    def certify(self, U, labels, eps):
        """Whether each sample is proven to keep its label for all inputs within `eps`; shape (batch,)."""
        return self.margins(U, labels, eps) > 0

    def implicit(self):
        r"""The same network as a :class:`dynet.ImplicitNetwork`, its matrices written down (sparse): for small networks.

        The hidden layers are its states, the linear last layer is its output.

        Raises
        ------
        ArgumentError
            For layers without slopes, activations that differ, a last layer that is not linear, more than 20,000 states.

        Examples
        --------
        >>> net = FeedforwardNetwork([Dense([[1.0, -1.0]]), Dense([[2.0]], [0.5], activation="identity")], shape=2)
        >>> net.implicit()([[3.0, 1.0]])
        array([[4.5]])
        """
        from scipy.sparse import csr_array

        from .network import ImplicitNetwork

        kinds = {block.layer.activation for block in self.blocks[:-1]}
        if len(kinds) != 1 or any(block.before for block in self.blocks) or self.n > _WRITTEN:
            raise ArgumentError(
                "net", self, f"hidden layers with one activation, nothing between them, n <= {_WRITTEN}"
            )
        if self.blocks[-1].layer.activation.name != "identity":
            raise ArgumentError("net", self, "a last layer with the activation 'identity'")
        hidden, last = self.slices[-1].start, self.slices[-1]
        rows, columns, values = [], [], []
        for row, column, layer, entry, _ in self.A.parts:
            width = math.prod(entry)
            for start in range(0, width, _GAINS):  # some columns at a time
                units = np.zeros((min(_GAINS, width - start), width))
                units[np.arange(len(units)), start + np.arange(len(units))] = 1.0
                block = layer.product(units.reshape(-1, *entry)).reshape(len(units), -1)
                j, i = np.nonzero(block)
                rows.append(row + i), columns.append(column + start + j), values.append(block[j, i])
        where = np.concatenate(rows), np.concatenate(columns)
        whole = csr_array((np.concatenate(values), where), shape=self.A.shape)
        B = (self.B @ np.eye(self.inputs))[:hidden]
        b = self.b.astype(float)
        return ImplicitNetwork(
            whole[:hidden, :hidden], B, whole[last, :hidden].toarray(), b[:hidden], b[last], activation=kinds.pop()
        )

    def _apart(self, eps, labels):
        """For each label t: how far y_t - y_j can move, all j; the last layer is folded in where it is linear."""
        r = self._radius(eps)[0]
        for block in self.blocks[:-1]:
            r = _spread(block, r)
        last = self.blocks[-1]
        if not (isinstance(last.layer, Dense) and last.layer.activation.name == "identity"):
            r = _spread(last, r).reshape(-1)
            return {t: np.nextafter(r[t] + r, np.inf) for t in labels}
        for layer in last.before:
            r = layer.spread(r)
        W = last.layer.weight.astype(float)
        # a difference of two weights has one rounding, relative to itself
        return {t: Dense(np.abs(W[t] - W) * (1 + 1e-15)).majorant(r.reshape(1, -1))[0] for t in labels}

    def _read(self, U):
        try:
            array = np.asarray(U, dtype=self.dtype)
        except (TypeError, ValueError):
            raise ArgumentError("U", U, f"numbers of shape (batch, {self.inputs})") from None
        if array.ndim < 2 or array.shape[1:] not in ((self.inputs,), self.shape):
            raise ArgumentError(
                "U", describe(array), f"an array of shape (batch, {self.inputs}) or (batch, *{self.shape})"
            )
        if not np.isfinite(array).all():
            raise ArgumentError("U", Shown("an entry that is not finite"), "finite inputs")
        return array.reshape(len(array), *self.shape)

    def _radius(self, radius):
        r = np.asarray(radius, dtype=float)
        good = r.ndim == 0 or (r.ndim in (1, 2) and r.shape[-1] == self.inputs)
        if not good or not np.isfinite(r).all() or (r < 0).any():
            raise ArgumentError("radius", describe(r), f"numbers that are not negative, one or {self.inputs}")
        batch = r.shape[0] if r.ndim == 2 else 1
        return np.array(np.broadcast_to(r, (batch, self.inputs))).reshape(batch, *self.shape), r.ndim < 2

    def __repr__(self):
        return f"FeedforwardNetwork({len(self.blocks)} layers, {self.inputs} -> {self.outputs}, {self.n} states)"


def _turn(block, x, rng=None):
    for layer in block.before:
        x = layer.apply(x, rng) if isinstance(layer, Dropout) else layer.apply(x)
    layer = block.layer
    return layer.activate(layer.shifted(layer.product(x.reshape(len(x), *block.entry))))


def _spread(block, r):
    for layer in block.before:
        r = layer.spread(r)
    return block.layer.spread(r.reshape(len(r), *block.entry))


def _underflow(layer, dtype):
    """What the underflow of its products can add to the rounding error of a layer's sum."""
    return (layer.terms + 4) * float(np.finfo(dtype).smallest_subnormal)
