"""What is known of a field beyond its equation: the ground on which certificates stand.

A model states here what its theorem needs and its equation guarantees. Nothing is measured: a fact is a promise of the
model's author, tested with the model, and a certificate that uses one says so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Facts"]


class Facts(NamedTuple):
    """Facts about a vector field f; the defaults promise nothing.

    Attributes
    ----------
    invariant : (ndarray, ndarray) or None
        Lower and upper bounds, arrays of shape (n,), of a box that no trajectory leaves; entries may be infinite.
    conserved : ndarray or None, shape (n,)
        A vector eta for which ``eta . f(t, x)`` does not depend on x: ``eta . x`` changes only by what flows in from outside.
    translation : ndarray or None, shape (n,)
        A vector xi with ``f(t, x + a xi) = f(t, x)`` for every number a.
    monotone : bool
        Whether the Jacobian is Metzler (no negative off-diagonal entry) at every state of the invariant box.
    slopes : dict or None
        For networks: bounds ``(low, high)`` on the derivatives of the node and edge functions; see ``NetworkField``.
    theorem : str
        What is known of the model, and where it stands.

    Examples
    --------
    >>> Facts().monotone
    False
    """

    invariant: tuple | None = None
    conserved: np.ndarray | None = None
    translation: np.ndarray | None = None
    monotone: bool = False
    slopes: dict | None = None
    theorem: str = ""
