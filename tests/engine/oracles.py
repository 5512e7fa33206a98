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


def dopri5(f, y, t0, t1, save, rtol, atol, power, max_steps=100_000):
    """Dormand-Prince 5(4); `power` raises a number to a power, as roughly as the engine does.

    Returns the states at the save times, and the numbers of accepted and rejected steps.
    """
    y, t, out = np.array(y, dtype=float), t0, []
    save, n = list(save), len(y)
    while save and save[0] <= t0:
        out.append(y.copy())
        save.pop(0)
    k = [f(t, y)] + [None] * 6
    scale = atol + rtol * np.abs(y)
    size, speed = np.sum((y / scale) ** 2), np.sum((k[0] / scale) ** 2)
    h = 0.01 * np.sqrt(size / speed) if size > 1e-10 and speed > 1e-10 else 1e-6
    h = min(h, t1 - t0)
    accepted = rejected = 0
    while t < t1 and accepted + rejected < max_steps:
        end = t + h
        if end >= t1 - 1e-9 * h:
            end, h = t1, t1 - t
        for s in range(1, 7):
            z = y.copy()
            for j in range(s):
                z = z + h * A[s][j] * k[j]
            k[s] = f(t + C[s] * h, z)
        estimate = np.zeros(n)
        for s in range(7):
            estimate = estimate + h * E[s] * k[s]
        error = 0.0
        for i in range(n):
            error += (estimate[i] / (atol + rtol * max(abs(y[i]), abs(z[i])))) ** 2 / n
        if error <= 1:
            while save and save[0] <= end:
                s = (save.pop(0) - t) / h
                difference = z - y
                bend = h * k[0] - difference
                rest = h * sum(D[j] * k[j] for j in range(7))
                out.append(
                    y + s * (difference + (1 - s) * (bend + s * (difference - h * k[6] - bend + (1 - s) * rest)))
                )
            y, t, accepted = z, end, accepted + 1
            k[0] = k[6]
        else:
            rejected += 1
        h *= min(10.0, max(0.2, 0.9 * power(error + 1e-30, -0.1)))
    return np.array(out), accepted, rejected
