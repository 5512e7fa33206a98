"""Implicit networks as functions of JAX: a custom derivative around the compiled sweeps of this package.

The functions work under ``jit``, ``grad`` and ``vmap``; the sweeps run on the processor, called back from the compiled
computation. Needs the extra ``jax``. JAX computes in single precision unless ``jax_enable_x64`` is set.

>>> import jax, jax.numpy as jnp
>>> params = init(2, 5, 1, seed=0)
>>> loss = lambda params, U: jnp.sum(apply(params, U) ** 2)
>>> jax.jit(jax.grad(loss))(params, jnp.ones((3, 2)))["T"].shape
(5, 5)
"""

from __future__ import annotations

import functools

import numpy as np

from ..errors import ArgumentError, MissingExtraError

try:
    import jax
except ImportError:
    raise MissingExtraError("dynet.implicit.jax", "jax") from None

from .bridge import layer
from .network import ImplicitNetwork
from .parametrize import WeightedInf

__all__ = ["apply", "fixed_point", "init", "matrix", "network"]

_LINEAR = ("B", "C", "b", "d")


def fixed_point(U, A, B, b, *, activation="relu", weights=None, tol=None):
    r"""The states :math:`x = \Phi(Ax + Bu + b)` of a batch, differentiable (once, in reverse) in U, A, B and b.

    Parameters
    ----------
    U : array, shape (batch, m)
    A : array, shape (n, n)
    B : array, shape (n, m)
    b : array, shape (n,)
        All of one type, float32 or float64.
    activation : str or Activation
    weights : array, shape (n,), optional
        Of the norm in which A is well-posed; the best ones when None.
    tol : float, optional
        Wanted distance from the fixed point in that norm, and relative error of gradients; 1e-10 in float64, 1e-5 in float32
        when None.

    Returns
    -------
    array, shape (batch, n)
        Rows of NaN where no fixed point was found, and NaN everywhere where A is not known to be well-posed: a compiled
        computation cannot raise.

    Raises
    ------
    ArgumentError
        For shapes or types that do not fit.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> A = jnp.array([[-1.0, 0.5], [0.5, -1.0]])
    >>> print(fixed_point(jnp.array([[3.0, 0.0]]), A, jnp.eye(2), jnp.zeros(2)).round(3))
    [[1.6 0.4]]
    """
    U, A, B, b = (jax.numpy.asarray(v) for v in (U, A, B, b))
    n, m = A.shape[0], B.shape[-1]
    for name, value, wanted in (("U", U, (*U.shape[:1], m)), ("A", A, (n, n)), ("B", B, (n, m)), ("b", b, (n,))):
        if value.shape != wanted or value.dtype != A.dtype:
            raise ArgumentError(name, f"{value.dtype} of shape {value.shape}", f"{A.dtype} of shape {wanted}")
    if weights is None:  # looked for in the callback
        weights = jax.numpy.zeros(n, A.dtype)
    return _fixed_point((activation, tol), U, A, B, b, jax.lax.stop_gradient(jax.numpy.asarray(weights)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fixed_point(options, U, A, B, b, weights):
    shape = jax.ShapeDtypeStruct((U.shape[0], A.shape[0]), A.dtype)
    return jax.pure_callback(functools.partial(_solve, options), shape, U, A, B, b, weights, vmap_method="sequential")


def _forward(options, U, A, B, b, weights):
    x = _fixed_point(options, U, A, B, b, weights)
    return x, (U, A, B, b, weights, x)


def _backward(options, kept, dx):
    *given, weights, _ = kept
    shapes = tuple(jax.ShapeDtypeStruct(v.shape, v.dtype) for v in given)
    slopes = jax.pure_callback(functools.partial(_pull, options), shapes, *kept, dx, vmap_method="sequential")
    return (*slopes, jax.numpy.zeros_like(weights))


_fixed_point.defvjp(_forward, _backward)


def _layer(options, A, B, b, weights):
    """The layer, or None where it is not known to be well-posed."""
    activation, tol = options
    try:
        return layer(A, B, b, weights if weights.any() else None, activation, tol)
    except ArgumentError as error:
        if error.name != "A":
            raise
        return None


def _solve(options, *arrays):
    U, A, B, b, weights = (np.asarray(v) for v in arrays)
    found = _layer(options, A, B, b, weights)
    return np.full((len(U), len(A)), np.nan, A.dtype) if found is None else found.forward(np.ascontiguousarray(U))[0]


def _pull(options, *arrays):
    U, A, B, b, weights, x, dx = (np.ascontiguousarray(v) for v in arrays)
    found = _layer(options, A, B, b, weights)
    if found is None:
        return tuple(np.full_like(v, np.nan) for v in (U, A, B, b))
    return tuple(np.asarray(v, A.dtype) for v in found.backward(found.again(U, x), dx))


def init(inputs, states, outputs, family=None, seed=0, dtype=None):
    """Parameters of an implicit network, as a dict of arrays: those of the family, and B, C, b and d.

    Parameters
    ----------
    inputs, states, outputs : int
    family : optional
        From :mod:`dynet.implicit.parametrize`; ``WeightedInf(0.95)`` when None.
    seed : int
    dtype : optional
        JAX's default when None.

    Examples
    --------
    >>> sorted(init(2, 3, 1))
    ['B', 'C', 'T', 'b', 'd', 's', 'w']
    """
    family = WeightedInf(0.95) if family is None else family
    start = ImplicitNetwork.random(inputs, states, outputs, gamma=0.0, seed=seed)  # its B and C
    params = {**family.init(states, seed), **{name: getattr(start, name) for name in _LINEAR}}
    return {name: jax.numpy.asarray(np.array(value), dtype or float) for name, value in params.items()}


def matrix(params, family=None):
    """A and the weights of its norm, differentiable in the parameters of the family.

    >>> A, weights = matrix(init(2, 3, 1))
    >>> A.shape, weights.shape
    ((3, 3), (3,))
    """
    family = WeightedInf(0.95) if family is None else family
    return _build(family, {name: value for name, value in params.items() if name not in _LINEAR})


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _build(family, params):
    n = max(value.shape[0] for value in params.values())
    kind = next(iter(params.values())).dtype
    shapes = jax.ShapeDtypeStruct((n, n), kind), jax.ShapeDtypeStruct((n,), kind)
    return jax.pure_callback(functools.partial(_make, family), shapes, params, vmap_method="sequential")


def _build_forward(family, params):
    return _build(family, params), params


def _build_backward(family, params, slopes):
    shapes = {name: jax.ShapeDtypeStruct(v.shape, v.dtype) for name, v in params.items()}
    call = functools.partial(_unmake, family)
    return (jax.pure_callback(call, shapes, params, slopes[0], vmap_method="sequential"),)


_build.defvjp(_build_forward, _build_backward)


def _make(family, params):
    A, weights = family.build({name: np.asarray(value) for name, value in params.items()})
    return A, np.zeros(len(A), A.dtype) if weights is None else np.asarray(weights, A.dtype)  # zeros: none are known


def _unmake(family, params, dA):
    params = {name: np.asarray(value) for name, value in params.items()}
    slopes = family.pull(params, np.array(dA))
    return {name: np.asarray(slopes[name], value.dtype) for name, value in params.items()}


def apply(params, U, family=None, activation="relu", tol=None):
    """The outputs (batch, q) of an implicit network for inputs (batch, m).

    Parameters
    ----------
    params : dict
        From :func:`init`, or what training has made of it.
    U : array, shape (batch, m)
    family, activation, tol
        As in :func:`init` and :func:`fixed_point`.

    Examples
    --------
    >>> apply(init(2, 3, 1), np.ones((4, 2), np.float32)).shape
    (4, 1)
    """
    A, weights = matrix(params, family)
    x = fixed_point(U, A, params["B"], params["b"], activation=activation, weights=weights, tol=tol)
    return x @ params["C"].T + params["d"]


def network(params, family=None, activation="relu"):
    """The same network as a :class:`dynet.ImplicitNetwork`, with its bounds and certificates.

    >>> network(init(2, 3, 1)).mu <= 0.95
    True
    """
    A, weights = matrix(params, family)
    parts = (np.array(v) for v in (A, *(params[name] for name in _LINEAR)))
    weights = np.array(weights, float)
    return ImplicitNetwork(*parts, activation=activation, weights=weights if weights.any() else None)
