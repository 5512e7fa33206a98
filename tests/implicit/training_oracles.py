"""Slow, obvious twins of the training: the loss from its definition, and derivatives by differences."""

import numpy as np
from implicit.oracles import embedding, picard


def cross_entropy(y, labels):
    total = 0.0
    for row, label in zip(y, labels, strict=True):
        total += np.log(sum(np.exp(v - row[label]) for v in row))
    return total / len(labels)


def loss(net, U, labels, eps, kappa, penalty):
    """The loss of a network in its own terms: fixed points by the averaged iteration, bounds by the embedding."""
    U = np.asarray(U, float)
    y = np.asarray(picard(net, U) @ net.C.T + net.d, float)
    value = (1.0 - kappa) * cross_entropy(y, labels)
    if kappa:
        lo, hi = embedding(net, np.clip(U - eps, 0.0, 1.0), np.clip(U + eps, 0.0, 1.0))
        z = np.empty_like(y)
        for s, t in enumerate(labels):
            for j in range(net.outputs):
                row = net.C[j] - net.C[t]
                z[s, j] = np.maximum(row, 0) @ hi[s] + np.minimum(row, 0) @ lo[s] + net.d[j] - net.d[t]
        value += kappa * cross_entropy(z, labels)
    out, into = (np.abs(net.C) @ net.weights).max(), (np.abs(net.B).sum(axis=1) / net.weights).max()
    return value + penalty * out * into / (1.0 - net.mu)


def differences(function, params, step=1e-6):
    """The gradient of ``function()`` by each entry of the arrays in `params`, which are changed and put back."""
    found = {}
    for name, array in params.items():
        found[name] = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            keep = array[at]
            ends = []
            for sign in (1, -1):
                array[at] = keep + sign * step
                ends.append(function())
            array[at] = keep
            found[name][at] = (ends[0] - ends[1]) / (2 * step)
    return found
