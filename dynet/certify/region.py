r"""Regions: the convex sets on which a certificate may be claimed.

A bound on the Jacobians of a convex set bounds the distance of two solutions for as long as both stay in the set; if the set
is forward invariant, for ever. So a region knows a box that contains it, which boxes it may meet, and how to write itself
as text that reads back exactly.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, CertificateError, Shown
from ..linalg.norms import Norm
from ..linalg.rigorous import add_down, add_up, is_positive_definite

__all__ = ["Ball", "Box", "Orthant", "PhaseCohesive", "Region", "Simplex", "WholeSpace", "as_region", "read_region"]

_MARGIN = 1e-9  # relative; a test that drops boxes outside a region errs on the side of keeping them


class Region:
    """A closed convex set of states."""

    def fits(self, n):
        """Raise ArgumentError unless this is a set of states of n components."""
        if getattr(self, "n", n) != n:
            raise ArgumentError("region", Shown(str(self)), f"a set of states with {n} components, not {self.n}")
        return self

    def box(self, n):
        """Ends of a box that contains the region, two arrays of shape (n,), possibly infinite."""
        return np.full(n, -math.inf), np.full(n, math.inf)

    def meets(self, lo, hi):
        """For boxes with ends of shape (k, n), which of them may have a point of the region; True when in doubt."""
        return np.ones(len(lo), bool)

    def contains(self, x):
        """Whether states of shape (..., n) lie in the region, in floating point."""
        x = np.asarray(x, dtype=float)
        lo, hi = self.box(x.shape[-1])
        return np.all((lo <= x) & (x <= hi), axis=-1)


@dataclass(frozen=True)
class WholeSpace(Region):
    """All states.

    >>> print(WholeSpace())
    whole space
    """

    def __str__(self):
        return "whole space"


@dataclass(frozen=True, eq=False)
class Box(Region):
    """All states between two corners.

    Parameters
    ----------
    lo, hi : float or array_like, shape (n,)
        Ends may be infinite; one of them must have the n components.

    Raises
    ------
    ArgumentError
        For an empty box, or ends that are no numbers.

    Examples
    --------
    >>> print(Box([0.0, 0.0], 1.0))
    box [0.0, 1.0]^2
    >>> print(Box([0.0, -1.0], [1.0, 2.0]))
    box [[0.0, 1.0], [-1.0, 2.0]]
    """

    lo: np.ndarray
    hi: np.ndarray

    def __post_init__(self):
        try:
            lo, hi = np.broadcast_arrays(*(np.atleast_1d(np.array(end, dtype=float)) for end in (self.lo, self.hi)))
        except (TypeError, ValueError):
            raise ArgumentError("region", Shown(f"Box({self.lo!r}, {self.hi!r})"), "two corners of one size") from None
        if lo.ndim != 1 or lo.size == 0 or np.isnan(lo).any() or np.isnan(hi).any():
            raise ArgumentError("region", Shown(f"a box with corners of shape {lo.shape}"), "two vectors of numbers")
        if not np.all((lo <= hi) & (lo < math.inf) & (hi > -math.inf)):
            i = int(np.argmin(lo <= hi))
            raise ArgumentError("region", Shown(f"[{lo[i]}, {hi[i]}] in component {i}"), "a box that is not empty")
        object.__setattr__(self, "lo", lo.copy())
        object.__setattr__(self, "hi", hi.copy())

    @property
    def n(self):
        return self.lo.size

    def box(self, n):
        return self.lo, self.hi

    def __str__(self):
        if np.all(self.lo == self.lo[0]) and np.all(self.hi == self.hi[0]):
            return f"box {json.dumps([float(self.lo[0]), float(self.hi[0])])}^{self.n}"
        return f"box {json.dumps(np.stack([self.lo, self.hi], axis=1).tolist())}"


def Orthant(n):
    """The states without a negative component, as a box.

    >>> print(Orthant(3))
    box [0.0, Infinity]^3
    """
    return Box(np.zeros(n), math.inf)


@dataclass(frozen=True, eq=False)
class Ball(Region):
    """The states within a distance of a centre, in any norm.

    Parameters
    ----------
    center : array_like, shape (n,)
    radius : float
    norm : Norm, 1, 2 or inf

    Examples
    --------
    >>> ball = Ball([0.0, 1.0], 0.5, norm=2)
    >>> print(bool(ball.contains([0.3, 1.3])), ball.box(2)[1].round(6))
    True [0.5 1.5]
    """

    center: np.ndarray
    radius: float
    norm: Norm | float = 2

    def __post_init__(self):
        center = np.atleast_1d(np.array(self.center, dtype=float))
        norm = self.norm if isinstance(self.norm, Norm) else Norm(self.norm)
        if center.ndim != 1 or not np.isfinite(center).all():
            raise ArgumentError("center", self.center, "a vector of finite numbers")
        if not (np.ndim(self.radius) == 0 and np.isfinite(self.radius) and self.radius >= 0):
            raise ArgumentError("radius", self.radius, "a number that is not negative: the ball would be empty")
        if norm.p not in (1, 2, math.inf):
            raise ArgumentError("norm", norm, "p = 1, 2 or inf", choices=("1", "2", "inf"))
        if norm.n not in (None, center.size):
            raise ArgumentError("norm", norm, f"{center.size} weights, one for each component of the centre")
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "radius", float(self.radius))
        object.__setattr__(self, "norm", norm)

    @property
    def n(self):
        return self.center.size

    def box(self, n):
        reach = np.nextafter(self.radius * self._extents() * (1 + 4e-16), math.inf)
        return add_down(self.center, -reach), add_up(self.center, reach)

    def _extents(self):
        """Upper bounds on the components of the unit ball's points, shape (n,)."""
        weights = self.norm.weights
        if weights is None:
            return np.ones(self.n)
        if self.norm.p == math.inf:
            return weights
        if self.norm.p == 1:
            return np.nextafter(1 / weights, math.inf)
        if weights.ndim == 1:
            return np.nextafter(1 / np.sqrt(weights), math.inf) * (1 + 4e-16)
        # g > (P^-1)_ii exactly when the matrix [[P, e_i], [e_i', g]] is positive definite
        squares = np.diagonal(np.linalg.inv(weights)) * (1 + 1e-7)
        for i in range(self.n):
            bordered = np.pad(weights, (0, 1))
            bordered[i, -1] = bordered[-1, i] = 1.0
            for _ in range(60):
                bordered[-1, -1] = squares[i]
                if is_positive_definite(bordered):
                    break
                squares[i] *= 2
            else:
                squares[i] = math.inf
        return np.nextafter(np.sqrt(squares), math.inf)

    def meets(self, lo, hi):
        if self.norm.weights is not None and self.norm.weights.ndim == 2:
            return np.ones(len(lo), bool)  # the nearest point is not found one component at a time
        near = np.clip(self.center, lo, hi) - self.center
        size = self.norm.length(np.abs(self.center)) + self.radius
        return self.norm.length(near) <= self.radius + _MARGIN * size + 1e-300

    def contains(self, x):
        return self.norm.length(np.asarray(x, dtype=float) - self.center) <= self.radius

    def __str__(self):
        weights = None if self.norm.weights is None else self.norm.weights.tolist()
        data = {"center": self.center.tolist(), "radius": self.radius, "p": self.norm.p, "weights": weights}
        return f"ball {json.dumps(data)}"


@dataclass(frozen=True)
class Simplex(Region):
    """The states without a negative component whose components add up to a total.

    >>> bool(Simplex(3).contains([0.25, 0.25, 0.5]))
    True
    """

    n: int
    total: float = 1.0

    def __post_init__(self):
        _count(self.n)
        if not (np.isfinite(self.total) and self.total >= 0):
            raise ArgumentError("total", self.total, "a number that is not negative: the simplex would be empty")
        object.__setattr__(self, "total", float(self.total))

    def box(self, n):
        return np.zeros(n), np.full(n, self.total)

    def meets(self, lo, hi):
        slack = _MARGIN * (np.abs(lo).sum(axis=1) + np.abs(hi).sum(axis=1) + self.total)
        return (lo.sum(axis=1) <= self.total + slack) & (hi.sum(axis=1) >= self.total - slack)

    def contains(self, x):
        x = np.asarray(x, dtype=float)
        return np.all(x >= 0, axis=-1) & (np.abs(x.sum(axis=-1) - self.total) <= 1e-12 * max(self.total, 1e-300))

    def __str__(self):
        return f"simplex {json.dumps({'n': self.n, 'total': self.total})}"


@dataclass(frozen=True)
class PhaseCohesive(Region):
    """The states no two components of which are further apart than an angle (radians).

    It is unbounded, and no box of single components contains it; fields whose couplings depend on differences use it.

    >>> bool(PhaseCohesive(3, 0.5).contains([7.0, 7.2, 7.5]))
    True
    """

    n: int
    angle: float

    def __post_init__(self):
        _count(self.n)
        if not (np.isfinite(self.angle) and self.angle >= 0):
            raise ArgumentError("angle", self.angle, "a number that is not negative: the set would be empty")
        object.__setattr__(self, "angle", float(self.angle))

    def meets(self, lo, hi):
        low, high = lo.max(axis=1), hi.min(axis=1)
        with np.errstate(invalid="ignore"):
            apart = low - high > self.angle + _MARGIN * (self.angle + np.abs(low) + np.abs(high))
        return ~apart

    def contains(self, x):
        return np.ptp(np.asarray(x, dtype=float), axis=-1) <= self.angle

    def __str__(self):
        return f"phases {json.dumps({'n': self.n, 'angle': self.angle})}"


def as_region(region):
    """A region, a pair ``(lo, hi)`` as a box, or None for the whole space.

    >>> print(as_region(([0.0, 0.0], 1.0)))
    box [0.0, 1.0]^2
    """
    if region is None:
        return WholeSpace()
    if isinstance(region, Region):
        return region
    if isinstance(region, (tuple, list)) and len(region) == 2:
        return Box(*region)
    raise ArgumentError("region", region, "None, a pair (lo, hi), or a convex Region: Box, Ball, Orthant, Simplex, "
                        "PhaseCohesive")  # fmt: skip


def read_region(text):
    """The region that a certificate names, from its text (which may go on after the region in brackets).

    >>> print(read_region("box [0.0, 1.0]^2 (invariant)").hi)
    [1. 1.]
    """
    if text.startswith("whole space"):
        return WholeSpace()
    word, _, rest = text.partition(" ")
    try:
        data, end = json.JSONDecoder().raw_decode(rest)
        if word == "box" and rest[end : end + 1] == "^":
            return Box(*np.tile(np.reshape(data, (2, 1)), int(rest[end + 1 :].split()[0])))
        if word == "box":
            return Box(*np.transpose(data))
        if word == "ball":
            return Ball(data["center"], data["radius"], Norm(data["p"], data["weights"]))
        return {"simplex": Simplex, "phases": PhaseCohesive}[word](**data)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise CertificateError(f"region={text[:60]!r}: not the text of a region ({error})") from None


def _count(n):
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ArgumentError("n", n, "the number of states, a positive integer")
