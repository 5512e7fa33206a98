"""Naive twins of the explicit methods: one trajectory, plain Python loops. Nothing here imports dynet.

The coefficients are written down a second time, in the form in which the books print them: the dense output of the
Dormand-Prince method in nested form with its coefficients d (Hairer, Norsett, Wanner, Solving Ordinary Differential
Equations I, 1993, section II.6), not as the polynomials that the engine uses.
"""

import numpy as np

A = [
    [],
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
]
C = [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]
E = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]
D = [
    -12715105075 / 11282082432,
    0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
]


def rk4(f, y, t0, t1, save, dt):
    """The classical method with a fixed step, a short last step, and the cubic Hermite polynomial between steps."""
    y, t, count, out = np.array(y, dtype=float), t0, 0, []
    save = list(save)
    while save and save[0] <= t0:
        out.append(y.copy())
        save.pop(0)
    while t < t1:
        end = t0 + (count + 1) * dt
        h = dt
        if end >= t1 - 1e-9 * dt:
            end, h = t1, t1 - t
        k1 = f(t, y)
        k2 = f(t + h / 2, y + h / 2 * k1)
        k3 = f(t + h / 2, y + h / 2 * k2)
        k4 = f(t + h, y + h * k3)
        z = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        k5 = f(end, z)
        while save and save[0] <= end:
            s = (save.pop(0) - t) / h
            out.append(
                (1 + 2 * s) * (1 - s) ** 2 * y
                + s * (1 - s) ** 2 * h * k1
                + s**2 * (3 - 2 * s) * z
                + s**2 * (s - 1) * h * k5
            )
        y, t, count = z, end, count + 1
    return np.array(out), count


def dopri5(f, y, t0, t1, save, rtol, atol, log2, exp2, max_steps=100_000):
    """Dormand-Prince 5(4); `log2` and `exp2` are as rough as the engine's.

    Returns the states at the save times, and the numbers of accepted and rejected steps.
    """

    def step(t, y, h, end, k):
        for s in range(1, 7):
            z = y.copy()
            for j in range(s):
                z = z + h * A[s][j] * k[j]
            k[s] = f(t + C[s] * h, z)
        estimate = np.zeros(len(y))
        for s in range(7):
            estimate = estimate + h * E[s] * k[s]
        error = 0.0
        for i in range(len(y)):
            error += (estimate[i] / (atol + rtol * max(abs(y[i]), abs(z[i])))) ** 2 / len(y)

        def between(s):
            difference = z - y
            bend = h * k[0] - difference
            rest = h * sum(D[j] * k[j] for j in range(7))
            return y + s * (difference + (1 - s) * (bend + s * (difference - h * k[6] - bend + (1 - s) * rest)))

        return z, error, between

    return _controlled(f, step, 7, 5, y, t0, t1, save, rtol, atol, log2, exp2, max_steps)


def adaptive(tableau, f, y, t0, t1, save, rtol, atol, log2, exp2, max_steps=100_000):
    """Any method with an error estimate, from its coefficients; the dense output in nested form where it is Hermite's."""
    a = [[float(v) for v in row] for row in (*tableau.a, *tableau.extra)]
    size = tableau.stages
    nodes = [float(v) for v in tableau.c] + [sum(row) for row in a[size:]]

    def step(t, y, h, end, k):
        states = [y]
        for s in range(1, len(a)):
            states.append(y + h * sum(w * v for w, v in zip(a[s], k, strict=False)))
            k[s] = f(t + nodes[s] * h, states[s])
        z = states[size - 1]
        scale = atol + rtol * np.maximum(np.abs(y), np.abs(z))
        high, low = (
            None if w is None else np.sum((h * sum(float(v) * q for v, q in zip(w, k, strict=False)) / scale) ** 2)
            for w in (tableau.error, tableau.low)
        )
        error = (high if low is None or high == 0 else high**2 / (high + 0.01 * low)) / len(y)

        def between(s):
            if tableau.polynomials is None:
                slopes = s * (1 - s) ** 2 * h * k[0] + s**2 * (s - 1) * h * k[size - 1]
                return (1 + 2 * s) * (1 - s) ** 2 * y + s**2 * (3 - 2 * s) * z + slopes
            return y + h * sum(
                sum(float(w) * s ** (power + 1) for power, w in enumerate(row)) * v
                for row, v in zip(tableau.polynomials, k, strict=True)
            )

        return z, error, between

    return _controlled(f, step, len(a), tableau.order, y, t0, t1, save, rtol, atol, log2, exp2, max_steps, size - 1)


def _controlled(f, step, size, order, y, t0, t1, save, rtol, atol, log2, exp2, max_steps, last=-1):
    y, t, out = np.array(y, dtype=float), t0, []
    save, way = list(save), np.sign(t1 - t0)
    while save and way * save[0] <= way * t0:
        out.append(y.copy())
        save.pop(0)
    k = [f(t, y)] + [None] * (size - 1)
    scale = atol + rtol * np.abs(y)
    extent, speed = np.sum((y / scale) ** 2), np.sum((k[0] / scale) ** 2)
    h = 0.01 * np.sqrt(extent / speed) if extent > 1e-10 and speed > 1e-10 else 1e-6
    h = way * min(h, abs(t1 - t0))
    memory = -13.3
    accepted = rejected = 0
    while way * t < way * t1 and accepted + rejected < max_steps:
        end = t + h
        if way * (t1 - end) <= 1e-9 * abs(h):
            end, h = t1, t1 - t
        z, error, between = step(t, y, h, end, k)
        level = 0.5 * log2(error + 1e-30)
        if error <= 1:
            while save and way * save[0] <= way * end:
                out.append(between((save.pop(0) - t) / h))
            y, t, accepted = z, end, accepted + 1
            k[0] = k[last]
            growth = (0.2 * memory - 0.85 * level) / order
            memory = max(level, -13.3)
        else:
            rejected += 1
            growth = -level / order
        h *= 0.9 * exp2(min(np.log2(10 / 0.9), max(np.log2(0.2 / 0.9), growth)))
    return np.array(out), accepted, rejected
