r"""Systems made of systems: :func:`interconnect` joins models of any form, and certifies the whole from its parts.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import math

from .certify.assemble import certify_interconnection, check_certificates
from .certify.assemble import gain_matrix as _gain_matrix
from .certify.region import WholeSpace
from .errors import ArgumentError
from .fields.interconnection import InterconnectionField

__all__ = ["Interconnection", "interconnect"]


class Interconnection(InterconnectionField):
    r"""A system made of systems: :math:`\dot x_i = f_i(t, x_i) + \sum_j L_{ij}x_j + \sum_j g_{ij}(t, x_j)`.

    If part i contracts at rate :math:`c_i` in a norm of its own and part j moves it by at most :math:`\gamma_{ij}` times its
    own change, the whole contracts when the *gain matrix* with :math:`\Gamma_{ii} = -c_i`, :math:`\Gamma_{ij} = \gamma_{ij}` is
    Hurwitz, in the composite norm :math:`\max_i\|x_i\|_i/\eta_i` (or an l1 or l2 sum), at the rate
    :math:`|\alpha(\Gamma)|`. :func:`dynet.certify` finds the certificate; it carries the claims of all parts.

    Parameters
    ----------
    parts : dict of str to VectorField
        Models of any form, interconnections among them. The states are those of the parts in their order, and their labels
        ``part.node``.
    links : dict of (str, str) to matrix or Link
        ``links["a", "b"]`` lets part a act on part b: a matrix of shape (states of b, states of a), dense, sparse or
        one-dimensional for a diagonal one; or a function with bounds on its slopes, a :class:`dynet.Link` or a pair
        ``(function, Lipschitz constant)`` (between parts of several states a matrix of bounds gives sharper certificates than a
        number). What it gives is added to the derivatives of b. 1/time, in the units of both.

    Attributes
    ----------
    parts, links : dict
    params : dict
        Parameters of the parts as ``part.name``, of functions as ``from->to.name``. Those that may differ from trajectory
        to trajectory in a part may do so here: ``dn.simulate(..., params={"part.name": ...})``.

    Raises
    ------
    ArgumentError
        For names that are no parts (with the nearest one), matrices of the wrong shape, functions without bounds or with
        bounds that fail at some state.

    References
    ----------
    Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.

    Examples
    --------
    >>> import dynet as dn
    >>> slow = dn.models.FiringRate([[0.0, 0.5], [-0.5, 0.0]])
    >>> fast = dn.models.Hopfield([[-1.0]], leak=2.0, labels=["y"])
    >>> links = {("slow", "fast"): [[0.5, 0.5]], ("fast", "slow"): [[0.2], [0.0]]}
    >>> whole = dn.interconnect({"slow": slow, "fast": fast}, links)
    >>> whole.labels
    ('slow.x0', 'slow.x1', 'fast.y')
    >>> print(whole.gain_matrix().values)
    [[-0.5  0.2]
     [ 1.  -2. ]]
    >>> print(dn.certify(whole, "inf"))
    Certificate: Interconnection is strongly contracting
      rate    0.376787
      norm    l_inf with weights 0.616 to 1 of 2 blocks
      osLip   <= -0.376787
      region  whole space
      status  certified
      why     the gain matrix is Hurwitz: the 2 parts contract faster than they disturb each other
    """

    def gain_matrix(self, certificates=None, p=math.inf):
        r"""The Metzler matrix of rates and gains, labelled.

        Parameters
        ----------
        certificates : dict of str to Certificate, optional
            Of parts, by name; those of the others are searched.
        p : 1, 2 or inf
            Of the norms in which they are searched.

        Returns
        -------
        xarray.DataArray, dims ("to", "from")
            Minus the rates on the diagonal (positive where a part does not contract, inf where nothing is known of it).
        """
        import xarray

        if p not in (1, 2, math.inf):
            raise ArgumentError("p", p, "1, 2 or inf")
        gain, _ = _gain_matrix(self, certificates, float(p))
        names = [leaf.name for leaf in self.leaves()]
        return xarray.DataArray(gain, dims=("to", "from"), coords={"to": names, "from": names}, name="gain")

    def certificate(self, certificates):
        """The certificate of the whole from given ones of parts, which may be in norms of different p.

        Parameters
        ----------
        certificates : dict of str to Certificate
            By the names of parts; those of the others are searched.

        Returns
        -------
        Certificate
        """
        certificates = check_certificates(self, certificates)
        return certify_interconnection(self, None, "strong", WholeSpace(), None, certificates)


def interconnect(parts, links):
    """Join models into one: see :class:`Interconnection`, which it makes.

    Parameters
    ----------
    parts : dict of str to VectorField
    links : dict of (str, str) to matrix, Link or (function, float)
        The key is (from, to).

    Returns
    -------
    Interconnection

    Examples
    --------
    >>> import dynet as dn
    >>> two = dn.interconnect({"a": dn.models.Lorenz(), "b": dn.models.Thomas()}, {("a", "b"): [0.1, 0.1, 0.0]})
    >>> two
    Interconnection(n=6)
    """
    return Interconnection(parts, links)
