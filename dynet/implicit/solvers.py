r"""Other ways to the state of an implicit network: a step for each, one loop for all.

The loop looks at every unfinished sample: its residual, the units' arguments :math:`z = Ax + v`, and where the
diagonal-absorbing sweep :math:`\Psi` would lead. A method says where to go next. Samples stop one by one, and every
product and every small system belongs to one sample alone, so no sample's bits depend on its company.

- ``averaged``: :math:`x + \alpha(\Phi(z) - x)` with :math:`\alpha = 2/(c + \ell)` from the rows, factor
  :math:`(\ell-c)/(\ell+c)`.
- ``anderson``: the combination of the last :math:`\Psi(x)` whose combined step is shortest; plain sweeps where it does
  not help.
- ``peaceman-rachford``, ``douglas-rachford``: splitting of :math:`0 \in (I-A)x - v + \partial f(x)` with
  :math:`\Phi = \mathrm{prox}_f`; they need slopes in [0, 1]. For a well-posed network :math:`I - A` is strongly
  monotone in a diagonal quadratic norm, in which :math:`\mathrm{prox}_f`, acting unit by unit, is a proximal map as
  well.
- ``newton``: :math:`(I - DA)\Delta = \Phi(z) - x`, by one factorisation a sample. Where a few steps do not
  shorten the residual they are taken back and sweeps are made instead, each time more of them: they approach the state,
  and close to it Newton's method needs no help.

References
----------
Walker, Ni, Anderson acceleration for fixed-point iterations, SIAM Journal on Numerical Analysis 49, 2011.
Winston, Kolter, Monotone operator equilibrium networks, arXiv:2006.08591.
Qi, Sun, A nonsmooth version of Newton's method, Mathematical Programming 58, 1993.
"""

from __future__ import annotations

import numpy as np

from ..engine import panels, sweeps
from ..engine.anderson import Anderson, solve_each
from ..errors import ArgumentError

__all__ = ["STEPS", "Accelerated", "Averaged", "Newton", "Splitting", "averaged_step", "iterate"]

_TRIES = 4  # steps of Newton's method that need not shorten the residual
_ENTRIES = 2**22  # of the matrices that are factored together


def iterate(net, stepper, inject, x, goals, most, grain):
    """Follow a method from padded states `x` until each residual is at most its goal.

    Parameters
    ----------
    net : ImplicitNetwork
    stepper : object
        ``stepper.step(rows, x, z, swept, residual)`` gives the next states of the samples `rows`, all padded.
    inject, x : ndarray, shape (batch, width)
    goals : ndarray, shape (batch,)
    most : int
    grain : float

    Returns
    -------
    x, residual, iterations, flags
    """
    passes, batch = net._passes("float64"), len(x)
    residual, best = np.full(batch, np.inf), np.full(batch, np.inf)
    iterations, stalled, flags = (np.zeros(batch, np.int64) for _ in range(3))
    rows = np.arange(batch)
    weights = np.concatenate([net.weights, np.ones(passes.wide - net.n)])
    while rows.size:
        now, v = np.ascontiguousarray(x[rows]), np.ascontiguousarray(inject[rows])
        z, swept, size = sweeps.look(passes._update, passes.panel("A"), passes._data, v, now)
        residual[rows] = size
        better = size < best[rows]
        stalled[rows] = np.where(better, 0, stalled[rows] + 1)
        best[rows] = np.where(better, size, best[rows])
        floor = grain * ((np.abs(now) + np.abs(v)) / weights).max(axis=1)
        word = np.full(rows.size, -1)
        word[iterations[rows] >= most] = sweeps.MOST
        word[(stalled[rows] > 4) & (size <= floor)] = sweeps.ROUNDED
        word[~np.isfinite(size)] = sweeps.NONFINITE
        word[size <= goals[rows]] = sweeps.GOOD
        flags[rows] = word
        going = word < 0
        if not going.all():
            now, z, swept, size = now[going], z[going], swept[going], size[going]
            rows = rows[going]
        if rows.size:
            x[rows] = stepper.step(rows, now, z, swept, size)
            iterations[rows] += 1
    return x[:, : net.n], residual, iterations, flags


def averaged_step(net):
    """The step of the averaged iteration and its factor, from the rows: ``2/(c + l)`` and ``(l - c)/(l + c)``.

    >>> import dynet as dn
    >>> alpha, factor = averaged_step(dn.ImplicitNetwork([[-1.0, 0.5], [0.5, -1.0]], [[1.0], [1.0]], [[1.0, 1.0]]))
    >>> print(round(alpha, 6), round(factor, 6))
    0.571429 0.428571
    """
    diagonal = np.asarray(net.exact("A").diagonal(), float)
    length = max(float((abs(1 - s * diagonal) + abs(s) * net.rows.off).max()) for s in net.activation.slopes)
    rate = min(net.rate, length)
    return 2 / (rate + length), (length - rate) / (length + rate)


class Averaged:
    """The averaged iteration with the certificate's step."""

    def __init__(self, net, inject):
        self.net, self.alpha = net, averaged_step(net)[0]

    def step(self, rows, x, z, swept, residual):
        n = self.net.n
        x[:, :n] += self.alpha * (self.net.activation(z[:, :n]) - x[:, :n])
        return x


class Accelerated:
    """Anderson's method on the sweep."""

    def __init__(self, net, inject):
        self.memory = Anderson(*inject.shape)

    def step(self, rows, x, z, swept, residual):
        return self.memory.step(rows, x, swept, residual)


class Splitting:
    """Peaceman-Rachford splitting, or Douglas-Rachford's with every other reflection halved."""

    def __init__(self, net, inject, halved):
        low, high = net.activation.slopes
        if low < 0 or high > 1:
            raise ArgumentError("method", "peaceman-rachford", f"slopes in [0, 1], which {net.activation.name} has not")
        self.net, self.halved, self.inject = net, halved, inject
        A = net.exact("A") if isinstance(net.A, np.ndarray) else net.exact("A").toarray()
        M = np.eye(net.n) - A
        free = net.activation.code in ("relu", "identity", "hard_tanh")  # proximal maps whose step plays no part
        self.alpha = 1 / np.sqrt(max(net.rate, 1e-3) * np.linalg.norm(M, 2)) if free else 1.0
        self.inverse = panels.pack(np.linalg.inv(np.eye(net.n) + self.alpha * M), turned=True)
        self.u = np.full_like(inject, np.nan)

    def step(self, rows, x, z, swept, residual):
        n = self.net.n
        u = self.u[rows]
        u = np.where(np.isnan(u), x, u)
        first = panels.affine(u + self.alpha * self.inject[rows], self.inverse)
        mirrored = 2 * first - u
        new = np.zeros_like(x)
        new[:, :n] = self.net.activation(mirrored[:, :n])
        other = 2 * new - mirrored
        self.u[rows] = (u + other) / 2 if self.halved else other
        return new


class Newton:
    """Newton's method for functions that are not smooth, with sweeps where it does not help."""

    def __init__(self, net, inject):
        self.net = net
        batch = len(inject)
        self.kept, self.best = np.zeros_like(inject), np.full(batch, np.inf)
        self.tries, self.wait, self.patience = np.zeros(batch, int), np.zeros(batch, int), np.ones(batch, int)

    def step(self, rows, x, z, swept, residual):
        better = residual < 0.9 * self.best[rows]
        good = rows[better]
        self.best[good], self.kept[good], self.tries[good] = residual[better], swept[better], 0
        resting, new = self.wait[rows] > 0, swept
        failed = ~better & ~resting & (self.tries[rows] >= _TRIES)
        back = rows[failed]
        if back.size:  # the sweep from the best state so far, and more sweeps after it than last time
            new[failed] = self.kept[back]
            self.patience[back] *= 2
            self.wait[back], self.tries[back] = self.patience[back], 0
            self.best[back] = np.inf
        self.wait[rows[resting]] -= 1
        jump = ~failed & ~resting
        self.tries[rows[jump]] += 1
        if jump.any():
            new[jump] = self._jump(x[jump], z[jump], swept[jump])
        return new

    def _jump(self, x, z, swept):
        net, n = self.net, self.net.n
        A = net.exact("A")
        slope = net.activation.slope(z[:, :n])
        right = net.activation(z[:, :n]) - x[:, :n]
        new = swept.copy()
        if not isinstance(A, np.ndarray):
            from scipy.sparse import diags_array, eye_array
            from scipy.sparse.linalg import splu

            for r in range(len(x)):
                try:
                    new[r, :n] = x[r, :n] + splu((eye_array(n) - diags_array(slope[r]) @ A).tocsc()).solve(right[r])
                except RuntimeError:
                    continue
            return np.where(np.isfinite(new), new, swept)
        chunk = max(1, _ENTRIES // n**2)
        for first in range(0, len(x), chunk):
            some = slice(first, first + chunk)
            jacobian = -slope[some, :, None] * A
            jacobian[:, np.arange(n), np.arange(n)] += 1
            new[some, :n] = x[some, :n] + solve_each(jacobian, right[some, :, None])[..., 0]
        return np.where(np.isfinite(new).all(axis=1)[:, None], new, swept)


STEPS = {
    "averaged": Averaged,
    "anderson": Accelerated,
    "peaceman-rachford": lambda net, inject: Splitting(net, inject, False),
    "douglas-rachford": lambda net, inject: Splitting(net, inject, True),
    "newton": Newton,
}
