r"""Rosenbrock methods: stiff systems of few states, many trajectories at once.

A step of size h from (t, y) solves s linear systems with one matrix, :math:`W = I/\gamma - h J`, J the Jacobian:

.. math::
   W k_i = f(t + c_i h,\ y + h \sum_{j<i} a_{ij} k_j) + \sum_{j<i} C_{ij} k_j + h d_i f_t, \qquad
   y_1 = y + h \sum_i m_i k_i,

so there is no Newton iteration that could fail. The method below is of order 5, L-stable, and stiffly accurate; its error
estimate is its last stage, and its dense output is of order 4.

The dense output has that order only where the step resolves the fast rates: on a slow manifold, with steps far longer than
the fast rates, it could be hundreds of tolerances worse than the ends of the steps. So where a run asks for states between
the ends of its steps (save times, dense output, events), a step must pass a second test: at its middle, the defect
:math:`r = \dot p - f(t, p)` of the dense output p tells its error,

.. math::  p - y \approx h W^{-1} r, \qquad W = I/\gamma - h J,

which is :math:`-J^{-1} r` in the fast directions and of the order of h r in the slow ones. It costs one evaluation and one
solution with the matrix that is there already. (Steinebach's Rodas5Pr, below, bounds r itself.)

The arithmetic of a step is generated for n states and reaches the driver of the explicit methods through a pointer, as
theirs does: the queue, the lanes with a step and a status of their own, the save times and the threads are that driver's.
The Jacobian is made of differences by the compiled right-hand side itself: for a single trajectory all perturbed states
are the lanes of one call. The elimination is without pivots, as is usual for these methods (Sandu and others, below): a
small pivot spoils the estimate, the step is rejected, and a smaller step has a matrix with a larger diagonal.

References
----------
Steinebach, Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia Differential
Equations package, BIT Numerical Mathematics 63, 2023 (coefficients, dense output).
Steinebach, Rosenbrock methods within OrdinaryDiffEq.jl, Proceedings of the JuliaCon Conferences 2024 (Rodas5Pr).
Hairer, Wanner, Solving Ordinary Differential Equations II, second edition, 1996, section IV.7.
Sandu and others, Benchmarking stiff ODE solvers for atmospheric chemistry problems II, Atmos. Environ. 31, 1997.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from . import codegen, explicit
from .rosenbrock_source import attempt_source

__all__ = ["RODAS5P", "Rosenbrock", "integrate", "run"]


@dataclass(frozen=True, eq=False)
class Rosenbrock:
    """A method as data, in the variables k of the module's equations.

    Attributes
    ----------
    name : str
    order : int
    gamma : float
    a, C : tuple of tuple
        Strictly lower triangular; row i holds i coefficients.
    m : tuple
        Weights of the new state; the last is the weight of the last stage, whose increment is the error estimate.
    c, d : tuple
        Where each stage lies, and the weight of the time derivative in it.
    bends : tuple of tuple
        The dense output is ``y0 + h sum_i k_i theta (m_i + (1 - theta) (b_1i + theta b_2i + theta^2 b_3i + ...))``.
    """

    name: str
    order: int
    gamma: float
    a: tuple
    C: tuple
    m: tuple
    c: tuple
    d: tuple
    bends: tuple

    def polynomials(self):
        """Coefficients of theta, theta^2, ... of the weight of each k in the dense output, shape (s, degree)."""
        bends = np.array(self.bends)
        table = np.zeros((len(self.m), len(bends) + 1))
        table[:, 0] = self.m
        table[:, :-1] += bends.T
        table[:, 1:] -= bends.T
        return table


RODAS5P = Rosenbrock(
    name="rodas5p",
    order=5,
    gamma=0.21193756319429014,
    a=(
        (),
        (3.0,),
        (2.849394379747939, 0.45842242204463923),
        (-6.954028509809101, 2.489845061869568, -10.358996098473584),
        (2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641),
        (-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946),
        (-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946, 1.0),
        (-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946, 1.0, 1.0),
    ),
    C=(
        (),
        (-14.155112264123755,),
        (-17.97296035885952, -2.859693295451294),
        (147.12150275711716, -1.41221402718213, 71.68940251302358),
        (165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306),
        (24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471),
        (30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623,
         -28.087943162872662),
        (37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
         -54.66780262877968, -9.48861652309627),
    ),
    m=(-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946, 1.0, 1.0, 1.0),
    c=(0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0),
    d=(0.21193756319429014, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734, 2.325825639765069, 0.0, 0.0, 0.0),
    bends=(
        (25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204, 0.524948541321073,
         1.1241088310450404, 0.4272876194431874, -0.17202221070155493),
        (-9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796, 20.176138334709044,
         15.98066361424651, -6.789040303419874, -6.710236069923372),
        (11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643, -52.072871366152654,
         -59.78993625266729, -0.15582684282751913, 4.883087185713722),
    ),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Sized:
    """A method for n states, in the form in which the driver of the explicit methods takes its methods."""

    method: Rosenbrock
    n: int
    between: bool  # whether the dense output must keep the tolerance, too

    @property
    def name(self):
        return self.method.name

    @property
    def order(self):
        return self.method.order

    @property
    def stages(self):
        """The derivative at the start, the k of the method, the derivative at the end."""
        return len(self.method.m) + 2

    @property
    def error(self):
        return self.method.m  # it has an estimate: its steps adapt

    def dense(self):
        inner = self.method.polynomials()
        return np.pad(inner, ((1, 1), (0, 0)))

    def attempt(self, single):
        return _attempt(self, single)


_sized = functools.cache(_Sized)


@functools.cache
def _attempt(sized, single):
    source = attempt_source(sized.method, sized.n, single, sized.between)
    return codegen.module(source, tag=f"{sized.name}_{'single' if single else 'lanes'}").attempt


def integrate(block, y0, p, t0, t1, save, method=RODAS5P, **options):
    """Integrate every row of `y0` from `t0` to `t1` by a Rosenbrock method.

    Parameters
    ----------
    block : BlockRHS
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    t0, t1 : float
        Different.
    save : ndarray, shape (k,)
    method : Rosenbrock
    options
        As in :func:`dynet.engine.explicit.integrate`.

    Returns
    -------
    Solution
    """
    n, npar, inner = block.n, p.shape[1], block.work_rows
    # the step finds `inner` from the number of rows: see the head of its source
    wider = block._replace(work_rows=(3 * n + npar + 4) * n + npar + 2 + inner * (n + 2))
    lanes = options.pop("lanes", None) or min(len(y0), max(8, min(64, 4000 // n**2)))
    between = bool(options.get("dense") or options.get("events") or np.any((save != t0) & (save != t1)))
    solution = explicit.integrate(wider, y0, p, t0, t1, save, _sized(method, n, between), lanes=lanes, **options)
    return solution._replace(jacobian=f"differences, {n + 1 if len(y0) == 1 else 1} at once")


def run(task):
    """The runner of the table of methods."""
    options = {k: v for k, v in task.options.items() if k not in ("scalars", "executor")}
    return integrate(
        task.model.block(task.signal), task.y0, task.p, task.t0, task.t1, task.save, rtol=task.rtol, atol=task.atol,
        max_steps=task.max_steps, threads=task.threads, monitor=task.monitor, **options,
    )  # fmt: skip
