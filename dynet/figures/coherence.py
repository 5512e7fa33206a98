r"""Figure ``coherence``: how well the phases of oscillators agree.

Above, the order parameter :math:`r(t) = |\frac1N\sum_j e^{i\theta_j(t)}|` of each trajectory: 1 where all phases are equal,
near 0 where they are spread around the circle. Below, the phases of one trajectory, each relative to the mean phase and
taken into :math:`(-\pi, \pi]`; lines break where a phase passes the ends.

References
----------
Y. Kuramoto, Chemical Oscillations, Waves, and Turbulence, 1984 (the order parameter).
"""

import math

import numpy as np

from ..errors import ArgumentError
from . import canvas

__all__ = ["coherence", "order_parameter"]

_LINES = 200


def coherence(
    *, trajectory, certificate=None, model=None, component=0, time_unit=None, title=None, width=3.4, height=3.0
):
    """Draw order parameter and phases over time.

    Parameters
    ----------
    trajectory : Trajectory
        Of phases in rad; where a node has several components, one of them is the phase.
    certificate, model : optional
        The model says how many components a node has.
    component : int
        Which of them is the phase.
    time_unit, title : str, optional
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    phases = component_of(trajectory, model, component)
    t = np.asarray(trajectory.t, dtype=float)
    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        above = figure.add_subplot(2, 1, 1)
        axes.set_subplotspec(above.get_gridspec()[1])
        for row in order_parameter(phases):
            above.plot(t, row, color=canvas.COLORS[0], linewidth=1.2 if len(phases) == 1 else 0.7)
        above.set_ylim(0, 1.04)
        above.set_ylabel("order $r$")
        above.tick_params(labelbottom=False)
        mean = np.angle(np.exp(1j * phases[0]).mean(axis=1))
        relative = np.angle(np.exp(1j * (phases[0] - mean[:, None])))
        relative[1:][np.abs(np.diff(relative, axis=0)) > math.pi] = np.nan
        shown = np.linspace(0, relative.shape[1] - 1, min(_LINES, relative.shape[1])).round().astype(int)
        for rank, i in enumerate(shown):
            few = relative.shape[1] <= len(canvas.COLORS)
            color = canvas.COLORS[rank if few else rank % 2]
            axes.plot(t, relative[:, i], color=color, linewidth=1.0 if few else 0.5, alpha=1.0 if few else 0.6)
        largest = np.nanmax(np.abs(relative))
        if largest > math.pi / 2:
            axes.set_ylim(-1.04 * math.pi, 1.04 * math.pi)
            axes.set_yticks([-math.pi, 0, math.pi], [r"$-\pi$", "0", r"$\pi$"])
        axes.set_ylabel("phase $-$ mean (rad)")
        axes.set_xlabel(canvas.time_label(time_unit))
        for one in (above, axes):
            one.set_xlim(t.min(), t.max())
        figure.align_ylabels()
        return figure


def order_parameter(phases):
    """The modulus of the mean of exp(i phase), shape (..., N) -> (...).

    >>> print(order_parameter(np.array([0.0, 0.0, np.pi])).round(6))
    0.333333
    """
    return np.abs(np.exp(1j * np.asarray(phases)).mean(axis=-1))


def component_of(trajectory, model, component):
    """One component of every node, shape (batch, k, nodes)."""
    x = np.asarray(trajectory.x, dtype=float)
    x = x[None] if x.ndim == 2 else x
    dim = getattr(model, "dim", 1)
    if not isinstance(component, int) or isinstance(component, bool) or not 0 <= component < dim:
        raise ArgumentError("component", component, f"a whole number from 0 to {dim - 1}")
    if x.shape[1] < 2:
        raise ArgumentError("trajectory", trajectory, "a trajectory saved at two or more times")
    return x[:, :, component::dim]
