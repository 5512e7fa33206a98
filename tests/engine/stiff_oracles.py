"""Naive twins of the stiff methods: one trajectory, plain Python, exact Jacobians. Nothing here imports dynet."""

import numpy as np


def classical(method):
    r"""A Rosenbrock method as the theory states it: matrices alpha, Gamma and weights b of

    .. math:: k_i = h f(y + \sum \alpha_{ij} k_j) + h J \sum \gamma_{ij} k_j, \qquad y_1 = y + \sum b_i k_i

    from the transformed coefficients (Hairer, Wanner, section IV.7: u = Gamma k).
    """
    s = len(method.m)
    a, C = np.zeros((s, s)), np.zeros((s, s))
    for i in range(s):
        a[i, :i], C[i, :i] = method.a[i], method.C[i]
    Gamma = np.linalg.inv(np.eye(s) / method.gamma - C)
    return a @ Gamma, Gamma, np.array(method.m) @ Gamma


def rosenbrock(f, jacobian, ft, method, y, t0, t1, steps, theta=None):
    """Fixed steps of a Rosenbrock method, in the classical form; with `theta` a state within the last step."""
    alpha, Gamma, b = classical(method)
    y, h = np.array(y, float), (t1 - t0) / steps
    s, n = len(b), len(y)
    for step in range(steps):
        t, k = t0 + step * h, np.zeros((s, n))
        J, rate = jacobian(t, y), ft(t, y)
        for i in range(s):
            right = h * f(t + sum(alpha[i]) * h, y + alpha[i] @ k) + h * J @ (Gamma[i, :i] @ k[:i])
            right = right + h * h * sum(Gamma[i]) * rate
            k[i] = np.linalg.solve(np.eye(n) - h * method.gamma * J, right)
        start, y = y, y + b @ k
    if theta is None:
        return y
    u = Gamma @ k
    bends = [np.array(row) @ u for row in method.bends]
    bend = sum(v * theta**power for power, v in enumerate(bends))
    return (1 - theta) * start + theta * (y + (1 - theta) * bend)
