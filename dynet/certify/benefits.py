"""What a certificate buys: steps, error bounds, gains, enclosures; the methods of a certificate of strong contraction.

The formulas, and the papers, stand in :mod:`dynet.certify.steps` and :mod:`dynet.certify.bounds`.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown
from . import bounds
from .gradient import is_gradient, steepest
from .steps import forward_steps

__all__ = ["Benefits"]

_UP = 1 + 1e-12


class Benefits:
    """The methods of :class:`dynet.Certificate` that follow from its rate, its norm and its claim.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]])
    >>> cert = dn.certify(net, dn.Norm("inf", [1.0, 3.0]))
    >>> alpha, factor = cert.step()
    >>> print(round(alpha, 9), round(factor, 9), cert.iterations(1e-6), round(cert.shift([0.5, 0.0]), 9))
    0.5 0.75 49 1.0
    """

    def step(self, rule=None):
        """The best step of the forward iteration ``x + alpha F(x)``, and the factor by which it contracts.

        Parameters
        ----------
        rule : str, optional
            One rule of :mod:`dynet.certify.steps`; the one with the least factor when None.

        Returns
        -------
        alpha, factor : float

        Raises
        ------
        ArgumentError
            For a certificate without a positive rate, a rule that does not apply in this norm.
        """
        found = self.steps()
        if rule is None:
            return found[0].alpha, min(1.0, found[0].factor)
        words = [step.rule for step in found]
        if rule not in words:
            raise ArgumentError("rule", rule, f"a rule that applies to {self.norm!r}", choices=words)
        return found[words.index(rule)][1:3]

    def steps(self):
        """The best forward step by each rule that applies, best factor first: a list of :class:`dynet.certify.steps.Step`."""
        self._contracting("a forward step")
        if not hasattr(self.norm, "p"):  # a composite norm: the rules for every norm
            return forward_steps(self.rate, self.lip, None, None, False)
        symmetric = self.norm.p == 2 and is_gradient(self.claim.structure, self.norm.weights)
        return forward_steps(self.rate, self.lip, self.norm.p, steepest(self.claim), symmetric)

    def iterations(self, tol, distance=1.0, rule=None):
        """How many of the best forward steps bring a distance of at most `distance` to at most `tol`.

        Parameters
        ----------
        tol : float
        distance : float
            Of the start from the equilibrium, in the certificate's norm; :meth:`enclosure` bounds it.
        rule : str, optional
            As for :meth:`step`.

        Returns
        -------
        int
        """
        for name, value in (("tol", tol), ("distance", distance)):
            if not 0 < value < math.inf:
                raise ArgumentError(name, value, "a positive distance")
        factor = self.step(rule)[1]
        if tol >= distance:
            return 0
        if factor >= 1:
            raise ArgumentError(
                "tol", tol, "a rate that rounding does not swallow: the factor of a step is 1 to sixteen digits"
            )
        return math.ceil(math.log(tol / distance) / math.log(factor) * _UP)

    def lipschitz(self, wrt=None, inputs=None):
        """Bound on the gain from the input to the state: equilibrium to equilibrium, and in L^q for every q.

        Parameters
        ----------
        wrt : float, array_like (n, k), or model, optional
            The Lipschitz constant of F in the input; or the matrix by which the input enters (or bounds on the moduli of
            dF/du); or the model, whose matrices say it. The certified model when None.
        inputs : Norm, 1, 2 or inf, optional
            Norm of the inputs; the plain norm of the same p when None.

        Returns
        -------
        float
            ``gain / rate``: two inputs that differ by at most 1 for all times move the state apart by at most this in the
            end, and ``L^q`` norms of differences obey the same factor from equal initial states.

        Examples
        --------
        >>> import dynet as dn
        >>> net = dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]])
        >>> round(dn.certify(net, dn.Norm("inf", [1.0, 3.0])).lipschitz([[1.0], [2.0]]), 9)
        2.0
        """
        self._contracting("a gain", always=True)
        wrt = self._model(wrt, "wrt")
        return bounds.gain(self.norm, self.claim.structure, wrt, inputs) / self.rate * _UP

    def distance(self, t, start, wrt=0.0, change=0.0, inputs=None):
        """Bound on the distance of two trajectories at time t >= 0.

        Parameters
        ----------
        t : float or ndarray
        start : float
            Their distance at time 0.
        wrt, inputs
            As for :meth:`lipschitz`.
        change : float
            The largest distance of their inputs up to t.

        Returns
        -------
        float or ndarray
        """
        grown = (
            bounds.gain(self.norm, self.claim.structure, self._model(wrt, "wrt"), inputs) * change if change else 0.0
        )
        self._contracting("a bound on distances")
        decayed = np.exp(-self.rate * np.asarray(t, dtype=float))
        return (decayed * start - np.expm1(-self.rate * np.asarray(t, dtype=float)) * grown / self.rate) * _UP

    def shift(self, perturbation=0.0, wrt=0.0, change=0.0, inputs=None):
        """Bound on how far the equilibrium moves when the field is perturbed, and its input changed.

        Parameters
        ----------
        perturbation : float or array_like (n,)
            What is added to the field at the equilibrium that is known; its length, or the vector.
        wrt, inputs
            As for :meth:`lipschitz`; of the perturbed field.
        change : float
            Distance of the two constant inputs.

        Returns
        -------
        float
        """
        self._contracting("a bound on the shift", always=True)
        size = float(perturbation) if np.ndim(perturbation) == 0 else float(bounds.length(self.norm, perturbation))
        grown = (
            bounds.gain(self.norm, self.claim.structure, self._model(wrt, "wrt"), inputs) * change if change else 0.0
        )
        return (grown + size) / self.rate * _UP

    def tracking(self, speed, wrt=None, inputs=None, t=math.inf, start=0.0):
        """Bound on the distance from an equilibrium that moves because a parameter (or input) moves at up to `speed`.

        Parameters
        ----------
        speed : float
            Largest length of the parameter's derivative.
        wrt, inputs
            As for :meth:`lipschitz`, for the parameter.
        t : float
            Since when; in the end when inf.
        start : float
            The distance at first.

        Returns
        -------
        float
        """
        lag = self.lipschitz(wrt, inputs) * speed / self.rate
        return (math.exp(-self.rate * t) * start + -math.expm1(-self.rate * t) * lag) * _UP

    def entrainment(self, period, displacement=0.0):
        """A periodic field entrains: the factor of one period, and how far the periodic trajectory is.

        Parameters
        ----------
        period : float
        displacement : float
            ``|x(T) - x(0)|`` of some trajectory over one period, in the certificate's norm.

        Returns
        -------
        factor : float
            Trajectories come closer by this factor in each period.
        distance : float
            Bound on the distance from x(0) to the periodic trajectory at the same phase.
        """
        self._contracting("a bound on a periodic trajectory", always=True)
        if not 0 < period < math.inf:
            raise ArgumentError("period", period, "a positive time")
        factor = math.exp(-self.rate * period) * _UP
        return factor, displacement / -math.expm1(-self.rate * period) * _UP

    def lyapunov(self, x, equilibrium=None, model=None):
        """The two Lyapunov functions, each of which decays at least like ``exp(-2 rate t)`` along trajectories.

        Parameters
        ----------
        x : array_like, shape (..., n)
        equilibrium : array_like, shape (n,), optional
            Solved for when None.
        model : VectorField, optional
            The certified model when None.

        Returns
        -------
        distance, residual : ndarray, shape (...)
            The squares of the norms of ``x - equilibrium`` and of ``F(x)``.
        """
        self._contracting("a Lyapunov function")
        model = self._model(model, "model")
        if equilibrium is None:
            from ..equilibrium import equilibrium as solve

            equilibrium = solve(model, certificate=self).x
        x = model.check_state(x)
        return self.norm.length(x - np.asarray(equilibrium, float)) ** 2, self.norm.length(model.rhs(0.0, x)) ** 2

    def enclosure(self, x, model=None, u=None):
        """A ball and a box around x that contain the equilibrium: its radius is ``|F(x)| / rate``.

        Parameters
        ----------
        x : array_like, shape (n,)
        model : VectorField, optional
            The certified model when None.
        u : array_like, shape (inputs,), optional
            Constant input.

        Returns
        -------
        Enclosure
            Certified where the field bounds the rounding of its own evaluation, and the claim is about the whole space.

        Raises
        ------
        ArgumentError
            For a model that the certificate is not about.
        """
        self._contracting("an enclosure of the equilibrium")
        model = self._model(model, "model")
        from .search import any_input, is_about

        if not is_about(self, model) or (u is not None and not any_input(self)):
            raise ArgumentError("model", model, f"the model (and input) that the certificate of {self.model} is about")
        x = model.check_state(x)
        if x.ndim != 1:
            raise ArgumentError("x", x, f"one state of shape ({model.n},)")
        size, rounded = bounds.residual(self.norm, model, x, u)
        radius = float(size / self.rate * _UP)
        half = bounds.box(self.norm, radius)
        lo, hi = np.nextafter(x - half, -np.inf), np.nextafter(x + half, np.inf)
        return bounds.Enclosure(x, radius, lo, hi, bool(rounded and self.region == "whole space"))

    def _contracting(self, what, always=False):
        if not self.contracting:
            word = f"{self.rate!r} of a certificate of kind {self.kind!r} and status {self.status!r}"
            raise ArgumentError("rate", Shown(word), f"strong contraction: {what} needs a positive rate in a norm")
        if always and "(local" in self.region:
            raise ArgumentError("region", Shown(self.region), f"the whole space or an invariant region: {what} is about "
                                "solutions that stay where the claim holds")  # fmt: skip

    def _model(self, given, name):
        if given is not None:
            return given
        if self.source is None:
            raise ArgumentError(name, None, "the model: a certificate from a file does not hold it")
        return self.source
