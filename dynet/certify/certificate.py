r"""Certificates: a claim about a vector field, a witness, and a check that does not trust whoever found it.

A certificate says that the one-sided Lipschitz constant of a field is at most ``-rate`` in a norm, or of what the field does
to differences (a seminorm) or to volumes (a compound). It carries the numbers of the field that the claim is about (matrices
and slope intervals) and the witness (weights), so that :meth:`check` can be run by someone who has neither the model nor the
search: in floating point with directed rounding, or in exact rational arithmetic.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..linalg.norms import Norm
from . import explain
from .benefits import Benefits
from .forms import renewed

__all__ = ["Certificate", "Law"]

STATUSES = ("certified", "estimated", "sampled", "refuted", "unknown")
KINDS = ("strong", "weak", "semi", "k", "alpha", "none")
PROVES = {"strong": "contraction", "weak": "contraction", "semi": "semi", "k": "k", "alpha": "alpha"}


@dataclass(frozen=True, eq=False)
class Law:
    """What a field conserves, or how it may be moved without a change.

    Attributes
    ----------
    name : str
        ``"conservation"``: the weighted sum ``vector @ F(x)`` does not depend on x. ``"translation"``: ``F(x + a vector)``
        is F(x) for every a. Either makes 0 an eigenvalue of every Jacobian, so that no norm shows strong contraction.
    vector : ndarray, shape (n,)

    Examples
    --------
    >>> import dynet as dn
    >>> walk = dn.models.Lure(E=[[-1.0, 1.0], [1.0, -1.0]], F=[0.0, 0.0], G=[1.0, 1.0])
    >>> law = dn.certify(walk, "1", kind="weak").law
    >>> law.name, law.vector
    ('conservation', array([1., 1.]))
    """

    name: str
    vector: np.ndarray

    def __str__(self):
        ones = np.all(self.vector == self.vector[0])
        if self.name == "conservation":
            return "conserves the sum of the states" if ones else "conserves a weighted sum of the states"
        return "does not change when all states are shifted" + (" by one amount" if ones else " along a vector")


@dataclass(frozen=True, eq=False)
class Certificate(Benefits):
    """The result of :func:`dynet.certify`.

    Attributes
    ----------
    status : str
        ``certified`` (the check passed), ``estimated`` (floating point without control of rounding), ``sampled`` (a lower
        bound only), ``refuted`` (a counterexample is known) or ``unknown``.
    kind : str
        ``strong`` (rate > 0), ``weak`` (rate = 0), ``semi`` (of a seminorm), ``k`` (of k-volumes), ``alpha`` (of volumes of
        a real dimension) or ``none``.
    rate : float
        The certified contraction rate, 1/time; the one-sided Lipschitz constant is at most ``-rate``.
    norm : Norm, seminorm or norm of volumes, or None
    bounds : tuple of float
        Lower and upper bound on the least log norm, maximal over all slopes in the declared intervals, that any diagonal
        weights of the same p can reach; the lower one is ``-inf`` where none is known. :meth:`check` proves the upper
        one, :meth:`check_lower` the lower one.
    reason : str
        In words, what holds, or why nothing does.
    region : str
        Where the claim holds; ``whole space``.
    model : str
        The model's name, for printing.
    claim : object or None
        The inequality with its witness; see :mod:`dynet.certify.claims`.
    order : float or None
        The dimension of the volumes, for the kinds ``k`` and ``alpha``.
    law : Law or None
        A conservation law or an invariance that is part of the claim.
    floor : object or None
        The proof of the lower one of the bounds; see :mod:`dynet.certify.floors`.
    source : VectorField or None
        The field, where the certificate was made in this session; not part of the claim, nor of its file.

    Examples
    --------
    >>> import dynet as dn
    >>> cert = dn.certify(dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]]), norm="inf")
    >>> bool(cert), round(cert.rate, 12), cert.check(), cert.check(exact=True)
    (True, 0.5, True, True)
    >>> dn.Certificate.from_json(cert.to_json()) == cert
    True
    """

    status: str
    kind: str
    rate: float
    norm: Norm | None
    bounds: tuple[float, float]
    reason: str
    region: str = "whole space"
    model: str = "field"
    claim: object | None = field(default=None, repr=False)
    order: float | None = None
    law: Law | None = None
    floor: object | None = field(default=None, repr=False)
    source: object | None = field(default=None, repr=False, compare=False)

    def __bool__(self):
        holds = self.rate > 0 or (self.kind == "weak" and self.rate == 0)
        return bool(self.status == "certified" and self.kind != "none" and holds)

    @property
    def contracting(self):
        """Whether strong contraction in a norm is certified: what the solvers need."""
        return bool(self) and self.kind == "strong"

    @property
    def osLip(self):
        """The bound on the one-sided Lipschitz constant, ``-rate``."""
        return -self.rate

    @property
    def lip(self):
        """A bound on the Lipschitz constant in the same norm; inf where there is no claim."""
        return math.inf if self.claim is None else self.claim.lipschitz()

    def check(self, exact=False):
        """Prove the claim again, from the numbers in the certificate alone.

        Parameters
        ----------
        exact : bool
            In rational arithmetic instead of floating point with directed rounding. Slower: about 20 microseconds an
            entry for weighted l1 and l-infinity norms; cubic in n for a full matrix P.

        Returns
        -------
        bool
            True is a proof of ``osLip <= -rate``, of the kind that is stated, and of the law. A certificate whose status is
            not ``certified`` has nothing to prove.
        """
        if self.claim is None or self.status != "certified":
            return False
        if PROVES.get(self.kind) != self.claim.proves or self.order != self.claim.order:
            return False
        fresh = renewed(self.claim)  # nothing that the search computed is reused
        try:
            for part in getattr(fresh, "parts", (fresh,)):
                part.structure.check()
            if self.norm != fresh.norm() or not fresh.holds(-self.rate, exact=exact):
                return False
        except (
            ValueError,
            TypeError,
            AttributeError,
            OverflowError,
            np.linalg.LinAlgError,
        ):  # an ArgumentError is a ValueError
            return False
        from .weak import keeps

        return self.law is None or keeps(fresh.structure, self.law.name, self.law.vector)

    def check_lower(self, exact=False):
        """Prove the lower bound again, from the numbers in the certificate alone.

        Parameters
        ----------
        exact : bool
            In rational arithmetic.

        Returns
        -------
        bool
            True is a proof that no other weights of the same p (or, with the floor ``spectrum`` or a law, no norm at all) reach
            less than ``bounds[0]``.

        Examples
        --------
        >>> import dynet as dn
        >>> cert = dn.certify(dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]]), norm="inf")
        >>> cert.check_lower(), cert.check_lower(exact=True)
        (True, True)
        """
        lower = self.bounds[0]
        if self.claim is None or not -math.inf < lower <= self.bounds[1]:
            return False
        if self.law is not None and self.kind == "weak":  # 0 is an eigenvalue of every Jacobian
            return lower <= 0 and self.check(exact)
        if self.floor is None or self.norm is None or self.claim.proves != "contraction":
            return False
        if self.floor.kind == "rows" and self.floor.p != self.norm.p or self.floor.kind == "dual" and self.norm.p != 2:
            return False
        try:
            floor = renewed(replace(self.floor, structure=self.claim.structure))
            return floor.holds(lower, exact)
        except (ValueError, TypeError, AttributeError, OverflowError, np.linalg.LinAlgError):
            return False

    def parts(self, exact=False):
        """What a check of this certificate proves, and what it takes from the certificate: a dict of words for each part.

        Examples
        --------
        >>> import dynet as dn
        >>> for part, word in dn.certify(dn.models.FiringRate([[0.5]])).parts().items():
        ...     print(f"{part}: {word}")
        rate: proven
        lower bound: proven
        numbers: carried; whose field they are is proven from the model only
        region: whole space
        """
        return explain.parts(self, exact)

    def explain(self, rows=5):
        """The inequality, the rows that bind, the theorem; a text of a few lines.

        Parameters
        ----------
        rows : int
            How many of the tightest rows to list.
        """
        return explain.text(self, rows)

    def plot(self, ax=None, rows=60, what=None):
        """Draw the unit ball, the weights, the rows, or the matrix; returns the matplotlib axes.

        Parameters
        ----------
        ax : matplotlib axes, optional
        rows : int
            How many rows to draw, tightest first.
        what : str, optional
            ``"ball"`` (two states), ``"weights"``, ``"rows"`` (how close each row comes to the bound) or ``"matrix"`` (the
            Metzler matrix of the claim). The first of ball, rows, weights that there is when None.
        """
        from .drawing import draw

        return draw(self, ax, rows, what)

    def to_json(self):
        """The certificate as text that :meth:`from_json` reads back bit for bit; see :mod:`dynet.certify.files`."""
        from .files import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text):
        """Read a certificate; see :mod:`dynet.certify.files`.

        Raises
        ------
        CertificateError
            For text that is not a whole, unchanged certificate of a known version.
        """
        from .files import from_json

        return from_json(text)

    def __eq__(self, other):
        return isinstance(other, Certificate) and self.to_json() == other.to_json()

    def __hash__(self):
        return hash((self.status, self.rate, self.norm))

    def __str__(self):
        return explain.summary(self)

    def verdict(self):
        """The claim in two or three words."""
        return explain.verdict(self)

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"
