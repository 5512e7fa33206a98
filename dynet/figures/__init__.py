"""Figures of trajectories and certificates, at the width of a journal column.

:func:`draw` makes a `matplotlib.figure.Figure` of one of the :data:`KINDS`; :func:`save` writes it as PNG and SVG.
matplotlib is imported when a figure is drawn, never pyplot, and its global settings stay as they are.
"""

import inspect

from ..errors import ArgumentError
from .canvas import save

__all__ = ["KINDS", "STUDIES", "draw", "options", "save"]

#: Each kind of figure with one line on what it shows.
KINDS = {
    "coherence": "how well the phases of oscillators agree: the order parameter, and the phases themselves",
    "decay": "distances between simulated pairs, on a log axis, under the certified bound",
    "pattern": "one component of all nodes over time, as a field of colours",
    "trajectories": "a few representative states over time, in front of all others",
    "attacks": "accuracy of a network against the size of the disturbance, for each attack",
    "certificates": "what each certificate proves of a network, under what an attack leaves right",
    "networks": "accuracy under an attack and certified accuracy, for several networks",
    "trade_off": "accuracy under an attack against accuracy on clean images",
    "sparsity": "accuracy against the fraction of couplings that pruning kept",
}
#: Those that draw a study of networks instead of a trajectory.
STUDIES = ("attacks", "certificates", "networks", "trade_off", "sparsity")

_SUBJECTS = ("trajectory", "certificate", "model", "study")


def draw(kind, *, trajectory=None, certificate=None, model=None, study=None, **options):
    """Draw a figure.

    Parameters
    ----------
    kind : str
        A key of :data:`KINDS`.
    trajectory : Trajectory
        What was simulated.
    certificate : Certificate, optional
        What was certified; `decay` draws its bound.
    model : VectorField, optional
        The model, for figures that need it.
    study : dynet.implicit.study.Result, optional
        What the figures of :data:`STUDIES` draw.
    **options
        The options of that kind; :func:`dynet.figures.options` lists them.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentError
        An unknown kind or option (the message suggests the nearest word), or a subject that the figure needs and that
        was not given.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from dynet.figures import draw
    >>> t = np.linspace(0.0, 5.0, 50)
    >>> wave = SimpleNamespace(t=t, x=np.column_stack([np.sin(t), np.cos(t)]), labels=("left", "right"))
    >>> figure = draw("trajectories", trajectory=wave, time_unit="s")
    >>> figure.axes[0].get_xlabel()
    'time $t$ (s)'
    """
    check_options(kind, options)
    if kind in STUDIES:
        if study is None:
            raise ArgumentError("study", None, f"the result of a study, which figure {kind!r} draws")
        return _function(kind)(study=study, **options)
    if trajectory is None:
        raise ArgumentError("trajectory", None, f"a Trajectory, which figure {kind!r} draws")
    return _function(kind)(trajectory=trajectory, certificate=certificate, model=model, **options)


def options(kind):
    """The options of a kind of figure and their defaults.

    Parameters
    ----------
    kind : str
        A key of :data:`KINDS`.

    Returns
    -------
    dict of str to object

    Examples
    --------
    >>> from dynet.figures import options
    >>> options("trajectories")["initial_states"]
    8
    """
    parameters = inspect.signature(_function(kind)).parameters
    return {name: p.default for name, p in parameters.items() if name not in _SUBJECTS}


def check_options(kind, given):
    """Raise ArgumentError unless `kind` exists and every name in `given` is one of its options."""
    known = options(kind)
    for name in given:
        if name not in known:
            raise ArgumentError("option", name, f"an option of figure {kind!r}", choices=known)


def _function(kind):
    if kind not in KINDS:
        raise ArgumentError("kind", kind, "a kind of figure", choices=KINDS)
    if kind in STUDIES:
        from . import study

        return getattr(study, kind)
    from .coherence import coherence
    from .decay import decay
    from .pattern import pattern
    from .trajectories import trajectories

    return {"coherence": coherence, "decay": decay, "pattern": pattern, "trajectories": trajectories}[kind]
