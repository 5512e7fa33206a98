"""Adam against its formula, and schedules at their ends."""

import numpy as np
import pytest

from dynet.errors import ArgumentError
from dynet.implicit.optimize import SCHEDULES, Adam, factor


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_is_its_formula(dtype):
    random = np.random.default_rng(0)
    params = {"a": random.normal(size=(3, 4)).astype(dtype), "b": random.normal(size=5).astype(dtype)}
    wanted = {name: p.astype(float) for name, p in params.items()}
    moments = {name: (0.0, 0.0) for name in params}
    adam = Adam(params, decay=0.1)
    for t in range(1, 20):
        gradients = {name: random.normal(size=p.shape).astype(dtype) for name, p in params.items()}
        adam.step(params, gradients, 0.01)
        for name, g in gradients.items():
            m, v = moments[name]
            m, v = 0.9 * m + 0.1 * g.astype(float), 0.999 * v + 0.001 * g.astype(float) ** 2
            moments[name] = m, v
            decay = 1.0 - 0.01 * 0.1 if name == "a" else 1.0
            wanted[name] = decay * wanted[name] - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    for name, p in params.items():
        assert np.allclose(p, wanted[name], atol=1e-5 if dtype == np.float32 else 1e-13)


def test_schedules():
    for name in SCHEDULES:
        values = [factor(name, done) for done in np.linspace(0.0, 1.0, 101)]
        assert max(values) == pytest.approx(1.0) and min(values) >= 0.0
        assert name == "constant" or values[-1] < 0.01
    assert [factor("step", done) for done in (0.0, 0.25, 0.5, 0.99)] == pytest.approx([1.0, 0.1, 0.01, 0.001])
    assert factor(lambda done: 2.0 * done, 0.5) == 1.0
    with pytest.raises(ArgumentError, match="did you mean 'cosine'"):
        factor("cosin", 0.0)
