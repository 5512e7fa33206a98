r"""Implicit networks: :math:`x = \Phi(Ax + Bu + b)`, :math:`y = Cx + d`.

The state is not computed layer by layer; it is the equilibrium of a firing-rate field. Where the rows prove that there is
exactly one (see :mod:`dynet.implicit.wellposed`), every solver converges to it, its distance from any guess is bounded by a
residual, and outputs depend on inputs with a gain that can be stated. Where they do not, the network says so and is never
called solved.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

import functools
import html

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields import activation as activations
from ..fields.base import describe
from ..linalg.norms import Norm
from . import wellposed

__all__ = ["ImplicitNetwork"]


class ImplicitNetwork:
    r"""A network whose state solves :math:`x = \Phi(Ax + Bu + b)` and whose output is :math:`y = Cx + d`.

    Parameters
    ----------
    A : array_like (n, n)
    B : array_like (n, m)
    C : array_like (q, n)
        Each dense, or scipy sparse. Kept in float32 where all arrays are float32, else in float64.
    b : float or array_like (n,)
    d : float or array_like (q,)
    activation : str or Activation
        With declared slopes.
    weights : array_like (n,), optional
        Positive weights :math:`\eta` of the norm :math:`\max_i |x_i|/\eta_i` in which the network is judged; the best ones
        when None.

    Attributes
    ----------
    n, inputs, outputs : int
    mu : float
        Log norm of A in that norm, rounded up.
    rate : float
        1 minus the largest log norm that slopes can give to DA, rounded down: positive for a well-posed network.
    factor : float
        With which the sweep contracts at worst, rounded up.
    well_posed : bool
        Whether it is proven that there is exactly one state for each input: by the weights, or, for slopes in [0, 1], in
        the Euclidean norm. `mu`, `rate` and `norm` are those of the proof.
    norm : Norm

    Raises
    ------
    ArgumentError
        For shapes that do not fit, entries that are not finite, weights that are not positive, an unknown activation.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [-0.75, 0.25]], [[1.0], [2.0]], [[1.0, -1.0]], [0.5, -0.25], 0.0)
    >>> net
    ImplicitNetwork(1 -> 2 -> 1, relu, mu <= 0.5, well-posed)
    >>> net([[0.0], [1.0], [-1.0]]).round(7)
    array([[ 0.25],
           [-0.2 ],
           [ 0.  ]])
    """

    def __init__(self, A, B, C, b=0.0, d=0.0, activation="relu", weights=None):
        put = functools.partial(object.__setattr__, self)
        arrays = {"A": _matrix("A", A), "B": _matrix("B", B), "C": _matrix("C", C)}
        n, m, q = arrays["A"].shape[0], arrays["B"].shape[1], arrays["C"].shape[0]
        for name, wanted in (("A", (n, n)), ("B", (n, m)), ("C", (q, n))):
            if arrays[name].shape != wanted or 0 in (n, q):
                raise ArgumentError(name, Shown(f"a matrix of shape {arrays[name].shape}"), f"shape {wanted}")
        arrays["b"], arrays["d"] = _vector("b", b, n), _vector("d", d, q)
        plain = [name for name, value in (("b", b), ("d", d)) if np.ndim(value) == 0]
        single = all(array.dtype == np.float32 for name, array in arrays.items() if name not in plain)
        put("dtype", np.dtype("float32" if single else "float64"))
        for name, array in arrays.items():
            array = array.astype(self.dtype) if array.dtype != self.dtype else array
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
            put(name, array)
        put("activation", activations.get(activation))
        if self.activation.slopes is None:
            raise ArgumentError("activation", self.activation.name, "an activation that declares slopes=(dmin, dmax)")
        put("n", n), put("inputs", m), put("outputs", q)
        put("_made", {})
        if weights is None:
            weights = wellposed.best_weights(self.exact("A"), self.activation.slopes)
        else:
            weights = _vector("weights", weights, n).astype(float)
            if not ((weights >= 1e-100) & (weights <= 1e100)).all():
                raise ArgumentError("weights", describe(weights), "numbers between 1e-100 and 1e100")
        weights.flags.writeable = False
        put("weights", weights)

    def __setattr__(self, name, value):
        raise AttributeError("an ImplicitNetwork cannot be changed; make another one with .replace(...)")

    __delattr__ = __setattr__

    @classmethod
    def random(cls, inputs, states, outputs, gamma=0.95, seed=0, activation="relu"):
        r"""A network with :math:`\mu(A) \le \gamma` in the weighted norm, from the parametrisation that training uses.

        Parameters
        ----------
        inputs, states, outputs : int
        gamma : float
            Below 1.
        seed : int or Generator
        activation : str or Activation

        Examples
        --------
        >>> ImplicitNetwork.random(2, 5, 3, gamma=0.5, seed=1).mu <= 0.5 + 1e-12
        True
        """
        from .parametrize import WeightedInf

        for name, value in (("inputs", inputs), ("states", states), ("outputs", outputs)):
            if not isinstance(value, (int, np.integer)) or value < (0 if name == "inputs" else 1):
                raise ArgumentError(name, value, "a positive integer")
        random = np.random.default_rng(seed)
        family = WeightedInf(gamma)
        A, weights = family.build(family.init(states, random))
        B = random.uniform(-1, 1, (states, inputs)) / np.sqrt(max(inputs, 1))
        C = random.uniform(-1, 1, (outputs, states)) / np.sqrt(states)
        return cls(A, B, C, np.zeros(states), np.zeros(outputs), activation, weights)

    def replace(self, **changes):
        """The same network with other arrays, activation or weights; new weights are looked for where A changes.

        >>> ImplicitNetwork.random(1, 3, 1).replace(d=[2.0]).d
        array([2.])
        """
        known = ("A", "B", "C", "b", "d", "activation", "weights")
        for name in changes:
            if name not in known:
                raise ArgumentError(name, changes[name], "a part of the network", choices=known, word=name)
        parts = {name: getattr(self, name) for name in known}
        if "A" in changes or "activation" in changes:
            parts["weights"] = None
        return ImplicitNetwork(**{**parts, **changes})

    def exact(self, name):
        """One of the arrays in float64, in which every bound is computed; read only."""
        if self.dtype == np.float64:
            return getattr(self, name)
        if name not in self._made:
            self._made[name] = getattr(self, name).astype(float)
        return self._made[name]

    @property
    def rows(self):
        """What the rows of A prove with the weights; see :class:`dynet.implicit.wellposed.Rows`."""
        if "rows" not in self._made:
            self._made["rows"] = wellposed.rows(self.exact("A"), self.weights, self.activation.slopes)
        return self._made["rows"]

    @property
    def quadratic(self):
        """The proof in the Euclidean norm (:class:`dynet.implicit.wellposed.Quadratic`) where rows prove nothing, or None."""
        if "quadratic" not in self._made:
            wanted = not self.boxed and isinstance(self.A, np.ndarray)
            self._made["quadratic"] = wellposed.quadratic(self.exact("A"), self.activation.slopes) if wanted else None
        return self._made["quadratic"]

    @property
    def boxed(self):
        """Whether the network is well-posed in the weighted maximum norm: bounds on outputs need that."""
        return self.rows.rate > 0

    @property
    def mu(self):
        return self.rows.mu if self.quadratic is None else self.quadratic.mu

    @property
    def rate(self):
        return self.rows.rate if self.quadratic is None else self.quadratic.rate

    @property
    def factor(self):
        return self.rows.factor

    @property
    def well_posed(self):
        return self.boxed or self.quadratic is not None

    @property
    def norm(self):
        return Norm("inf", self.weights) if self.quadratic is None else Norm(2)

    @property
    def spread(self):
        """The distance from the state over the weighted residual, at most; inf where the network is not well-posed."""
        if self.boxed:
            return float(np.nextafter(1 / self.rate, np.inf))
        if self.quadratic is None:
            return np.inf
        return self.quadratic.growth * float(self.weights.max()) * (1 + 1e-15)

    def passes(self, dtype=None):
        """The passes that training repeats, without checks and certificates; see :class:`dynet.implicit.passes.Passes`."""
        from .passes import Passes

        dtype = self.dtype.name if dtype is None else np.dtype(dtype).name
        return Passes(self.A, self.B, self.b, self.weights, self.activation, dtype)

    def _passes(self, dtype):
        """The same, made once and never loaded with anything else."""
        if ("passes", dtype) not in self._made:
            self._made["passes", dtype] = self.passes(dtype)
        return self._made["passes", dtype]

    def check_inputs(self, U, name="U"):
        """A batch of inputs as a contiguous array (batch, inputs), and whether it was a single one."""
        try:
            array = np.asarray(U)
            array = array if array.dtype in (np.float32, np.float64) else array.astype(float)
        except (TypeError, ValueError):
            raise ArgumentError(name, U, f"numbers of shape (batch, {self.inputs})") from None
        if array.ndim not in (1, 2) or array.shape[-1] != self.inputs:
            raise ArgumentError(name, describe(array), f"an array of shape ({self.inputs},) or (batch, {self.inputs})")
        with np.errstate(over="ignore", invalid="ignore"):  # a sum is faster; it may overflow by itself
            if not np.isfinite(array.sum()) and not np.isfinite(array).all():
                raise ArgumentError(name, Shown("an entry that is not finite"), "finite numbers")
        return np.ascontiguousarray(array.reshape(-1, self.inputs)), array.ndim == 1

    def __call__(self, U, tol=None):
        """Outputs for inputs: (inputs,) -> (outputs,), or (batch, inputs) -> (batch, outputs).

        `tol` bounds the weighted distance of the states from the fixed points; 1e-10, and 1e-5 in float32. NaN where the
        network is ill-posed or the states could not be found; :meth:`solve` says why.
        """
        from .solve import outputs

        return outputs(self, U, tol)

    def solve(self, U, tol=1e-10, *, method="auto", x0=None, max_iterations=100_000, device="cpu", precision=None):
        """The states for inputs, with bounds on their errors; see :func:`dynet.implicit.solve.solve`.

        >>> net = ImplicitNetwork.random(2, 4, 1, seed=3)
        >>> found = net.solve([[1.0, -1.0], [0.5, 0.0]], tol=1e-9)
        >>> found.certified, bool((found.error <= 1e-9).all())
        (True, True)
        """
        from .solve import solve

        return solve(
            self, U, tol, method=method, x0=x0, max_iterations=max_iterations, device=device, precision=precision
        )

    def lipschitz(self, p=np.inf):
        """A bound on the Lipschitz constant from inputs to outputs; see :func:`dynet.implicit.bounds.lipschitz`."""
        from .bounds import lipschitz

        return lipschitz(self, p)

    def gain(self):
        """Bounds on how much each output moves with each input (outputs, inputs); see :func:`dynet.implicit.bounds.gain`."""
        from .bounds import gain

        return gain(self)

    def bounds(self, lo, hi, tol=1e-10):
        """Bounds (lo, hi) on the outputs for all inputs between two; see :func:`dynet.implicit.bounds.interval`.

        >>> net = ImplicitNetwork.random(2, 4, 1, seed=3)
        >>> low, high = net.bounds([0.0, 0.0], [0.1, 0.1])
        >>> bool(low <= net([0.05, 0.02]) <= high)
        True
        """
        from .bounds import interval

        found = interval(self, lo, hi, tol)
        return found.lo, found.hi

    def certify(self, U, labels, eps, kind="interval", clip=None):
        """Whether no change of an input by at most `eps` in each entry changes the class; see :func:`.bounds.margins`."""
        from .bounds import margins

        return margins(self, U, labels, eps, kind, clip=clip) > 0

    def save(self, path):
        """Write the network to a file; see :func:`dynet.implicit.files.save`."""
        from .files import save

        save(self, path)

    @staticmethod
    def load(path):
        """Read a network that :meth:`save` wrote."""
        from .files import load

        return load(path)

    def __repr__(self):
        word = "well-posed" if self.well_posed else "not known to be well-posed"
        return (
            f"ImplicitNetwork({self.inputs} -> {self.n} -> {self.outputs}, {self.activation.name}, "
            f"mu <= {float(np.nextafter(self.mu, np.inf)):.6g}, {word})"
        )

    def _repr_html_(self):
        return f"<pre>{html.escape(repr(self))}</pre>"

    def __reduce__(self):
        return ImplicitNetwork, (self.A, self.B, self.C, self.b, self.d, self.activation, self.weights)


def _matrix(name, value):
    """A finite matrix of float64 or float32, dense and contiguous, or csr; a copy."""
    if hasattr(value, "tocsr"):
        from scipy.sparse import csr_array

        matrix = csr_array(value, copy=True)
        matrix.sum_duplicates()
        matrix = matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(float)
        numbers = matrix.data
    else:
        try:
            matrix = np.asarray(value)
            kind = matrix.dtype if matrix.dtype in (np.float32, np.float64) else float
            matrix = np.array(matrix, dtype=kind, order="C")
        except (TypeError, ValueError):
            raise ArgumentError(name, value, "a matrix of numbers: a NumPy array or a scipy sparse array") from None
        if matrix.ndim != 2:
            raise ArgumentError(name, describe(matrix), "a matrix")
        numbers = matrix
    if not np.isfinite(numbers).all():
        raise ArgumentError(name, Shown("an entry that is not finite"), "finite entries")
    return matrix


def _vector(name, value, size):
    try:
        vector = np.asarray(value)
        vector = np.array(vector, dtype=vector.dtype if vector.dtype == np.float32 else float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, f"{size} numbers") from None
    if vector.shape not in ((), (size,)) or not np.isfinite(vector).all():
        raise ArgumentError(name, describe(vector), f"a finite number or {size} of them")
    return np.broadcast_to(vector, (size,)).copy()
