"""The table of methods: a name, what it needs, and the module that runs it.

A runner is a function ``run(task) -> Solution`` in a module of the engine, which is imported when the method is first used.
A new family of methods is a module with such a function, and its lines here.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

import numpy as np

__all__ = ["METHODS", "Method", "Solution", "Task", "run", "stiff_method"]


class Method(NamedTuple):
    """A line of the table.

    Attributes
    ----------
    name : str
    kind : str
        ``"explicit"``, ``"stiff"``, ``"exponential"`` or ``"stochastic"``.
    order : int
    adaptive, fixed : bool
        Whether it can choose its steps from rtol and atol; whether it can take steps of a given dt.
    module : str
        Of the engine; holds the runner.
    """

    name: str
    kind: str
    order: int
    adaptive: bool
    fixed: bool
    module: str


class Task(NamedTuple):
    """What a runner gets: checked arguments, nothing to guess.

    Attributes
    ----------
    model : object
        What was given to ``simulate``; ``model.block(signal)`` is the compiled right-hand side.
    signal : object
        Its input.
    method : str
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    t0, t1 : float
    save : ndarray, shape (k,) or (batch, k)
    rtol, atol : float
    dt : float or None
    max_steps, threads : int
    monitor : ndarray, shape (2,)
        The runner writes the fraction done into ``monitor[0]`` and stops when ``monitor[1]`` is not zero.
    options : dict
        What only some methods know.
    precision : str
        ``"float64"`` or ``"float32"``.
    """

    model: object
    signal: object
    method: str
    y0: np.ndarray
    p: np.ndarray
    t0: float
    t1: float
    save: np.ndarray
    rtol: float
    atol: float
    dt: float | None
    max_steps: int
    threads: int
    monitor: np.ndarray
    options: dict
    precision: str = "float64"


class Solution(NamedTuple):
    """What a runner returns, one row per trajectory.

    Attributes
    ----------
    x : ndarray, shape (batch, k, n)
        States at the save times; NaN after `t_stop`.
    status : ndarray of int8, shape (batch,)
    t_stop : ndarray, shape (batch,)
        The time that was reached.
    accepted, rejected : ndarray of int64, shape (batch,)
        Steps.
    summary : ndarray, shape (batch, 4, quantities), or None
        Last, least, greatest value and integral of every quantity over the save times.
    probes : ndarray of int64, shape (batch, 2), or None
        How often the steps were probed for stiffness, and how often it was found.
    steps : tuple or None
        The noted steps, by trajectory: its number; start, step, end of what was used; polynomial coefficients.
    hits : tuple or None
        The events, by trajectory: its number and the event's; time; state.
    counts : ndarray of int64, shape (batch, events), or None
    executor : str
        What ran it.
    jacobian : str or None
        How an implicit method came by its Jacobians.
    jacobians : ndarray of int64, shape (batch,), or None
        How many it needed.
    """

    x: np.ndarray
    status: np.ndarray
    t_stop: np.ndarray
    accepted: np.ndarray
    rejected: np.ndarray
    summary: np.ndarray | None = None
    probes: np.ndarray | None = None
    steps: tuple | None = None
    hits: tuple | None = None
    counts: np.ndarray | None = None
    executor: str = "block"
    jacobian: str | None = None
    jacobians: np.ndarray | None = None


METHODS = {
    method.name: method
    for method in (
        Method("dopri5", "explicit", 5, adaptive=True, fixed=True, module="explicit"),
        Method("tsit5", "explicit", 5, adaptive=True, fixed=True, module="explicit"),
        Method("vern7", "explicit", 7, adaptive=True, fixed=True, module="explicit"),
        Method("dop853", "explicit", 8, adaptive=True, fixed=True, module="explicit"),
        Method("bs32", "explicit", 3, adaptive=True, fixed=True, module="explicit"),
        Method("heun", "explicit", 2, adaptive=True, fixed=True, module="explicit"),
        Method("rk4", "explicit", 4, adaptive=False, fixed=True, module="explicit"),
        Method("euler", "explicit", 1, adaptive=False, fixed=True, module="explicit"),
        Method("rodas5p", "stiff", 5, adaptive=True, fixed=False, module="rosenbrock"),
        Method("bdf", "stiff", 5, adaptive=True, fixed=False, module="bdf"),
        Method("bdf_krylov", "stiff", 5, adaptive=True, fixed=False, module="bdf"),
        Method("implicit_euler", "stiff", 1, adaptive=False, fixed=True, module="implicit_euler"),
    )
}


def stiff_method(n):
    """The method to which a stiff trajectory of `n` states is given.

    >>> stiff_method(3), stiff_method(1000)
    ('rodas5p', 'bdf')
    """
    return "rodas5p" if n <= 48 else "bdf"


def run(task):
    """Let the method of a :class:`Task` run it."""
    name = METHODS[task.method].module if task.precision == "float64" else "single"
    module = importlib.import_module(f"{__package__}.{name}")
    return module.run(task)
