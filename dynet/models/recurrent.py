r"""Continuous-time recurrent networks: Hopfield, firing rate, Persidskii, and linear minus monotone.

=================== ============================================ =======================
model               equation                                     Jacobian
=================== ============================================ =======================
Hopfield            :math:`\dot x = -Cx + A\Phi(x) + u`          :math:`-C + A[d]`
FiringRate          :math:`\dot x = -Cx + \Phi(Ax + u)`          :math:`-C + [d]A`
Persidskii          :math:`\dot x = A\Phi(x) + u`                :math:`A[d]`
LinearMinusMonotone :math:`\dot x = Ax - \Phi(x) + u`            :math:`A - [d]`
=================== ============================================ =======================

with :math:`C` diagonal and the slopes :math:`d` of the activation in :math:`[d_{\min}, d_{\max}]`.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..fields.base import describe
from ..fields.graph import coupling_matrix
from ..fields.lure import LureField

__all__ = ["Hopfield", "FiringRate", "Persidskii", "LinearMinusMonotone"]


class _Recurrent(LureField):
    """What the four share: a coupling matrix times a weight, an activation, an input; parameters that can be replaced."""

    _defaults: dict

    def _build(self, coupling, arguments, matrices):
        """Check the common arguments and hand the Lur'e matrices of `matrices(A, leak)` to the form."""
        A, labels = coupling_matrix(coupling, weight=arguments.get("edge_weight", "weight"))
        n = A.shape[0]
        scale = arguments["weight"]
        if isinstance(scale, (str, bool)) or np.ndim(scale) != 0 or not np.isfinite(scale):
            raise ArgumentError("weight", scale, "a finite number that multiplies the coupling matrix")
        leak = None
        if "leak" in arguments:
            leak = np.asarray(arguments["leak"], dtype=float)
            if leak.shape not in ((), (n,)) or not np.isfinite(leak).all():
                raise ArgumentError("leak", describe(leak), f"a finite number, or one for each of the {n} nodes")
            leak = np.broadcast_to(leak, n).copy()
        self.coupling = coupling
        self._arguments = arguments
        shown = {k: v for k, v in arguments.items() if k not in ("labels", "edge_weight") and v is not None}
        if arguments.get("labels") is not None:
            labels = arguments["labels"]
        LureField.__init__(
            self,
            **matrices(A * float(scale), leak, np.ones(n)),
            activation=arguments["activation"],
            input=arguments["input"],
            labels=labels,
            params=shown,
        )
        if arguments["input"] is not None and not np.isscalar(arguments["input"]):
            self.params["input"] = self.input

    def replace(self, **params):
        for name in params:
            if name not in self._arguments:
                raise ArgumentError(
                    name, params[name], f"a parameter of {self.name}", choices=self._arguments, word=name
                )
        return type(self)(self.coupling, **{**self._arguments, **params})


_PARAMETERS = """
    Parameters
    ----------
    coupling : networkx graph, ndarray (n, n) or scipy sparse array
        ``coupling[i, j]`` is the effect of node j on node i; a directed edge u -> v lets u act on v.
    weight : float
        Multiplies the coupling matrix.{leak}
    activation : str or Activation
        Its slopes decide the certificate; see :func:`dynet.fields.activation.names`.
    input : float, array_like (n,) or Signal, optional
        {input}
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional
        One name per state; a graph's nodes by default.

    Raises
    ------
    ArgumentError
        For a coupling that is not square or not finite, an unknown activation, an input or leak of the wrong shape.

    References
    ----------
    Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

_LEAK = """
    leak : float or array_like (n,)
        Decay rate of each node, 1/time."""


class Hopfield(_Recurrent):
    __doc__ = (
        r"""The Hopfield network :math:`\dot x = -C x + A\,\Phi(x) + u`, with states as potentials.

    Its Jacobian is :math:`-C + A[d]`; in the weighted l1 and l-infinity norms its one-sided Lipschitz constant is known
    exactly.
"""
        + _PARAMETERS.format(leak=_LEAK, input="External current, added outside the activation.")
        + """
    Examples
    --------
    >>> import networkx as nx
    >>> net = Hopfield(nx.karate_club_graph(), weight=0.02)
    >>> net
    Hopfield(n=34)
    >>> net.labels[:2]
    ('0', '1')
    """
    )
    name = "Hopfield"
    equation = "x' = -C x + A phi(x) + u"

    def __init__(
        self, coupling, weight=1.0, leak=1.0, activation="tanh", input=None, edge_weight="weight", labels=None
    ):
        arguments = dict(
            weight=weight, leak=leak, activation=activation, input=input, edge_weight=edge_weight, labels=labels
        )
        self._build(coupling, arguments, lambda A, leak, one: dict(E=-leak, F=A, G=one, D=one))


class FiringRate(_Recurrent):
    __doc__ = (
        r"""The firing-rate network :math:`\dot x = -C x + \Phi(A x + u)`, with states as rates.

    Its Jacobian is :math:`-C + [d]A`.
"""
        + _PARAMETERS.format(leak=_LEAK, input="Input current, inside the activation.")
        + """
    Examples
    --------
    >>> net = FiringRate([[0.0, 0.5], [-0.5, 0.0]], activation="relu", input=[1.0, 0.0])
    >>> net.rhs(0.0, [0.0, 0.0])
    array([1., 0.])
    """
    )
    name = "FiringRate"
    equation = "x' = -C x + phi(A x + u)"

    def __init__(
        self, coupling, weight=1.0, leak=1.0, activation="tanh", input=None, edge_weight="weight", labels=None
    ):
        arguments = dict(
            weight=weight, leak=leak, activation=activation, input=input, edge_weight=edge_weight, labels=labels
        )
        self._build(coupling, arguments, lambda A, leak, one: dict(E=-leak, F=one, G=A, B=one))


class Persidskii(_Recurrent):
    __doc__ = (
        r"""The Persidskii system :math:`\dot x = A\,\Phi(x) + u`.

    Its Jacobian is :math:`A[d]`. Where the activation may be flat (least slope 0) it is at best weakly contracting.
"""
        + _PARAMETERS.format(leak="", input="Added outside the activation.")
        + """
    Examples
    --------
    >>> Persidskii([[-2.0, 1.0], [0.5, -1.0]], activation="leaky_relu(0.5)").rhs(0.0, [1.0, -1.0])
    array([-2.5,  1. ])
    """
    )
    name = "Persidskii"
    equation = "x' = A phi(x) + u"

    def __init__(self, coupling, weight=1.0, activation="tanh", input=None, edge_weight="weight", labels=None):
        arguments = dict(weight=weight, activation=activation, input=input, edge_weight=edge_weight, labels=labels)
        self._build(coupling, arguments, lambda A, leak, one: dict(E=0 * one, F=A, G=one, D=one))


class LinearMinusMonotone(_Recurrent):
    __doc__ = (
        r"""The field :math:`\dot x = A x - \Phi(x) + u`, a linear system with monotone damping.

    Its Jacobian is :math:`A - [d]`.
"""
        + _PARAMETERS.format(leak="", input="Added outside the activation.")
        + """
    Examples
    --------
    >>> LinearMinusMonotone([[-1.0, 0.5], [0.5, -1.0]], activation="relu").rhs(0.0, [1.0, 1.0])
    array([-1.5, -1.5])
    """
    )
    name = "LinearMinusMonotone"
    equation = "x' = A x - phi(x) + u"

    def __init__(self, coupling, weight=1.0, activation="tanh", input=None, edge_weight="weight", labels=None):
        arguments = dict(weight=weight, activation=activation, input=input, edge_weight=edge_weight, labels=labels)
        self._build(coupling, arguments, lambda A, leak, one: dict(E=A, F=-one, G=one, D=one))
