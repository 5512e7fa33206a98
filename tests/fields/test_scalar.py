"""The scalar form of a user's function gives the numbers of the function."""

import numpy as np

import dynet as dn
from dynet.engine import codegen


@dn.vector_field(n=4, params={"w": np.arange(16.0).reshape(4, 4) / 10, "b": np.linspace(0, 1, 4), "k": 0.3})
def network(t, x, p, dx):
    total = 0.0
    for j in range(len(x)):
        total += x[j]
    for i in range(4):
        s = p.b[i]
        for j in range(i):
            s += p.w[i, j] * np.tanh(x[j]) - p.w[j, i]
        if s > 0.5:
            dx[i] = s - p.k * x[-1 - i]
        else:
            dx[i] = total + t


def test_it_evaluates_to_the_same_numbers():
    module = codegen.module(network.scalars(), tag="scalars")
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=4)
        found = module._field(0.7, *x, *network.parameter_vector())
        assert np.allclose(found, network.rhs(0.7, x), rtol=1e-14, atol=1e-14)


def test_lengths_and_negative_indices_are_numbers():
    source = network.scalars()
    assert "range" not in source and "len" not in source and "_x_3" in source
