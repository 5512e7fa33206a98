"""What every figure shares: the style, a canvas of one column's width, labels at the lines, and files.

Lines are labelled where they end, in their own colour, instead of in a legend. Labels that would overlap are moved
apart as little as possible: positions :math:`z_1 \\le \\dots \\le z_m` with :math:`z_{i+1} - z_i \\ge h` that minimise
:math:`\\sum_i (z_i - y_i)^2`, which is an isotonic regression of :math:`y_i - i h` (pool adjacent violators).

Nothing here touches matplotlib's global state: figures are `matplotlib.figure.Figure` objects without pyplot, and the
style sheet is in force only while a figure is drawn or written.

References
----------
M. Okabe, K. Ito, "Color universal design", 2008 (the palette of ``dynet.mplstyle``).
"""

import contextlib
import math
import os
import pathlib
import tempfile

import numpy as np

__all__ = [
    "COLORS",
    "FAINT",
    "style",
    "preload",
    "new",
    "save",
    "spread",
    "label_ends",
    "arrange",
    "power_of_ten",
    "time_label",
]

#: The order in which lines take their colours (Okabe and Ito, darker ones first; all legible as text on white).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#B0588A", "#000000", "#A87400")
#: Lines that are context, not message.
FAINT = "#C8C8C8"


def style():
    """A context in which matplotlib draws in dynet's style; the user's own settings return afterwards."""
    import matplotlib.style

    return matplotlib.style.context(["default", str(pathlib.Path(__file__).with_name("dynet.mplstyle"))])


def preload():
    """Load what drawing needs; half a second that a caller who waits for something else can spend at once."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.collections
    import matplotlib.figure  # noqa: F401


def new(width=3.4, height=2.4, title=None):
    """An empty figure and its axes; call it inside :func:`style`.

    Parameters
    ----------
    width, height : float
        Size in inches.
    title : str, optional
        One line above the axes, at the left.

    Returns
    -------
    (Figure, Axes)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)  # measures text without a window
    axes = figure.add_subplot()
    if title:
        axes.set_title(str(title))
    return figure, axes


def arrange(figure):
    """Place the axes as the layout wants them; far cheaper than drawing, which does it as well."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)


def time_label(unit):
    """The label of the time axis.

    >>> time_label("s")
    'time $t$ (s)'
    """
    return f"time $t$ ({unit or 'model units'})"


def power_of_ten(value, position=None):
    """A tick label of a logarithmic axis as plain text; mathematical text takes ten times as long to set.

    >>> power_of_ten(1e-12), power_of_ten(1.0)
    ('10⁻¹²', '10⁰')
    """
    exponent = f"{math.log10(value):.0f}" if value > 0.0 else ""
    return "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def spread(wanted, gap, low, high):
    """Positions at least `gap` apart, inside [low, high], nearest to the wanted ones in the sum of squares.

    Parameters
    ----------
    wanted : array_like of shape (m,)
        Where the labels would like to stand, in any order.
    gap : float
        Least distance between two labels; reduced when m labels do not fit otherwise.
    low, high : float
        The ends of the interval.

    Returns
    -------
    ndarray of shape (m,)

    Examples
    --------
    >>> spread([0.5, 0.5, 0.9], 0.1, 0.0, 1.0)
    array([0.45, 0.55, 0.9 ])
    """
    wanted = np.asarray(wanted, dtype=float)
    m = wanted.size
    if m == 0:
        return wanted
    gap = min(gap, (high - low) / max(m - 1, 1))
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(m)
    blocks = []  # (mean, size) of pooled runs of labels
    for value in wanted[order] - steps:
        mean, size = value, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    fitted = np.repeat([b[0] for b in blocks], [b[1] for b in blocks])
    out = np.empty(m)
    out[order] = np.clip(fitted, low, high - steps[-1]) + steps
    return out


def label_ends(figure, axes, y, texts, colors):
    """Write labels right of the axes at the heights `y` (data coordinates), moved apart where they would meet."""
    arrange(figure)  # the layout decides the height of the axes in points
    height = axes.get_window_extent().height / figure.dpi * 72.0
    size = _font_size(axes)
    at = axes.transAxes.inverted().transform(axes.transData.transform([(0.0, v) for v in y]))[:, 1]
    placed = spread(at, 1.15 * size / height, 0.0, 1.0)
    far = np.abs(at - placed) * height > 0.35 * size
    for start, end, moved, text, color in zip(at, placed, far, texts, colors, strict=True):
        axes.annotate(
            text,
            xy=(1.0, start),
            xytext=(10 if far.any() else 4, (end - start) * height),
            xycoords=axes.transAxes,
            textcoords="offset points",
            color=color,
            fontsize=size,
            va="center",
            ha="left",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "lw": 0.5, "shrinkA": 0, "shrinkB": 1} if moved else None,
        )


def _font_size(axes):
    return axes.xaxis.get_ticklabels()[0].get_fontsize() if axes.xaxis.get_ticklabels() else 7.0


def save(figure, path):
    """Write a figure as PNG and as SVG, each to a temporary name that is then renamed.

    The same figure gives the same bytes: the SVG carries no date and no random identifiers.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What :func:`dynet.figures.draw` returned, or any other figure.
    path : str or path-like
        The file name without suffix; its folder is made where it is missing.

    Returns
    -------
    list of pathlib.Path
        The PNG and the SVG.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from matplotlib.figure import Figure
    >>> from dynet.figures import save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [p.name for p in save(Figure(), pathlib.Path(folder) / "empty")]
    ['empty.png', 'empty.svg']
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = []
    with style(), _arranged(figure):
        for suffix in ("png", "svg"):
            target = path.with_name(f"{path.name}.{suffix}")
            handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".{suffix}", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    figure.savefig(file, format=suffix, metadata={"Date": None} if suffix == "svg" else None)
                os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files for the owner alone
                os.replace(temporary, target)
            except BaseException:
                pathlib.Path(temporary).unlink(missing_ok=True)
                raise
            written.append(target)
    return written


@contextlib.contextmanager
def _arranged(figure):
    """The layout is found once and holds for every format; otherwise each finds it anew, and draws twice to do so."""
    engine = figure.get_layout_engine()
    if engine is None:
        yield
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
