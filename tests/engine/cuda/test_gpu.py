"""On a device: every kernel against float64 on fresh random data of ragged sizes. Skipped where there is none."""

import numpy as np
import pytest

import dynet as dn
from dynet.engine.cuda import bench, device

REASON = device.listed()[0]
pytestmark = pytest.mark.skipif(
    REASON.startswith("none") or device.simulated(), reason=f"no device to run on: {REASON}"
)


def test_ragged_sizes_in_every_precision():
    found = bench._correct(1.0, 0.0)
    assert found["passed"], [case for case in found["cases"] if not case["good"]]


@pytest.mark.parametrize("kind", ["Hopfield", "FiringRate", "Persidskii", "LinearMinusMonotone"])
@pytest.mark.parametrize(
    ("precision", "bound"), [("float64", 1e-12), ("float32", 3e-6), ("tf32", 1e-2), ("bf16", 8e-2)]
)
def test_models(kind, precision, bound):
    rng = np.random.default_rng()
    net = getattr(dn.models, kind)(rng.standard_normal((37, 37)) / 8, input=dn.Sinusoid(1.0, 2.0))
    options = {"dt": 0.05, "save": [0.0, 0.5, 0.52], "u": rng.standard_normal((45, 37))}
    x0 = rng.standard_normal((45, 37))
    host = dn.simulate(net, x0, 0.52, **options)
    found = dn.simulate(net, x0, 0.52, device="cuda", precision=precision, **options)
    assert np.isfinite(found.x).all() and "tensor" in found.stats["executor"]
    assert np.linalg.norm(host.x - found.x) <= bound * np.linalg.norm(host.x)


def test_ensembles_and_networks():
    rng = np.random.default_rng()
    x0 = rng.standard_normal((1001, 3))
    host, found = (dn.simulate(dn.models.Lorenz(), x0, 0.5, rtol=1e-5, device=d) for d in ("cpu", "cuda"))
    assert np.abs(host.x - found.x).max() <= 1e-2 and found.ok
    net = dn.models.Kuramoto(rng.random((30, 30)), frequency=rng.standard_normal(30), weight=0.05)
    x0 = rng.standard_normal((17, 30))
    host = dn.simulate(net, x0, 0.5, dt=0.05, save=[0.5])
    found = dn.simulate(net, x0, 0.5, dt=0.05, save=[0.5], device="cuda", precision="float64")
    assert np.abs(host.x - found.x).max() <= 1e-12


def test_memory_that_runs_out_leaves_the_process_usable(monkeypatch):
    monkeypatch.setattr(device.properties, "free_bytes", staticmethod(lambda: None))
    net = dn.models.FiringRate(np.eye(100))
    with pytest.raises(dn.errors.DeviceError, match="split the batch"):
        dn.simulate(net, np.zeros(100), 1.0, dt=1e-4, save=10_001, u=np.zeros((200_000, 100)), device="cuda")
    assert dn.simulate(net, np.zeros(100), 1.0, dt=0.1, device="cuda").ok
