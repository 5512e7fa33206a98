"""Figure ``pattern``: one component of all nodes over time, as a field of colours.

Nodes stand in the order of the model, so that what travels or stands on a ring, a line or a road is seen; time runs to the
right. The colours are those of one trajectory, from its least to its largest value, symmetric around zero where it has both
signs.
"""

import numpy as np

from ..errors import ArgumentError
from . import canvas
from .coherence import component_of

__all__ = ["pattern"]


def pattern(
    *, trajectory, certificate=None, model=None, component=0, which=0, time_unit=None, state_unit=None, title=None,
    width=3.4, height=2.4,
):  # fmt: skip
    """Draw a component of all nodes over time.

    Parameters
    ----------
    trajectory : Trajectory
    certificate, model : optional
        The model says how many components a node has.
    component : int
        Which component of a node's state.
    which : int
        Which trajectory of a batch.
    time_unit, state_unit, title : str, optional
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    values = component_of(trajectory, model, component)
    if not isinstance(which, int) or not 0 <= which < len(values):
        raise ArgumentError("which", which, f"the number of a trajectory, from 0 to {len(values) - 1}")
    values, t = values[which].T, np.asarray(trajectory.t, dtype=float)
    low, high = np.nanmin(values), np.nanmax(values)
    diverging = low < 0 < high
    if diverging:
        high = max(-low, high)
        low = -high
    dim = getattr(model, "dim", 1)
    labels = [str(label) for label in getattr(trajectory, "labels", range(values.shape[0] * dim))][component::dim]
    name = labels[0].rpartition(".")[2] if dim > 1 else "state $x_i(t)$"
    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        rows = np.arange(values.shape[0] + 1) - 0.5
        middle = (t[1:] + t[:-1]) / 2
        columns = np.concatenate([[t[0]], middle, [t[-1]]])
        mesh = axes.pcolormesh(columns, rows, values, cmap="RdBu_r" if diverging else "cividis", vmin=low, vmax=high,
                               rasterized=True)  # fmt: skip
        axes.set_ylim(rows[0], rows[-1])
        axes.set_xlabel(canvas.time_label(time_unit))
        axes.set_ylabel("node")
        if values.shape[0] <= 8:
            axes.set_yticks(range(values.shape[0]), [label.rpartition(".")[0] or label for label in labels])
        bar = figure.colorbar(mesh, ax=axes, pad=0.02)
        bar.set_label(f"{name} ({state_unit or 'model units'})")
        bar.outline.set_visible(False)
        return figure
