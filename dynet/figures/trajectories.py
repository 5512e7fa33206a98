"""Figure ``trajectories``: a few states over time.

A network has too many nodes to label all of them. The message is carried by a few representatives, chosen greedily so
that their time courses are as different as possible: first the node that moves most, then, again and again, the node
whose course is farthest (largest distance over time) from all courses chosen so far. The course of a node in a batch is
its median over the trajectories: what the nodes do, not where each of them happened to start. All other nodes stand
behind them as light lines.

References
----------
T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38 (1985)
293-306: farthest-point centres are within a factor 2 of the best ones.
"""

import warnings

import numpy as np

from ..errors import ArgumentError
from . import canvas

__all__ = ["trajectories", "representatives"]


def trajectories(
    *,
    trajectory,
    certificate=None,
    model=None,
    nodes=None,
    initial_states=8,
    components=False,
    time_unit=None,
    state_unit=None,
    title=None,
    width=3.4,
    height=2.4,
):
    """Draw states over time.

    Parameters
    ----------
    trajectory : Trajectory
        One trajectory ``x (k, n)`` or a batch ``x (batch, k, n)`` at times ``t (k,)``.
    certificate, model : optional
        Not used; every figure accepts them.
    nodes : int or sequence of (str or int), optional
        How many representatives to draw in colour, or which: labels, or positions where no label matches.
        Without it, all nodes up to 5 and otherwise 4 representatives.
    initial_states : int
        At most this many trajectories of a batch are drawn.
    components : bool
        Draw each component of the nodes' states (susceptible, infected, ...): its mean over the nodes in front of the nodes.
    time_unit, state_unit : str, optional
        Units for the axis labels; "model units" without them.
    title : str, optional
        One line above the axes.
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentError
        A node that does not exist, or an empty choice.
    """
    from matplotlib.collections import LineCollection

    t = np.asarray(trajectory.t, dtype=float)
    x = np.asarray(trajectory.x, dtype=float)
    if x.ndim == 2:
        x = x[None]
    labels = tuple(getattr(trajectory, "labels", None) or (str(i) for i in range(x.shape[2])))
    behind = ()
    if components:
        x, labels, behind = _means(x, labels, model)
    if x.shape[1] < 2 or t.ndim != 1:
        raise ArgumentError(
            "trajectory", trajectory, "a trajectory saved at two or more times, the same for all of its batch"
        )
    if not isinstance(initial_states, int) or initial_states < 1:
        raise ArgumentError("initial_states", initial_states, "a whole number of at least 1")
    chosen = _choose(nodes, labels, x)
    x = x[:initial_states]

    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        context = np.setdiff1d(np.arange(x.shape[2]), chosen)
        if context.size > 200:  # more lines would only make the file heavier
            context = context[np.linspace(0, context.size - 1, 200).round().astype(int)]
        if context.size:
            segments = [np.column_stack([t, x[0, :, i]]) for i in context]
            axes.add_collection(LineCollection(segments, colors=canvas.FAINT, linewidths=0.4, zorder=1))
        for course, kind in behind[:600]:
            axes.plot(t, course, color=canvas.COLORS[kind % len(canvas.COLORS)], linewidth=0.4, alpha=0.3, zorder=2)
        ends, texts, colors = [], [], []
        for rank, i in enumerate(chosen):
            color = canvas.COLORS[rank % len(canvas.COLORS)]
            for j in range(x.shape[0]):
                axes.plot(t, x[j, :, i], color=color, linewidth=1.2 if x.shape[0] == 1 else 0.8, zorder=3)
            ends.append(_median_end(x[:, :, i]))
            texts.append(_name(labels[i]))
            colors.append(color)
        if context.size:
            ends.append(_median_end(x[0, :, context]))
            texts.append(f"{x.shape[2] - len(chosen)} others")
            colors.append("#808080")
        axes.set_xlim(t.min(), t.max())
        axes.set_xlabel(canvas.time_label(time_unit))
        axes.set_ylabel(f"state $x_i(t)$ ({state_unit or 'model units'})")
        axes.yaxis.get_major_locator().set_params(nbins=6)
        axes.autoscale_view(scalex=False)
        low, high = axes.get_ylim()
        canvas.label_ends(figure, axes, np.clip(ends, low, high), texts, colors)
        return figure


def _means(x, labels, model):
    """The mean over the nodes of each component, their names, and the courses of the nodes in the first trajectory."""
    dim = getattr(model, "dim", 1)
    nodes = x.reshape(*x.shape[:2], -1, dim)
    words = [str(label).rpartition(".")[2] for label in labels[:dim]] if dim > 1 else ["mean"]
    behind = [(nodes[0, :, i, k], k) for i in range(nodes.shape[2]) for k in range(dim)]
    return nodes.mean(axis=2), tuple(words), behind


def representatives(courses, count):
    """Positions of `count` courses that differ most from each other, in the order in which they were found.

    Parameters
    ----------
    courses : array_like of shape (k, n)
        One column per node.
    count : int
        How many, at most n.

    Returns
    -------
    list of int

    Examples
    --------
    >>> representatives([[0.0, 0.0, 0.0, 0.0], [1.0, 1.1, 0.0, -0.5]], 3)
    [1, 3, 2]
    """
    courses = np.nan_to_num(np.asarray(courses, dtype=float), posinf=0.0, neginf=0.0)
    moved = np.ptp(courses, axis=0)
    chosen = [int(np.argmax(moved))]
    far = np.full(courses.shape[1], np.inf)
    while len(chosen) < min(count, courses.shape[1]):
        far = np.minimum(far, np.max(np.abs(courses - courses[:, chosen[-1], None]), axis=0))
        far[chosen] = -1.0
        chosen.append(int(np.argmax(far)))
    return chosen


def _choose(nodes, labels, x):
    n = x.shape[2]
    if nodes is None:
        nodes = n if n <= 5 else 4
    if isinstance(nodes, (int, np.integer)) and not isinstance(nodes, bool):
        if nodes < 1:
            raise ArgumentError("nodes", nodes, "a count of at least 1, or labels of nodes")
        if nodes >= n:
            return list(range(n))
        rows = np.unique(np.linspace(0, x.shape[1] - 1, 64).round().astype(int))  # enough times to tell courses apart
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a time that no trajectory reached has no median
            return representatives(np.nanmedian(x[:, rows], axis=0), int(nodes))
    chosen = []
    for node in [nodes] if isinstance(nodes, str) else nodes:
        if str(node) in labels:
            chosen.append(labels.index(str(node)))
        elif isinstance(node, (int, np.integer)) and 0 <= node < n:
            chosen.append(int(node))
        else:
            few = labels if n <= 12 else None
            raise ArgumentError("nodes", node, f"the label of one of the {n} nodes, such as {labels[0]!r}", choices=few)
    if not chosen:
        raise ArgumentError("nodes", nodes, "at least one node")
    return chosen


def _name(label):
    label = str(label).replace("$", r"\$")
    return f"node {label}" if label.lstrip("-").isdigit() else label


def _median_end(courses):
    """Where most of the courses (rows) end; a course that blew up ends at its last finite value."""
    ends = [row[np.isfinite(row)][-1] for row in courses if np.isfinite(row).any()]
    return float(np.median(ends)) if ends else 0.0
