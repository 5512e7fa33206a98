r"""Slopes on a region: what a Lur'e field becomes where its units see a part of the line only.

On a region x lies in a box, so what goes into unit k lies in an interval (its input included), and the slopes of its
activation there may be much smaller than everywhere: tanh on [1, 2] has slopes in [0.07, 0.42]. The structure stays: a row
(or column) still shares one slope, which an entrywise enclosure of the Jacobian would lose.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

from ..fields.enclosure import unit_bounds
from .region import WholeSpace

__all__ = ["local_slopes"]


def local_slopes(model, region):
    """Bounds on the slope of each unit on a region, for the field's own input.

    Parameters
    ----------
    model : LureField
    region : Region

    Returns
    -------
    lo, hi : ndarray, shape (m,)

    Raises
    ------
    ArgumentError
        For an activation without declared slopes, a region of another size.

    Examples
    --------
    >>> import dynet as dn
    >>> from dynet.certify.region import Box
    >>> net = dn.models.FiringRate([[0.5]], activation="tanh")
    >>> lo, hi = local_slopes(net, Box([2.0], [4.0]))
    >>> print(lo.round(4), hi.round(4))
    [0.0707] [0.42]
    """
    region.fits(model.n)
    if isinstance(region, WholeSpace):
        return model.slopes
    z = unit_bounds(model, *region.box(model.n))
    return tuple(end[0] for end in model.activation.local_slopes(z.lo, z.hi))
