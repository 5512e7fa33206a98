"""What is said where there is no device; what needs none; and what a bare image can do."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

import dynet as dn
from dynet.engine.cuda import device
from dynet.errors import DeviceError

ROOT = pathlib.Path(__file__).parents[3]
ROOM = ROOT / "dynet/engine/cuda"
SIMULATED = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
INSTALLED = importlib.util.find_spec("numba_cuda") is not None


def run(code, **environment):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
                          env={**os.environ, **environment})  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_importing_dynet_and_its_commands_does_not_import_numba_cuda():
    code = (
        "import sys, dynet as dn; dn.simulate, dn.equilibrium, dn.models.Hopfield; print('numba.cuda' in sys.modules)"
    )
    assert run(code).strip() == "False"


def test_the_extra_is_missing(monkeypatch):
    monkeypatch.setattr(device, "simulated", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=re.escape('install it with: pip install "dynet-contraction[cuda]"')) as error:
        device.require()
    assert "needs the extra 'cuda'" in str(error.value)
    assert device.listed()[0].startswith("none (device='cuda' needs the extra")


@pytest.mark.parametrize(("said", "words"), [
    ("Error at driver init: no CUDA-capable device is detected", ["a CUDA device, and none was found", "nvidia-smi"]),
    ("CUDA driver version is insufficient for CUDA runtime version", ["newer driver", "nvidia-smi", "cu12"]),
])  # fmt: skip
def test_the_device_is_missing_or_its_driver_too_old(monkeypatch, said, words):
    class Nothing:
        is_available = staticmethod(lambda: False)
        cuda_error = staticmethod(lambda: said)

    monkeypatch.setattr(device, "cuda", lambda: Nothing)
    what, remedy = device._missing.__wrapped__()
    assert all(word in f"{what}; {remedy}" for word in words)


@pytest.mark.skipif(device.simulated(), reason="the simulator is a device")
def test_one_error_says_which_is_missing_before_any_work():
    if INSTALLED:
        from numba import cuda

        if cuda.is_available():
            pytest.skip("there is a device")
    net = dn.models.FiringRate([[0.0]])
    for call in (
        lambda: dn.simulate(net, [0.0], 1.0, dt=0.1, device="cuda"),
        lambda: dn.simulate(dn.models.Lorenz(), [0.0] * 3, 1.0, device="cuda"),
        lambda: dn.equilibrium(net, device="cuda"),
    ):
        with pytest.raises(DeviceError, match="a CUDA device|needs the extra 'cuda'|cannot use the installed"):
            call()


@pytest.mark.parametrize("options", [{"device": "gpu"}, {"device": "cpu", "precision": "tf32"}])
def test_words_for_devices(options):
    for call in (lambda: dn.simulate(dn.models.Lorenz(), [0.0] * 3, 1.0, **options),
                 lambda: dn.equilibrium(dn.models.FiringRate([[0.0]]), **options)):  # fmt: skip
        with pytest.raises(
            dn.errors.ArgumentError, match="did you mean 'cpu'|None or 'float64'|cpu, cuda|float64, float32"
        ):
            call()


def test_memory_that_is_not_there(monkeypatch):
    monkeypatch.setattr(device.properties, "free_bytes", staticmethod(lambda: 1 << 20))
    with pytest.raises(DeviceError, match="needs 0.00195 GiB on the device, and 0.000977 GiB are free; split"):
        device.Buffers(2 << 20, "split the batch")


@pytest.mark.parametrize(("error", "words"), [
    (MemoryError("x"), "ran out of memory; do less"),
    (type("CudaAPIError", (Exception,), {})("[2] CUDA_ERROR_OUT_OF_MEMORY"), "ran out of memory; do less"),
    (type("CudaAPIError", (Exception,), {})("[222] CUDA_ERROR_UNSUPPORTED_PTX_VERSION"), "the driver is too old"),
    (type("NvvmError", (Exception,), {})("bad"), "the device failed (NvvmError: bad)"),
])  # fmt: skip
def test_what_the_driver_raises_is_put_in_words(error, words):
    with pytest.raises(DeviceError) as found, device.guarded("do less"):
        raise error
    assert words in str(found.value)
    with pytest.raises(ZeroDivisionError), device.guarded("do less"):
        raise ZeroDivisionError


def test_instructions_stand_in_one_module():
    holders = {path.name for path in ROOM.glob("*.py") if re.search(r"InlineAsm|\.sync\.aligned", path.read_text())}
    assert holders == {"ptx.py"}
    importers = {path.name for path in ROOM.glob("*.py")
                 if re.search(r"^ *(from|import) numba\.cuda", path.read_text(), re.MULTILINE)}  # fmt: skip
    assert importers == {"intrinsics.py"}, "everything else asks device.py, when it computes"


def test_info_lists_devices(capsys):
    from dynet.cli import main

    assert main(["info"]) == 0
    assert re.search(r"devices\s+cpu; (none \(|cuda:0|the simulator)", capsys.readouterr().out)


def test_a_scenario_is_simulated_on_the_device(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text('[model]\nkind = "lorenz"\n[simulate]\nt = 0.02\ndt = 0.01\nsave = "last"\nx0 = [1.0, 1.0, 1.0]\n')
    command = [sys.executable, "-m", "dynet.cli", "run", file, "--out", tmp_path, "--device", "cuda", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=SIMULATED)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'device = "cuda"' in (tmp_path / "small/scenario.toml").read_text()


_BARE = """
import sys, importlib.abc

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in {blocked}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {root!r})
import numpy as np, dynet as dn
net = dn.models.FiringRate(np.array([[0.0, 0.4], [-0.4, 0.0]]), activation="relu", input=[1.0, 0.0])
host, device = (dn.simulate(net, np.ones((2, 2)), 0.2, dt=0.1, save="last", device=d) for d in ("cpu", "cuda"))
assert np.abs(host.final - device.final).max() < 1e-6, (host.final, device.final)
found = dn.equilibrium(net, tol=1e-4, device="cuda")
assert found.status.ok and np.abs(found.x - dn.equilibrium(net).x).max() <= 2e-4
dn.simulate(dn.models.Lorenz(), np.ones((2, 3)), 0.02, dt=0.01, method="rk4", save="last", device="cuda")
def node(t, x, s, p, dx):
    dx[0] = s[0]
def edge(x, y, p, s):
    s[0] = y[0] - x[0]
dn.simulate(dn.models.Network(np.ones((2, 2)), node=node, edge=edge), [0.0, 1.0], 0.1, dt=0.1, save="last", device="cuda")
{more}
print("bare")
"""


def test_a_bare_image_needs_only_four_packages(tmp_path):
    """Every other package that dynet declares is blocked; the device is simulated."""
    blocked = set("networkx matplotlib msgspec cyclopts rich xarray h5netcdf h5py clarabel threadpoolctl flint pandas torch "
                  "jax matpowercaseframes dask pytest hypothesis".split())  # fmt: skip
    more = "dn.ImplicitNetwork.random(2, 3, 1).solve(np.ones((2, 2)), tol=1e-4, device='cuda')" if _implicit() else ""
    program = tmp_path / "bare.py"  # the source of a user's function is read from its file
    program.write_text(_BARE.format(blocked=blocked, root=str(ROOT), more=more))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300, env=SIMULATED)
    assert done.stdout.strip() == "bare", done.stderr[-3000:]


def _implicit():
    return "device" in getattr(getattr(dn, "ImplicitNetwork", None), "solve", _implicit).__code__.co_varnames


def test_the_benchmark_ends_with_the_same_error_where_there_is_no_device():
    if INSTALLED and not device.listed()[0].startswith("none"):
        pytest.skip("there is a device")
    done = subprocess.run([sys.executable, "-m", "dynet.engine.cuda.bench", "--json", os.devnull], capture_output=True,
                          text=True, timeout=120, env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0"})  # fmt: skip
    assert done.returncode == 2 and re.search("a CUDA device|needs the extra|cannot use", done.stderr)
    assert "Traceback" not in done.stderr


class Tensor:
    """What an array on the device shows of itself."""

    def __init__(self, shape, typestr="<f4", strides=None):
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": typestr,
            "strides": strides,
            "data": (1, False),
            "version": 3,
        }


def test_arrays_of_other_libraries_are_used_as_they_lie():
    device.borrowed("u", Tensor((3, 4)), "float32")
    device.borrowed("u", Tensor((3, 4), strides=(16, 4)), "float32", (3, 4))
    device.borrowed("u", Tensor((1, 4), strides=(999, 4)), "float32")


class Wants:
    @property
    def __cuda_array_interface__(self):
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")


@pytest.mark.parametrize(("array", "words"), [
    ([1.0], "list on the host: expected an array on the device"),
    (Tensor((3, 4), strides=(4, 12)), "a contiguous array: tensor.contiguous()"),
    (Tensor((3, 4), "<f8"), "numbers of type float64: expected float32, such as tensor.to(torch.float32)"),
    (Tensor((4, 3)), "shape (4, 3): expected shape (3, 4)"),
    (Wants(), "pass tensor.detach()"),
])  # fmt: skip
def test_arrays_that_cannot_be_used(array, words):
    with pytest.raises(dn.errors.ArgumentError, match=re.escape(words)):
        device.borrowed("u", array, "float32", (3, 4))
