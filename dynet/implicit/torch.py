"""Implicit networks as layers of PyTorch: an autograd function, and a module that is well-posed whatever the optimiser does.

States and gradients are found by the compiled sweeps of this package on the processor's memory: tensors there are read
without a copy, tensors elsewhere are copied there and back. Needs the extra ``torch``.

>>> import torch
>>> module = ImplicitLayer(2, 5, 1, seed=0)
>>> out = module(torch.ones(3, 2))
>>> out.sum().backward()
>>> out.shape, module.raw["T"].grad.shape
(torch.Size([3, 1]), torch.Size([5, 5]))
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, MissingExtraError, Shown

try:
    import torch
except ImportError:
    raise MissingExtraError("dynet.implicit.torch", "torch") from None

from .bridge import layer
from .network import ImplicitNetwork
from .parametrize import WeightedInf

__all__ = ["ImplicitLayer", "fixed_point"]


class _FixedPoint(torch.autograd.Function):
    """The states, and their gradients through the equilibrium."""

    @staticmethod
    def forward(ctx, U, A, B, b, weights, activation, tol):
        ctx.layer = layer(_array(A), _array(B), _array(b), weights, activation, tol)
        x, ctx.found = ctx.layer.forward(_array(U))
        ctx.save_for_backward(U, A, B, b)
        return torch.from_numpy(x).to(U.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dx):
        saved = ctx.saved_tensors  # raises where one of them has been changed in place
        slopes = ctx.layer.backward(ctx.found, _array(dx))
        tensors = (torch.from_numpy(np.ascontiguousarray(s)).to(t.device) for s, t in zip(slopes, saved, strict=True))
        needed = (t if need else None for t, need in zip(tensors, ctx.needs_input_grad, strict=False))
        return (*needed, None, None, None)


class _Build(torch.autograd.Function):
    """The matrix of a parametrisation, and the gradients of its parameters."""

    @staticmethod
    def forward(ctx, family, names, *values):
        A, weights = family.build({name: _array(value) for name, value in zip(names, values, strict=True)})
        ctx.family, ctx.names = family, names
        ctx.save_for_backward(*values)
        weights = np.empty(0) if weights is None else np.asarray(weights)  # a Euclidean family has none
        A, weights = torch.from_numpy(np.ascontiguousarray(A)).to(values[0].device), torch.from_numpy(weights)
        ctx.mark_non_differentiable(weights)
        return A, weights

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dA, _):
        params = {name: _array(value) for name, value in zip(ctx.names, ctx.saved_tensors, strict=True)}
        slopes = ctx.family.pull(params, np.array(_array(dA)))
        values = zip(ctx.names, ctx.saved_tensors, strict=True)
        return (None, None, *(torch.from_numpy(np.array(slopes[n], _array(v).dtype)).to(v.device) for n, v in values))


def fixed_point(U, A, B, b=None, *, activation="relu", weights=None, tol=None):
    r"""The states :math:`x = \Phi(Ax + Bu + b)` of a batch, differentiable in U, A, B and b.

    Parameters
    ----------
    U : Tensor, shape (batch, m)
    A : Tensor, shape (n, n)
    B : Tensor, shape (n, m)
    b : Tensor, shape (n,), optional
        Zero when None. All tensors are float32, or all are float64.
    activation : str or Activation
    weights : array_like, shape (n,), optional
        Of the norm in which A is well-posed; the best ones when None.
    tol : float, optional
        Wanted distance from the fixed point in that norm, and relative error of gradients; 1e-10 in float64, 1e-5 in float32
        when None.

    Returns
    -------
    Tensor, shape (batch, n)
        Rows of NaN where no fixed point was found. Second derivatives are not available.

    Raises
    ------
    ArgumentError
        For shapes or types that do not fit, or an A that is not known to be well-posed.

    Examples
    --------
    >>> A = torch.tensor([[-1.0, 0.5], [0.5, -1.0]], dtype=torch.float64)
    >>> fixed_point(torch.tensor([[3.0, 0.0]], dtype=torch.float64), A, torch.eye(2, dtype=torch.float64))
    tensor([[1.6000, 0.4000]], dtype=torch.float64)
    """
    for name, value in (("U", U), ("A", A), ("B", B), ("b", b)):
        if not isinstance(value, torch.Tensor) and not (name == "b" and value is None):
            raise ArgumentError(name, value, "a tensor")
    b = torch.zeros(len(A), dtype=A.dtype, device=A.device) if b is None else b
    if U.ndim != 2 or B.ndim != 2 or U.shape[1] != B.shape[1] or U.dtype != A.dtype:
        raise ArgumentError(
            "U", Shown(f"{U.dtype} of shape {tuple(U.shape)}"), f"{A.dtype} of shape (batch, {B.shape[-1]})"
        )
    return _FixedPoint.apply(U, A, B, b, weights, activation, tol)


class ImplicitLayer(torch.nn.Module):
    r"""An implicit network :math:`x = \Phi(Ax + Bu + b)`, :math:`y = Cx + d` as a module.

    Its matrix A comes from a parametrisation: whatever an optimiser does to the raw parameters, :math:`\mu(A)\le\gamma < 1`.

    Parameters
    ----------
    inputs, states, outputs : int
    family : optional
        From :mod:`dynet.implicit.parametrize`; ``WeightedInf(0.95)`` when None.
    activation : str or Activation
    seed : int
    tol : float, optional
        See :func:`fixed_point`.
    dtype : torch.dtype, optional
        float32 or float64; PyTorch's default when None.

    Attributes
    ----------
    raw : ParameterDict
        The parameters of the family.
    B, C, b, d : Parameter

    Examples
    --------
    >>> module = ImplicitLayer(3, 4, 2, seed=1, dtype=torch.float64)
    >>> U = torch.randn(5, 3, dtype=torch.float64)
    >>> net = module.network()
    >>> net.mu <= 0.95, bool(np.allclose(net(U.numpy()), module(U).detach().numpy()))
    (True, True)
    """

    def __init__(self, inputs, states, outputs, family=None, activation="relu", seed=0, tol=None, dtype=None):
        super().__init__()
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if dtype not in (torch.float32, torch.float64):
            raise ArgumentError("dtype", dtype, "torch.float32 or torch.float64")
        self.family = WeightedInf(0.95) if family is None else family
        start = ImplicitNetwork.random(inputs, states, outputs, gamma=0.0, seed=seed)  # its B and C
        params = self.family.init(states, seed)
        self.raw = torch.nn.ParameterDict({k: torch.nn.Parameter(_tensor(v, dtype)) for k, v in params.items()})
        self.B, self.C, self.b, self.d = (torch.nn.Parameter(_tensor(getattr(start, k), dtype)) for k in "BCbd")
        self.activation, self.tol = activation, tol

    def matrix(self):
        """A, differentiable in the raw parameters, and the weights of its norm."""
        return _Build.apply(self.family, tuple(self.raw), *self.raw.values())

    def states(self, U):
        """The states (batch, n) for inputs (batch, m)."""
        A, weights = self.matrix()
        return fixed_point(U, A, self.B, self.b, activation=self.activation, weights=_weights(weights), tol=self.tol)

    def forward(self, U):
        """The outputs (batch, q) for inputs (batch, m)."""
        return self.states(U) @ self.C.T + self.d

    def network(self):
        """The same network as a :class:`dynet.ImplicitNetwork`, with its bounds and certificates."""
        with torch.no_grad():
            A, weights = self.matrix()
        parts = (_array(v).copy() for v in (A, self.B, self.C, self.b, self.d))
        return ImplicitNetwork(*parts, activation=self.activation, weights=_weights(weights))


def _array(tensor):
    """A contiguous array that shares memory with the tensor where that is possible."""
    return tensor.detach().cpu().contiguous().numpy()


def _weights(tensor):
    return tensor.numpy().astype(float) if len(tensor) else None


def _tensor(array, dtype):
    return torch.tensor(np.array(array), dtype=dtype)
