r"""Certificates: a claim about a vector field, a witness, and a check that does not trust whoever found it.

A certificate says that the one-sided Lipschitz constant of a field is at most ``-rate`` in a norm. It carries the numbers
of the field that the claim is about (matrices and slope intervals) and the witness (weights), so that :meth:`check` can be
run by someone who has neither the model nor the search: in floating point with directed rounding, or in exact rational
arithmetic.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import ArgumentError
from ..linalg.norms import Norm
from .steps import best_forward_step

__all__ = ["Certificate"]

STATUSES = ("certified", "estimated", "sampled", "refuted", "unknown")


@dataclass(frozen=True, eq=False)
class Certificate:
    """The result of :func:`dynet.certify`.

    Attributes
    ----------
    status : str
        ``certified`` (the check passed), ``estimated`` (floating point without control of rounding), ``sampled`` (a lower
        bound only), ``refuted`` (a counterexample is known) or ``unknown``.
    kind : str
        ``strong`` (rate > 0), ``weak`` (rate = 0) or ``none``.
    rate : float
        The certified contraction rate, 1/time; the one-sided Lipschitz constant is at most ``-rate``.
    norm : Norm or None
    bounds : tuple of float
        Lower and upper bound on the least log norm, maximal over all slopes in the declared intervals, that any diagonal
        weights of the same p can reach; the lower one is ``-inf`` where none is known. They are bounds of the search:
        :meth:`check` proves the rate, not that it is the best.
    reason : str
        In words, what holds, or why nothing does.
    region : str
        Where the claim holds; ``whole space``.
    model : str
        The model's name, for printing.
    claim : object or None
        The inequality with its witness; see :mod:`dynet.certify.claims`.

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

    def __bool__(self):
        return self.status == "certified" and (self.rate > 0 or (self.kind == "weak" and self.rate >= 0))

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
            True is a proof of ``osLip <= -rate``. A certificate whose status is not ``certified`` has nothing to prove.
        """
        if self.claim is None or self.status != "certified":
            return False
        # nothing that the search computed is reused
        fresh = replace(self.claim, structure=replace(self.claim.structure))
        try:
            return bool(fresh.holds(-self.rate, exact=exact) and self.norm == fresh.norm())
        except ArgumentError:  # the witness is no weight of a norm
            return False

    def step(self):
        """The best step of the forward iteration ``x + alpha F(x)``, and the factor by which it contracts.

        Returns
        -------
        alpha, factor : float

        Raises
        ------
        ArgumentError
            For a certificate without a positive rate.
        """
        return best_forward_step(self.rate, self.lip, self.norm)

    def explain(self, rows=5):
        """The inequality, the rows that bind, the theorem; a text of a few lines.

        Parameters
        ----------
        rows : int
            How many of the tightest rows to list.
        """
        lines = [str(self), ""]
        if self.claim is None:
            return "\n".join([*lines, self.reason])
        lines.append(_INEQUALITIES[self.claim.kind])
        if hasattr(self.claim, "quotients"):
            quotients = self.claim.quotients()
            lines.append(f"rows closest to the bound {-self.rate:.6g}:")
            for i in np.argsort(-quotients)[:rows]:
                lines.append(f"  row {i:>6}   value {quotients[i]: .6g}   slack {-self.rate - quotients[i]:.3g}")
        lines.append(_SOURCES[self.claim.kind])
        return "\n".join(lines)

    def plot(self, ax=None, rows=60):
        """Draw the value of each row under the bound (the matrix P where there are no rows).

        Parameters
        ----------
        ax : matplotlib axes, optional
        rows : int
            How many of the tightest rows to draw.

        Returns
        -------
        matplotlib axes
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure(figsize=(3.4, 2.4), layout="constrained").add_subplot()
        ax.set_title(f"{self.model}: {self.verdict()}", fontsize=9)
        if self.claim is not None and hasattr(self.claim, "quotients"):
            values = np.sort(self.claim.quotients())[::-1][:rows]
            rank = np.arange(1, values.size + 1)
            ax.plot(rank, values, "o", ms=3, color="#0072B2", label="rows of the log norm")
            ax.axhline(-self.rate, color="#D55E00", lw=1.5, label=f"bound {0.0 - self.rate:.4g}")
            ax.axhline(0.0, color="0.6", lw=0.8, ls=":")
            ax.set_xlabel("row, tightest first")
            ax.set_ylabel("value (1/time)")
            ax.legend(fontsize=7, loc="best")
        elif self.norm is not None and self.norm.weights is not None:
            P = np.atleast_2d(self.norm.weights)
            size = np.abs(P).max()
            image = ax.imshow(P, cmap="PuOr", vmin=-size, vmax=size)
            ax.figure.colorbar(image, ax=ax, label="entry of P")
            for axis in (ax.xaxis, ax.yaxis):
                axis.get_major_locator().set_params(integer=True)
                axis.set_label_text("state")
        else:
            ax.set_axis_off()
        return ax

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
        lines = [f"Certificate: {self.model} is {self.verdict()}"]
        if self.norm is not None:
            lower, upper = self.bounds
            tight = upper - lower <= 1e-6 * (1 + abs(upper))
            least = " (no other diagonal weights do better)" if tight else ""
            lines += [
                f"  rate    {self.rate:.6g}",
                f"  norm    {self.norm}",
                f"  osLip   <= {0.0 - self.rate:.6g}{least}",
                f"  region  {self.region}",
            ]
        lines += [f"  status  {self.status}", f"  why     {self.reason}"]
        return "\n".join(lines)

    def verdict(self):
        """The claim in two or three words."""
        if not self:
            return "not shown to be contracting"
        return "strongly contracting" if self.rate > 0 else "weakly contracting"

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


_INEQUALITIES = {
    "rows": "claim: d_i + sum_j m_ij eta_j / eta_i <= osLip for every row i of every majorant M of the Jacobian",
    "diagonal": "claim: (P M + M' P) v <= 2 osLip P v with v > 0, for the majorant M of the Jacobian",
    "quadratic": "claim: osLip P - (P E + E' P)/2 - N' H N / 4 is positive definite",
}
_SOURCES = {
    "rows": "source: Davydov, Proskurnikov, Bullo, arXiv:2110.08298 (maximum of the log norm over all slopes)",
    "diagonal": "source: Davydov, Jafarpour, Bullo, arXiv:2103.12263 (monotone norms and Metzler majorants)",
    "quadratic": "source: Centorrino, Gokhale, Davydov, Russo, Bullo, arXiv:2302.13452 (Euclidean contractivity)",
}
