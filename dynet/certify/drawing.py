"""Pictures of a certificate: the unit ball of its norm, its weights, its rows, its matrix."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError
from .explain import row_names

__all__ = ["draw"]

PICTURES = ("ball", "rows", "weights", "matrix")
_FILL, _LINE, _BOUND = "#56B4E9", "#0072B2", "#D55E00"
_NAMED = 24  # entries up to which each is named on its axis
_SHOWN = 400  # states up to which the matrix is drawn entry by entry


def draw(certificate, ax=None, rows=60, what=None):
    """Draw one picture of a certificate on `ax`, or on axes of its own; see :meth:`dynet.Certificate.plot`.

    Examples
    --------
    >>> import matplotlib, dynet as dn
    >>> matplotlib.use("Agg")
    >>> ax = draw(dn.certify(dn.models.FiringRate([[0.0, 0.5], [0.2, 0.0]]), "inf"), what="ball")
    >>> ax.get_title()
    'unit ball of l_inf with weights 0.632 to 1'
    """
    if what is not None and what not in PICTURES:
        raise ArgumentError("what", what, "the name of a picture", choices=PICTURES)
    possible = _possible(certificate)
    if what is None:
        what = possible[0] if possible else "empty"
    elif what not in possible:
        raise ArgumentError("what", what, "a picture that this certificate has", choices=possible)
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(4.2, 3.2), dpi=150, layout="constrained").add_subplot()
    if what != "empty":
        {"ball": _ball, "rows": _rows, "weights": _weights, "matrix": _matrix}[what](certificate, ax, rows)
    else:
        ax.text(0.5, 0.5, "nothing to draw: there is no norm", ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
    return ax


def _possible(certificate):
    c = certificate
    norm, claim = c.norm, c.claim
    found = []
    if norm is not None and c.kind not in ("k", "alpha") and getattr(norm, "n", None) == 2 and hasattr(norm, "p"):
        if c.kind in ("strong", "weak", "none") and getattr(norm, "R", None) is None and claim.proves == "contraction":
            found.append("ball")
    if claim is not None and hasattr(claim, "quotients"):
        found.append("rows")
    if norm is not None and getattr(norm, "weights", None) is not None:
        found.append("weights")
    if (
        claim is not None
        and hasattr(claim, "structure")
        and claim.structure.n <= _SHOWN
        and not hasattr(claim, "parts")
    ):
        found.append("matrix")
    return found


def _ball(certificate, ax, _):
    """Directions divided by their length are the unit sphere."""
    norm = certificate.norm
    angles = np.unique(np.concatenate([np.linspace(0, 2 * math.pi, 721), _corners(norm)]))
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    sphere = directions / norm.length(directions)[:, None]
    ax.fill(*sphere.T, color=_FILL, alpha=0.35, linewidth=0)
    ax.plot(*np.vstack([sphere, sphere[:1]]).T, color=_LINE, linewidth=1.4)
    ax.axhline(0.0, color="#999999", linewidth=0.6, zorder=0)
    ax.axvline(0.0, color="#999999", linewidth=0.6, zorder=0)
    ax.set_aspect("equal")
    ax.locator_params(nbins=3)
    names = getattr(certificate.source, "labels", None) or ("state 0", "state 1")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.set_title(f"unit ball of {norm}", fontsize=9)


def _corners(norm):
    """Directions of the corners, so that they are drawn sharp."""
    if norm.p == math.inf:
        x, y = (1.0, 1.0) if norm.weights is None else norm.weights
        first = math.atan2(y, x)
        return np.array([first, math.pi - first, math.pi + first, 2 * math.pi - first])
    return np.arange(5) * math.pi / 2


def _rows(certificate, ax, rows):
    claim = certificate.claim
    values, bound = claim.quotients(), -certificate.rate
    order = np.argsort(-values, kind="stable")[:rows]
    place = np.arange(len(order))
    slack = bound - values[order]
    ax.vlines(place, values[order], bound, color=_FILL, linewidth=min(8.0, 240 / max(len(order), 1)))
    ax.plot(place, values[order], "o", color=_LINE, markersize=3.5)
    ax.axhline(bound, color=_BOUND, linewidth=1.4)
    ax.set_title(f"osLip <= {bound:.6g}; slack up to {max(slack.max(), 0.0):.3g}", fontsize=9, color=_BOUND)
    spread = float(np.ptp(values[order]))
    if spread < 1e-9 * (1 + abs(bound)):  # the best weights make all rows equal: rounding is nothing to look at
        pad = 0.1 * (abs(bound) + 0.1)
        ax.set_ylim(bound - pad, bound + pad)
    if len(order) <= _NAMED:
        names = row_names(certificate)
        words = [names(i) for i in order]
        ax.set_xticks(place, words, rotation=0 if sum(map(len, words)) < 50 else 90)
        ax.set_xlabel("row, tightest first")
    else:
        ax.set_xlabel(
            f"{len(order)} tightest of {len(values)} rows" if len(order) < len(values) else "row, tightest first"
        )
    ax.set_ylabel("log norm of the row")


def _weights(certificate, ax, _):
    weights = np.asarray(certificate.norm.weights)
    if weights.ndim == 2:
        _image(ax, weights, certificate, "weights P")
        return
    place = np.arange(len(weights))
    if len(weights) <= 4 * _NAMED:
        ax.bar(place, weights, color=_FILL, edgecolor=_LINE, linewidth=0.8)
    else:
        ax.plot(place, weights, color=_LINE, linewidth=0.9)
    if weights.min() > 0 and weights.max() > 50 * weights.min():
        ax.set_yscale("log")
    if len(weights) <= _NAMED and certificate.claim is not None and len(weights) == certificate.claim.structure.n:
        names = row_names(certificate)
        words = [names(i) for i in place]
        ax.set_xticks(place, words, rotation=0 if sum(map(len, words)) < 50 else 90)
    ax.set_xlabel("set of states" if certificate.kind in ("k", "alpha") else "state")
    ax.set_ylabel("weight")
    ax.set_title(str(certificate.norm), fontsize=9)


def _matrix(certificate, ax, _):
    structure = certificate.claim.structure
    M = structure.majorants(getattr(certificate.claim, "p", math.inf))[-1].matrix()
    M = M if isinstance(M, np.ndarray) else M.toarray()
    _image(ax, M, certificate, "gain matrix" if structure.form == "gain" else "Metzler majorant")


def _image(ax, M, certificate, title):
    size = float(np.abs(M).max()) or 1.0
    image = ax.imshow(M, cmap="RdBu_r", vmin=-size, vmax=size, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, shrink=0.85)
    if len(M) <= 8:
        for (i, j), value in np.ndenumerate(M):
            shade = "white" if abs(value) > 0.6 * size else "black"
            ax.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=7.5, color=shade)
    if len(M) <= _NAMED:
        names = row_names(certificate) if len(M) == certificate.claim.structure.n else str
        words = [names(i) for i in range(len(M))]
        ax.set_xticks(range(len(M)), words, rotation=0 if sum(map(len, words)) < 20 else 90)
        ax.set_yticks(range(len(M)), words)
    ax.set_title(title, fontsize=9)
