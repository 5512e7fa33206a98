r"""Figures of a study of networks: how many images stay right, against the size of the disturbance, and what that
costs.

What an attack leaves right bounds the true robust accuracy from above, what a certificate proves bounds it from below;
both are drawn on one pair of axes, attacks in solid lines and certificates in dashed ones, so that the gap between them
can be seen.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

import numpy as np

from ..errors import ArgumentError
from . import canvas

__all__ = ["attacks", "certificates", "networks", "sparsity", "trade_off"]


def attacks(*, study, network=None, title=None, width=3.4, height=2.4):
    """Draw accuracy against the size of the disturbance for each attack on one network, over what is certified.

    Parameters
    ----------
    study : dynet.implicit.study.Result
    network : str, optional
        Its name; the first by default.
    title : str, optional
        The name of the network by default.
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    name = _network(study, network)
    kinds = [*study.settings.attacks, *(k for k in study.settings.certificates[:1])]
    lines = [(_word(kind, study), study.curves[name][kind], kind in study.settings.certificates, k)
             for k, kind in enumerate(kinds)]  # fmt: skip
    return _curves(study, lines, title or name, width, height)


def certificates(*, study, network=None, attack=None, title=None, width=3.4, height=2.4):
    """Draw what each certificate proves of one network, under the accuracy that an attack leaves.

    Parameters
    ----------
    study : dynet.implicit.study.Result
    network : str, optional
        Its name; the first by default.
    attack : str, optional
        The last of the study's by default.
    title : str, optional
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    name = _network(study, network)
    kinds = [_attack(study, attack), *study.settings.certificates]
    lines = [(_word(kind, study), study.curves[name][kind], k > 0, k) for k, kind in enumerate(kinds)]
    return _curves(study, lines, title or name, width, height)


def networks(*, study, networks=None, attack=None, certificate=None, title=None, width=3.4, height=2.4):
    """Draw several networks: accuracy under an attack in solid lines, certified accuracy in dashed ones.

    Parameters
    ----------
    study : dynet.implicit.study.Result
    networks : list of str, optional
        All by default.
    attack : str, optional
        The last of the study's by default.
    certificate : str, optional
        The first of the study's by default.
    title : str, optional
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    attack = _attack(study, attack)
    certificate = certificate or next(iter(study.settings.certificates), None)
    lines = []
    for k, name in enumerate(networks or study.networks):
        curves = study.curves[_network(study, name)]
        lines.append((name, curves[attack], False, k))
        if certificate is not None:
            lines.append((f"{name}, proven", curves[certificate], True, k))
    return _curves(study, lines, title or f"{attack} (solid) and proven (dashed)", width, height)


def trade_off(*, study, networks=None, attack=None, eps=None, title=None, width=3.4, height=2.4):
    """Draw what robustness costs: accuracy under an attack against accuracy on clean images, a point for each network.

    Parameters
    ----------
    study : dynet.implicit.study.Result
    networks : list of str, optional
        Joined by a line in this order; all by default.
    attack : str, optional
        The last of the study's by default.
    eps : float, optional
        One of the study's; its middle one by default.
    title : str, optional
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    attack, sizes = _attack(study, attack), study.settings.eps
    eps = sizes[len(sizes) // 2] if eps is None else eps
    if eps not in sizes:
        raise ArgumentError("eps", eps, f"one of the study's: {', '.join(f'{size:g}' for size in sizes)}")
    names = [_network(study, name) for name in networks or study.networks]
    x = [100 * study.numbers[f"{name}.accuracy"] for name in names]
    y = [100 * study.curves[name][attack][sizes.index(eps)] for name in names]
    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        axes.plot(x, y, color=canvas.FAINT, linewidth=0.8, zorder=1)
        colors = [canvas.COLORS[k % len(canvas.COLORS)] for k in range(len(names))]
        axes.scatter(x, y, s=16, color=colors, zorder=2)
        axes.set_xlabel("clean images right (%)")
        axes.set_ylabel(f"right under {attack}, ε = {eps:g} (%)")
        axes.margins(0.12)
        canvas.label_ends(figure, axes, y, [_label(study, name) for name in names], colors)
        return figure


def sparsity(*, study, networks=None, title=None, width=3.4, height=2.4):
    """Draw accuracy on clean images against the fraction of the couplings that pruning kept.

    Parameters
    ----------
    study : dynet.implicit.study.Result
    networks : list of str, optional
        All that were pruned by default.
    title : str, optional
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [name for name in networks or study.kept if _network(study, name) in study.kept]
    if not names:
        raise ArgumentError("study", study, "a study that pruned networks: give it fractions as kept")
    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        order, ends = np.argsort(study.settings.kept), []
        fractions = 100 * np.array(study.settings.kept)[order]
        for k, name in enumerate(names):
            values = 100 * study.kept[name][order]
            axes.plot(
                fractions, values, "o-", markersize=2.5, linewidth=1.0, color=canvas.COLORS[k % len(canvas.COLORS)]
            )
            ends.append(values[-1])
        axes.set_xscale("log")
        axes.set_xticks(fractions, [f"{value:g}" for value in fractions], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel("couplings kept (%)")
        axes.set_ylabel("clean images right (%)")
        colors = [canvas.COLORS[k % len(canvas.COLORS)] for k in range(len(names))]
        canvas.label_ends(figure, axes, ends, names, colors)
        return figure


def _curves(study, lines, title, width, height):
    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        eps = np.array(study.settings.eps)
        order, ends, colors = np.argsort(eps), [], []
        for _, values, proven, rank in lines:
            color = canvas.COLORS[rank % len(canvas.COLORS)]
            style = "--" if proven else "-"
            axes.plot(eps[order], 100 * values[order], style, color=color, linewidth=1.0, marker="o", markersize=2)
            ends.append(100 * values[order][-1])
            colors.append(color)
        axes.set_xlim(0.0, eps.max() or 1.0)
        axes.set_ylim(-2.0, 102.0)
        axes.set_xlabel("disturbance ε of each pixel (of the range)")
        axes.set_ylabel("images right (%)")
        canvas.label_ends(figure, axes, ends, [text for text, *_ in lines], colors)
        return figure


def _word(kind, study):
    return f"{kind}, proven" if kind in study.settings.certificates else kind


def _label(study, name):
    penalty = study.options[name].get("penalty", 0.0)
    return f"{name}, λ = {penalty:g}" if penalty else name


def _network(study, name):
    if name is None:
        return next(iter(study.networks))
    if name not in study.networks:
        raise ArgumentError("network", name, "the name of a network", choices=study.networks)
    return name


def _attack(study, name):
    known = study.settings.attacks
    if not known or (name is not None and name not in known):
        raise ArgumentError("attack", name, "an attack of the study", choices=known)
    return known[-1] if name is None else name
