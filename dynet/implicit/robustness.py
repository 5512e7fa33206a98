r"""How accuracy falls when images are disturbed: attacks refute, certificates prove, and the truth lies between.

Within the box :math:`\|u' - u\|_\infty \le \varepsilon`, cut to the range of pixels:

- ``"uniform"``: :math:`u + \varepsilon\,\xi`, the entries of :math:`\xi` uniform in [-1, 1];
- ``"inversion"``: every pixel goes the way to its inverse, :math:`u + \mathrm{clip}(1 - 2u, -\varepsilon,
  \varepsilon)`;
- ``"fgsm"``: one step of length :math:`\varepsilon` along the sign of the gradient of the loss;
- ``"pgd"``: steps of :math:`2.5\,\varepsilon/k` along that sign, k of them, projected back into the box, from random
  starts.

The gradient is the exact one of the equilibrium. The loss is :math:`\log\sum_{j\ne t}e^{y_j - y_t}`, whose gradient has
the sign of the cross entropy's and does not vanish where the network is sure. An attack finds errors, it never proves
that there are none.

References
----------
Goodfellow, Shlens, Szegedy, Explaining and harnessing adversarial examples, arXiv:1412.6572. Madry et al., Towards deep
learning models resistant to adversarial attacks, arXiv:1706.06083.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from .plan import check_network, read_samples

__all__ = ["ATTACKS", "accuracy", "attack", "certified", "margins", "robustness_curves"]

ATTACKS = ("uniform", "inversion", "fgsm", "pgd")
_SAMPLES = 2000  # that are worked on at a time
_TOL = 1e-8  # of the states that decide a class
_ROUGH = 1e-5  # of the states and adjoints whose signs give a direction


def attack(net, U, labels, eps, kind="pgd", *, steps=20, restarts=1, pixels=(0.0, 1.0), seed=0):
    r"""Images near the given ones that the network should get wrong.

    Parameters
    ----------
    net : ImplicitNetwork or ExplicitNetwork
    U : array_like, shape (samples, inputs)
    labels : array_like of int, shape (samples,)
    eps : float
        How far each pixel may move.
    kind : str
        One of :data:`ATTACKS`.
    steps, restarts : int
        Of ``"pgd"``; ``"uniform"`` also draws `restarts` times. A sample that was broken is not attacked again.
    pixels : tuple of float
        The range that pixels keep to.
    seed : int
        A sample's draws depend on the seed and its position alone.

    Returns
    -------
    ndarray, shape (samples, inputs)
        For each sample the image with the least margin that was found: the output of the label minus the largest other.

    Raises
    ------
    ArgumentError
        For shapes that do not fit, labels out of range, a negative `eps`, pixels out of range, an unknown kind.

    Examples
    --------
    >>> import numpy as np, dynet as dn
    >>> net = dn.ImplicitNetwork.random(4, 6, 2, gamma=0.5, seed=3)
    >>> U = np.full((1, 4), 0.5)
    >>> label = net(U).argmax(axis=1)
    >>> near = dn.implicit.attack(net, U, label, 0.1)
    >>> bool(np.abs(near - U).max() <= 0.1), bool(net(near)[0, label[0]] < net(U)[0, label[0]])
    (True, True)
    """
    if kind not in ATTACKS:
        raise ArgumentError("kind", kind, "a kind of attack", choices=ATTACKS)
    for name, value in (("steps", steps), ("restarts", restarts)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(name, value, "a whole number of at least 1")
    U, labels = _read(net, U, labels, pixels)
    _check_eps(eps)
    out = np.empty_like(U)
    for start in range(0, len(U), _SAMPLES):
        rows = slice(start, start + _SAMPLES)
        out[rows] = _attack(net, U[rows], labels[rows], eps, kind, steps, restarts, pixels, [seed, start])
    return out


def _read(net, U, labels, pixels):
    check_network(net)
    _, labels = read_samples("U", U, labels, net.inputs, net.outputs)
    U = np.ascontiguousarray(U, dtype=float)
    if U.min() < pixels[0] or U.max() > pixels[1]:
        raise ArgumentError(
            "pixels", pixels, f"a range that holds all pixels: they go from {U.min():.6g} to {U.max():.6g}"
        )
    return U, labels


def _check_eps(eps):
    if isinstance(eps, bool) or not isinstance(eps, (int, float, np.number)) or not 0.0 <= eps < np.inf:
        raise ArgumentError("eps", eps, "a number of at least 0")


def _attack(net, U, labels, eps, kind, steps, restarts, pixels, seed):
    lo, hi = np.maximum(U - eps, pixels[0]), np.minimum(U + eps, pixels[1])
    if kind == "inversion":
        return np.clip(U + np.clip(1.0 - 2.0 * U, -eps, eps), lo, hi)
    if kind == "fgsm":
        return np.clip(U + eps * np.sign(_ascent(net, U, labels)), lo, hi)
    best, least = U.copy(), _margin(net, U, labels)
    for k in range(restarts):
        todo = np.flatnonzero(least > 0.0)
        if not todo.size:
            break
        draws = np.random.default_rng([*seed, k]).uniform(-1.0, 1.0, U.shape)[todo]
        V, low, high, t = np.clip(U[todo] + eps * draws, lo[todo], hi[todo]), lo[todo], hi[todo], labels[todo]
        for _ in range(steps if kind == "pgd" else 0):
            V = np.clip(V + 2.5 * eps / steps * np.sign(_ascent(net, V, t)), low, high)
        found = _margin(net, V, t)
        better = found < least[todo]
        best[todo[better]], least[todo[better]] = V[better], found[better]
    return best


def _ascent(net, U, labels):
    """The gradient of the loss by the inputs, up to a positive factor for each sample."""
    rows = np.arange(len(labels))

    def slope(y):
        y = y.copy()
        y[rows, labels] = -np.inf
        e = np.exp(y - y.max(axis=1, keepdims=True))
        e /= e.sum(axis=1, keepdims=True)
        e[rows, labels] = -1.0
        return e

    return input_gradient(net, U, slope)[1]


def input_gradient(net, U, slope, tol=_ROUGH):
    """Outputs, and the gradients by the inputs of a function whose derivative by the outputs is ``slope(outputs)``."""
    if hasattr(net, "input_gradient"):
        return net.input_gradient(U, slope)
    from .adjoint import gradients

    x = net.solve(U, tol).x
    y = x @ _dense(net.exact("C")).T + net.exact("d")
    return y, gradients(net, U, x, slope(y), tol=tol).U


def _dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def _margin(net, U, labels):
    """The output of the label minus the largest other; NaN (no answer) counts as an error, -inf."""
    y = outputs(net, U)
    rows = np.arange(len(labels))
    own = y[rows, labels].copy()
    y[rows, labels] = -np.inf
    return np.nan_to_num(own - y.max(axis=1), nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def outputs(net, U):
    """The outputs of a network, its states found to 1e-8."""
    return net(U) if hasattr(net, "input_gradient") else net(U, _TOL)


def accuracy(net, U, labels):
    """The fraction of images that a network gives the right label.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork.random(2, 3, 2, seed=1)
    >>> accuracy(net, [[0.0, 1.0]], net([[0.0, 1.0]]).argmax(axis=1))
    1.0
    """
    U, labels = _read(net, U, labels, (-np.inf, np.inf))
    return float(np.mean(_margin(net, U, labels) > 0.0))


def margins(net, U, labels, eps, kind="interval", pixels=(0.0, 1.0)):
    """Proven lower bounds on the margin over boxes of half-width `eps`, cut to the range of pixels; shape (samples,)."""
    if hasattr(net, "input_gradient"):
        return net.margins(U, labels, eps, kind, pixels)
    from .bounds import margins

    return margins(net, U, labels, eps, kind, clip=pixels)


def certified(net, U, labels, eps, kind="interval", *, pixels=(0.0, 1.0)):
    """The fraction of images whose label is proven right for every image within `eps`.

    Parameters
    ----------
    net : ImplicitNetwork or ExplicitNetwork
    U : array_like, shape (samples, inputs)
    labels : array_like of int, shape (samples,)
    eps : float
        How far each pixel may move.
    kind : str
        ``"interval"``, ``"gain"`` or ``"lipschitz"``.
    pixels : tuple of float
        The range that pixels keep to.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork.random(2, 3, 2, seed=1)
    >>> label = net([[0.0, 1.0]]).argmax(axis=1)
    >>> certified(net, [[0.0, 1.0]], label, 1e-6), certified(net, [[0.0, 1.0]], label, 1.0)
    (1.0, 0.0)
    """
    _check_eps(eps)
    U, labels = _read(net, U, labels, pixels)
    parts = [slice(start, start + _SAMPLES) for start in range(0, len(U), _SAMPLES)]
    return float(sum((margins(net, U[p], labels[p], eps, kind, pixels) > 0.0).sum() for p in parts) / len(U))


def outcomes(net, U, labels, eps, *, attacks=ATTACKS, certificates=("interval",), steps=20, restarts=1, seed=0):
    """For each attack the images that stay right, for each certificate those that are proven: name -> (len(eps), samples)."""
    U, labels = _read(net, U, labels, (0.0, 1.0))
    right = np.flatnonzero(_margin(net, U, labels) > 0.0)
    found = {name: np.zeros((len(eps), len(U)), dtype=bool) for name in (*attacks, *certificates)}
    V, t = U[right], labels[right]
    for k, size in enumerate(eps if len(right) else ()):
        for name in attacks:
            near = attack(net, V, t, size, name, steps=steps, restarts=restarts, seed=seed)
            found[name][k, right] = _margin(net, near, t) > 0.0
        for name in certificates:
            found[name][k, right] = margins(net, V, t, size, name) > 0.0
    return found


def robustness_curves(
    net, U, labels, eps, *, attacks=ATTACKS, certificates=("interval",), steps=20, restarts=1, seed=0
):
    """Accuracy under each attack, and certified accuracy by each certificate, for several sizes of the disturbance.

    Parameters
    ----------
    net : ImplicitNetwork or ExplicitNetwork
    U : array_like, shape (samples, inputs)
    labels : array_like of int, shape (samples,)
    eps : sequence of float
    attacks, certificates : sequence of str
    steps, restarts, seed : int
        See :func:`attack`.

    Returns
    -------
    dict of str to ndarray, shape (len(eps),)
        Fractions of the images, by the names of the attacks and certificates. An image that is wrong without a
        disturbance counts as wrong under every one.

    Examples
    --------
    >>> import dynet as dn
    >>> digits = dn.implicit.load("digits")
    >>> net = dn.ImplicitNetwork.random(64, 10, 10, gamma=0.0)
    >>> found = robustness_curves(net, digits.test[:50], digits.test_labels[:50], [0.0, 0.1], attacks=["pgd"])
    >>> sorted(found), bool((found["interval"] <= found["pgd"]).all())
    (['interval', 'pgd'], True)
    """
    found = outcomes(
        net, U, labels, eps, attacks=attacks, certificates=certificates, steps=steps, restarts=restarts, seed=seed
    )  # fmt: skip
    return {name: stay.mean(axis=1) for name, stay in found.items()}
