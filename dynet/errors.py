"""One exception root for wrong input, one enumeration for numerical failure.

Wrong input raises; the message names the argument, the value, what was expected and the nearest valid word.
Numerical failure never raises: it is a :class:`Status`, one per trajectory or per sample, that says what to try next.
"""

import difflib
import enum
import reprlib

_REPR = reprlib.Repr()  # paths stay whole, arrays become short
_REPR.maxstring, _REPR.maxother = 200, 120

__all__ = [
    "DynetError",
    "ArgumentError",
    "CertificateError",
    "DeviceError",
    "MissingExtraError",
    "ScenarioError",
    "Status",
    "nearest",
]


class DynetError(Exception):
    """Root of every error that dynet raises on purpose: catch this one to catch them all.

    Examples
    --------
    >>> import dynet as dn
    >>> try:
    ...     dn.load_graph("karate_klub")
    ... except dn.DynetError as error:
    ...     print(str(error).rpartition("; ")[2])
    did you mean 'karate_club'?
    """


class ArgumentError(DynetError, ValueError):
    """An argument that cannot be used.

    Parameters
    ----------
    name : str
        The argument, as the caller wrote it.
    value : object
        What was given.
    expected : str
        What would have been accepted.
    choices : iterable of str, optional
        The valid words; the one nearest to `word` is suggested.
    word : str, optional
        The misspelled word, when it is not `value` itself.

    Examples
    --------
    >>> print(ArgumentError("activation", "tahn", "the name of an activation", choices=["relu", "tanh"]))
    activation='tahn': expected the name of an activation (relu, tanh); did you mean 'tanh'?
    """

    def __init__(self, name, value, expected, *, choices=None, word=None):
        self.name, self.value, self.expected = name, value, expected
        shown = value if isinstance(value, Shown) else _REPR.repr(value)
        text = f"{name}={shown}: expected {expected}"
        if choices is not None:
            choices = [str(c) for c in choices]
            text += f" ({', '.join(choices)})"
            word = nearest(value if word is None else word, choices)
            if word is not None:
                text += f"; did you mean {word!r}?"
        super().__init__(text)


class Shown(str):
    """A value that is already in words, such as ``an array of shape (2, 3)``: shown without quotes."""


class ScenarioError(DynetError):
    """A scenario file that cannot be used: names the file, the key path, the value and what was expected.

    Examples
    --------
    >>> import dynet as dn
    >>> try:
    ...     dn.Scenario(model={"kind": "lorentz"}, simulate={"t": 1.0}).build()
    ... except dn.errors.ScenarioError as error:
    ...     print(str(error).rpartition("; ")[2])
    did you mean 'lorenz'?
    """


class CertificateError(DynetError):
    """A certificate file that cannot be read: tampered with, of an unknown version, or incomplete.

    Examples
    --------
    >>> import dynet as dn
    >>> try:
    ...     dn.Certificate.from_json('{"format": "a recipe"}')
    ... except dn.errors.CertificateError as error:
    ...     print(error)
    this is not a certificate: expected format 'dynet-certificate'
    """


class MissingExtraError(DynetError):
    """An optional dependency that is not installed; the message gives the command that installs it.

    Examples
    --------
    >>> print(MissingExtraError("reading MATPOWER cases", "grid"))
    reading MATPOWER cases needs the optional dependency 'grid'; install it with: pip install "dynet-contraction[grid]"
    """

    def __init__(self, what, extra):
        super().__init__(
            f"{what} needs the optional dependency '{extra}'; "
            f'install it with: pip install "dynet-contraction[{extra}]"'
        )


class DeviceError(DynetError):
    """A device that cannot do what was asked: it is missing, its software is, or it has too little memory.

    The message says which, and what to do. It is raised before the work starts or when a call to the device fails; the
    process stays usable.

    Examples
    --------
    >>> print(DeviceError("no CUDA device was found", "see what the driver says with: nvidia-smi"))
    no CUDA device was found; see what the driver says with: nvidia-smi
    """

    def __init__(self, what, remedy):
        super().__init__(f"{what}; {remedy}")


def nearest(word, choices):
    """The choice that is spelled most like `word`, or None when none is close.

    >>> nearest("hopfeild", ["hopfield", "lorenz"])
    'hopfield'
    """
    lowered = {str(c).lower(): str(c) for c in choices}
    match = difflib.get_close_matches(str(word).lower(), lowered, n=1, cutoff=0.5)
    return lowered[match[0]] if match else None


class Status(enum.IntEnum):
    """How a computation ended; ask :attr:`ok`, and read :attr:`remedy` when it is not.

    >>> Status.OK.ok, Status.NONFINITE.ok
    (True, False)
    >>> print(Status.MAX_STEPS)
    max_steps: the step limit was reached before the end; raise max_steps, loosen rtol, or use a stiff method
    """

    OK = 0
    NONFINITE = 1
    MAX_STEPS = 2
    STEP_UNDERFLOW = 3
    INTERRUPTED = 4
    MAX_ITERATIONS = 5
    PRECISION = 6
    EVENT = 8
    STIFF = 9
    ILL_POSED = 10

    @property
    def ok(self):
        return self in (Status.OK, Status.EVENT)

    @property
    def word(self):
        """The status in one lower-case word, as it stands in files and tables."""
        return self.name.lower()

    @property
    def remedy(self):
        """What happened and what to try next."""
        return _REMEDIES[self]

    def __str__(self):
        return f"{self.word}: {self.remedy}"


_REMEDIES = {
    Status.OK: "finished",
    Status.NONFINITE: "the state left the finite numbers; the solution may blow up there: shorten the time span, "
    "or check the signs in the equation and the size of dt",
    Status.MAX_STEPS: "the step limit was reached before the end; raise max_steps, loosen rtol, or use a stiff method",
    Status.STEP_UNDERFLOW: "the step fell below the rounding of t; loosen rtol and atol, look for a discontinuity in "
    "the right-hand side there, or use a stiff method",
    Status.INTERRUPTED: "stopped on request before the end; the part that was computed is kept",
    Status.MAX_ITERATIONS: "the iteration limit was reached before the tolerance; raise max_iterations or tol",
    Status.PRECISION: "rounding keeps the residual above what tol asks for; the bound that was "
    "reached is returned: raise tol, or scale the model",
    Status.EVENT: "a terminal event ended it",
    Status.ILL_POSED: "no weights prove that there is exactly one solution (the log norm is not below 1), so nothing that an "
    "iteration returns can be called solved; make A smaller, or build it with a parametrisation",
    Status.STIFF: "stability, not accuracy, limits the steps: the problem is stiff; use a stiff method, or method='auto'",
}
