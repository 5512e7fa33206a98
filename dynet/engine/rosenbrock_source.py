r"""From a Rosenbrock method to the source of one attempted step, in the signature of :mod:`dynet.engine.stages`.

The step finds its scratch in the first rows of ``work``: for L lanes and m rows that the right-hand side needs, the rows
are those m, then the matrix W, the time derivative, and (a single lane only) the perturbed states with all that the
right-hand side needs for them. How many rows there are tells m; see :func:`dynet.engine.rosenbrock.integrate`.

Three forms do the same operations in the same order, so that the bits are the same: loops over lanes, loops over states
for a single lane, and for a single lane of few states no loops at all.
"""

from __future__ import annotations

import numpy as np

__all__ = ["ELIMINATION_LANES", "UNROLLED", "attempt_source"]

UNROLLED = 8  # states: up to here every number of a single lane's step has a name of its own

_HEAD = """
import numpy as np
from numba import cfunc, njit
from dynet.engine.block import bare, flat, window
from dynet.engine.stages import ATTEMPT

EXACT = {{"nsz"}}  # a product and a sum contracted here and not there would differ between the forms
SHORT, WILD = 5e-15, 1e8

{elimination}
@cfunc(ATTEMPT, cache=True, fastmath=EXACT, error_model="numpy")
def attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol):
    {states}
    lanes, npar, wide = y.shape[1], p.shape[0], N + 1
    inner = (work.shape[0] - (3 * N + npar + 4) * N - npar - 2) // (N + 2)
    rest = inner * lanes
    work = bare(work)
    floor = min(atol, 1e-6)  # a change of a state that cannot matter, in case it is zero
"""

_ELIMINATION_SINGLE = """
@njit(fastmath=EXACT, error_model="numpy")
def eliminate(W, N):
    for k in range(N):
        r = 1.0 / W[k * N + k]
        W[k * N + k] = r
        for i in range(k + 1, N):
            a = W[i * N + k] * r
            W[i * N + k] = a
            for j in range(k + 1, N):
                W[i * N + j] -= a * W[k * N + j]

@njit(fastmath=EXACT, error_model="numpy")
def solve(W, b):
    N = b.shape[0]
    for j in range(N):
        for i in range(j + 1, N):
            b[i] -= W[i * N + j] * b[j]
    for j in range(N - 1, -1, -1):
        b[j] *= W[j * N + j]
        for i in range(j):
            b[i] -= W[i * N + j] * b[j]
"""

ELIMINATION_LANES = """
@njit(fastmath=EXACT, error_model="numpy")
def eliminate(W, N):
    lanes = W.shape[1]
    for k in range(N):
        r = W[k * N + k]
        for q in range(lanes):
            r[q] = 1.0 / r[q]
        for i in range(k + 1, N):
            a = W[i * N + k]
            for q in range(lanes):
                a[q] *= r[q]
            for j in range(k + 1, N):
                w, u = W[i * N + j], W[k * N + j]
                for q in range(lanes):
                    w[q] -= a[q] * u[q]

@njit(fastmath=EXACT, error_model="numpy")
def solve(W, b):
    N, lanes = b.shape
    for j in range(N):
        x = b[j]
        for i in range(j + 1, N):
            y, w = b[i], W[i * N + j]
            for q in range(lanes):
                y[q] -= w[q] * x[q]
    for j in range(N - 1, -1, -1):
        x, w = b[j], W[j * N + j]
        for q in range(lanes):
            x[q] *= w[q]
        for i in range(j):
            y, w = b[i], W[i * N + j]
            for q in range(lanes):
                y[q] -= w[q] * x[q]
"""

# A step at the rounding limit of t is accepted with any error, to pass a jump of the right-hand side. An explosion would
# take this method to the other side of its pole: there the state changes beyond all bounds in so short a step.

# The lanes of one call are the states with one component changed, and the state itself at a later time.
_JACOBIAN_SINGLE = """
    W, ft = flat(window(work, rest, N, N)), flat(window(work, rest + N * N, N, 1))
    rest += N * N + N
    states, values = window(work, rest, N, wide), window(work, rest + N * wide, N, wide)
    rest += 2 * N * wide
    times = flat(window(work, rest, 1, wide))
    scratch, parameters = window(work, rest + wide, inner, wide), window(work, rest + wide + inner * wide, npar, wide)
    filled = flat(window(work, rest + wide + (inner + npar) * wide, 1, 1))
    if filled[0] == 0.0:  # one trajectory, whose parameters stay
        filled[0] = 1.0
        for i in range(npar):
            for j in range(wide):
                parameters[i, j] = p[i, 0]
    y_, slope, step = flat(y), flat(slopes[0]), h[0]
    for j in range(wide):
        times[j] = t[0]
    later = t[0] + np.sqrt(abs(step) * (1e-14 * abs(step) + 2.2e-16 * abs(t[0])))
    times[N] = later
    for i in range(N):
        for j in range(wide):
            states[i, j] = y_[i]
        s = abs(y_[i])
        g = abs(step * slope[i])
        states[i, i] = y_[i] + max(1.5e-8 * max(s, g), floor)
    rhs(times, states, parameters, reals, ints, scratch, values)
    shift = step / (later - t[0]) if later > t[0] else 0.0
"""

_MATRIX_SINGLE = """
    for i in range(N):
        ft[i] = (values[i, N] - slope[i]) * shift
        for j in range(N):
            W[i * N + j] = (slope[i] - values[i, j]) * (step / (states[j, j] - y_[j]))
    for i in range(N):
        W[i * N + i] += {inverse!r}
    eliminate(W, N)
"""

_JACOBIAN_LANES = """
    W, ft = window(work, rest, N * N, lanes), window(work, rest + N * N * lanes, N, lanes)
    value = window(work, rest + (N * N + N) * lanes, N, lanes)
    f0 = slopes[0]
    for i in range(N):
        for q in range(lanes):
            z[i, q] = y[i, q]
    for j in range(N):
        for q in range(lanes):
            s = abs(y[j, q])
            g = abs(h[q] * f0[j, q])
            z[j, q] = y[j, q] + max(1.5e-8 * max(s, g), floor)
        rhs(t, z, p, reals, ints, work, value)
        for i in range(N):
            for q in range(lanes):
                W[i * N + j, q] = (f0[i, q] - value[i, q]) * (h[q] / (z[j, q] - y[j, q]))
        for q in range(lanes):
            z[j, q] = y[j, q]
    for q in range(lanes):
        at[q] = t[q] + np.sqrt(abs(h[q]) * (1e-14 * abs(h[q]) + 2.2e-16 * abs(t[q])))
    rhs(at, y, p, reals, ints, work, ft)
    for i in range(N):
        for q in range(lanes):
            ft[i, q] = (ft[i, q] - f0[i, q]) * (h[q] / (at[q] - t[q])) if at[q] > t[q] else 0.0
    for i in range(N):
        for q in range(lanes):
            W[i * N + i, q] += {inverse!r}
    eliminate(W, N)
"""

_STAGE = """
    # stage {s}
    for i in range({rows}):
        z_, y_, {names} = {z}, {y}, {views}
        for q in range({columns}):
            z_[q] = {base}_[q] + {step} * ({sum})
    for q in range(lanes):
        at[q] = t[q] + {c!r} * h[q]
    rhs(at, z, p, reals, ints, work, slopes[{s}])
"""

_SOLVE = """
    for i in range({rows}):
        k_, t_, {names} = {k}, {ft}, {views}
        for q in range({columns}):
            k_[q] = {from_}[q] + {d!r} * t_[q]{sum}
    solve(W, {whole})
"""

# The defect of the dense output at the middle of the step, and from it its error there, in `ft`; the state and the slope
# there lie in the rows before, which the Jacobian needs no longer.
_BETWEEN = """
    # between
    inside, slope_ = {inside}, slopes[{last}]
    for i in range({rows}):
        i_, y_, {names} = {middle}, {y}, {views}
        for q in range({columns}):
            i_[q] = y_[q] + {step} * ({sum})
    for q in range(lanes):
        at[q] = t[q] + 0.5 * h[q]
    rhs(at, inside, p, reals, ints, work, slope_)
    for i in range({rows}):
        t_, s_, {names} = {ft}, {slope}, {views}
        for q in range({columns}):
            t_[q] = ({rate}) - s_[q]
    solve(W, ft)
    for q in range(lanes):
        at[q] = 0.0
    for i in range({rows}):
        t_, y_ = {ft}, {y}
        for q in range({columns}):
            d = {step} * t_[q] / (atol + rtol * abs(y_[q]))
            at[{lane}] += d * d
    for q in range(lanes):
        a, b = error[q], at[q]
        error[q] = a if (a >= b) | (b != b) else b
"""

_END = """
    for q in range(lanes):
        error[q] = 0.0
    for i in range({rows}):
        z_, y_, k_ = {z}, {y}, {k}
        for q in range({columns}):
            d = {step} * k_[q]
            b = z_[q] + d
            z_[q] = b
            a, b = abs(y_[q]), abs(b)
            d = d / (atol + rtol * max(a, b)) + 0.0 * b
            error[{lane}] += d * d
    for q in range(lanes):
        a, b = abs(h[q]), error[q]
        error[q] = np.inf if (a <= SHORT * abs(t[q])) & (b > WILD * N) else b
    for q in range(lanes):
        at[q] = t[q] + h[q]
    rhs(at, z, p, reals, ints, work, slopes[{last}])
"""


def attempt_source(method, n, single, between=False):
    """Source of the module of a method, in the form for a `single` lane or for several.

    With `between` the dense output is held to the tolerance, too.

    For a single lane and few states it is unrolled; otherwise it is the same text for all `n`.

    >>> from .rosenbrock import RODAS5P
    >>> attempt_source(RODAS5P, 40, single=True) == attempt_source(RODAS5P, 50, single=True)
    True
    """
    assert method.m[:-1] == method.a[-1] and method.m[-1] == 1.0, "the last stage is the error estimate"
    unrolled = single and n <= UNROLLED
    states = f"N = {n}" if unrolled else "N = y.shape[0]"
    source = _HEAD.format(states=states, elimination=_ELIMINATION_SINGLE if single else ELIMINATION_LANES)
    source += _JACOBIAN_SINGLE if single else _JACOBIAN_LANES.format(inverse=1.0 / method.gamma)
    if unrolled:
        return source + _unrolled(method, n, between)
    if single:
        source += _MATRIX_SINGLE.format(inverse=1.0 / method.gamma)
    count = len(method.m)
    for s in range(1, count + 1):
        links = method.C[s - 1]
        if s > 1:
            base, used = _state(method, s)
            source += _STAGE.format(s=s, c=method.c[s - 1], base=base, **_words(used, single))
        words = _words(list(enumerate(links, 1)), single)
        words["sum"] = f" + {words['sum']}" if links else ""
        words |= {"from_": "k_" if s > 1 else "o_"}
        if s == 1:
            words |= {"names": "o_,", "views": ("flat(slopes[0])" if single else "slopes[0, i]") + ","}
        k = f"flat(slopes[{s}])" if single else f"slopes[{s}, i]"
        whole = k if single else f"slopes[{s}]"
        source += _SOLVE.format(k=k, d=method.d[s - 1], ft="ft" if single else "ft[i]", whole=whole, **words)
    k = f"flat(slopes[{count}])" if single else f"slopes[{count}, i]"
    end = _END.format(k=k, last=count + 1, **_words([], single))
    if not between:
        return source + end
    error, last = end.split(_LAST)
    values, rates = _middle(method)
    words = _words(list(enumerate(values, 1)), single)
    words["rate"] = " + ".join(f"{w!r} * k{j}[q]" for j, w in enumerate(rates, 1) if w)
    room = "window(values, 0, N, 1)" if single else "value"
    row = (
        {"middle": "flat(inside)", "slope": "flat(slope_)"} if single else {"middle": "inside[i]", "slope": "slope_[i]"}
    )
    return (
        source
        + error
        + _BETWEEN.format(inside=room, last=count + 1, ft="ft" if single else "ft[i]", **row, **words)
        + _LAST
        + last
    )


_LAST = "    for q in range(lanes):\n        at[q] = t[q] + h[q]\n"


def _middle(method):
    """Weights of the k in the dense output at the middle of a step, and in its derivative there."""
    table = method.polynomials()
    powers = 0.5 ** np.arange(1, table.shape[1] + 1)
    rates = np.arange(1, table.shape[1] + 1) * 2 * powers
    return (table @ powers).tolist(), (table @ rates).tolist()


def _state(method, s):
    """From what the state of stage s is made: ``"y"`` or the state ``"z"`` of the stage before, and weights of the k."""
    weights = method.a[s - 1]
    if s > 2 and weights[:-1] == method.a[s - 2] and weights[-1] == 1.0:
        return "z", [(s - 1, 1.0)]
    return "y", list(enumerate(weights, 1))


def _unrolled(method, n, between):
    """The step after the evaluation of the Jacobian, for a single lane and few states: every number has a name.

    The arithmetic is that of the loops, term by term, so that the bits are the same. But a compiler cannot know that the
    arrays of the loops do not overlap, and reloads each number after each store.
    """
    lines, rows = [], range(n)
    add = lines.append
    for j in rows:
        add(f"y{j}, f{j} = y_[{j}], slope[{j}]")
        add(f"r{j} = step / (states[{j}, {j}] - y{j})")
    for i in rows:
        add(f"t{i} = (values[{i}, N] - f{i}) * shift")
        for j in rows:
            diagonal = f" + {1.0 / method.gamma!r}" if i == j else ""
            add(f"w{i}_{j} = (f{i} - values[{i}, {j}]) * r{j}{diagonal}")
    for k in rows:
        add(f"w{k}_{k} = 1.0 / w{k}_{k}")
        for i in range(k + 1, n):
            add(f"w{i}_{k} *= w{k}_{k}")
            lines.extend(f"w{i}_{j} -= w{i}_{k} * w{k}_{j}" for j in range(k + 1, n))
    add("z_ = flat(z)")
    for s in range(1, len(method.m) + 1):
        add(f"k_ = flat(slopes[{s}])")
        if s > 1:
            base, used = _state(method, s)
            for i in rows:
                total = " + ".join(f"{w!r} * k{j}_{i}" for j, w in used)
                add(f"z{i} = {base}{i} + step * ({total})")
            lines.extend(f"z_[{i}] = z{i}" for i in rows)
            add(f"at[0] = t[0] + {method.c[s - 1]!r} * step")
            add(f"rhs(at, z, p, reals, ints, work, slopes[{s}])")
        for i in rows:
            total = "".join(f" + {w!r} * k{j}_{i}" for j, w in enumerate(method.C[s - 1], 1) if w)
            add(f"k{s}_{i} = {f'k_[{i}]' if s > 1 else f'f{i}'} + {method.d[s - 1]!r} * t{i}{total}")
        for j in rows:
            lines.extend(f"k{s}_{i} -= w{i}_{j} * k{s}_{j}" for i in range(j + 1, n))
        for j in reversed(rows):
            add(f"k{s}_{j} *= w{j}_{j}")
            lines.extend(f"k{s}_{i} -= w{i}_{j} * k{s}_{j}" for i in range(j))
        lines.extend(f"k_[{i}] = k{s}_{i}" for i in rows)
    add("e = 0.0")
    for i in rows:
        add(f"d = step * k{len(method.m)}_{i}")
        add(f"b = z{i} + d")
        add(f"z_[{i}] = b")
        add("q = abs(b)")
        add(f"d = d / (atol + rtol * max(abs(y{i}), q)) + 0.0 * b")
        add("e += d * d")
    add("error[0] = np.inf if (abs(step) <= SHORT * abs(t[0])) & (e > WILD * N) else e")
    last = f"slopes[{len(method.m) + 1}]"
    if between:
        values, rates = _middle(method)
        lines.extend(f"z{i} = z_[{i}]" for i in rows)
        for i in rows:
            total = " + ".join(f"{w!r} * k{j}_{i}" for j, w in enumerate(values, 1) if w)
            add(f"z_[{i}] = y{i} + step * ({total})")
        add("at[0] = t[0] + 0.5 * step")
        add(f"rhs(at, z, p, reals, ints, work, {last})")
        add(f"s_ = flat({last})")
        for i in rows:
            total = " + ".join(f"{w!r} * k{j}_{i}" for j, w in enumerate(rates, 1) if w)
            add(f"u{i} = ({total}) - s_[{i}]")
            add(f"z_[{i}] = z{i}")
        for j in rows:
            lines.extend(f"u{i} -= w{i}_{j} * u{j}" for i in range(j + 1, n))
        for j in reversed(rows):
            add(f"u{j} *= w{j}_{j}")
            lines.extend(f"u{i} -= w{i}_{j} * u{j}" for i in range(j))
        add("e = 0.0")
        for i in rows:
            lines += [f"d = step * u{i} / (atol + rtol * abs(y{i}))", "e += d * d"]
        add("error[0] = error[0] if (error[0] >= e) | (e != e) else e")
    add("at[0] = t[0] + step")
    add(f"rhs(at, z, p, reals, ints, work, {last})")
    return "".join(f"    {line}\n" for line in lines)


def _words(used, single):
    """The words that one pass over the block needs: its extents, its views, and the weighted sum of stages."""
    used = [(j, w) for j, w in used if w]
    words = {"names": ", ".join(f"k{j}" for j, _ in used), "sum": " + ".join(f"{w!r} * k{j}[q]" for j, w in used)}
    if single:
        words |= {"rows": "1", "columns": "N", "lane": "0", "step": "step", "y": "flat(y)", "z": "flat(z)"}
        return words | {"views": ", ".join(f"flat(slopes[{j}])" for j, _ in used)}
    words |= {"rows": "N", "columns": "lanes", "lane": "q", "step": "h[q]", "y": "y[i]", "z": "z[i]"}
    return words | {"views": ", ".join(f"slopes[{j}, i]" for j, _ in used)}
