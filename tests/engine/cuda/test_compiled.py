"""Kernels compiled for sm_90 (and sm_80) where there is no device: instructions, registers, spills, time, the store on disk.

Budgets stand a little above what was read when they were written: they catch the kernel that falls off a cliff.
"""

import importlib.util
import os
import subprocess
import sys
import time

import numpy as np
import pytest

CUDASIM = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
MISSING = [name for name in ("numba_cuda", "cuda.bindings") if importlib.util.find_spec(name.split(".")[0]) is None]
try:
    HAS_NVVM = not MISSING and importlib.util.find_spec("nvidia.cu13") is not None
except ModuleNotFoundError:
    HAS_NVVM = False
pytestmark = pytest.mark.skipif(
    bool(MISSING) or not HAS_NVVM or CUDASIM, reason='needs the compiler: pip install "dynet-contraction[test-cuda]"'
)

if not (MISSING or CUDASIM) and HAS_NVVM:
    from engine.cuda import offline
    from numba.cuda import types

from dynet.engine.cuda import plan  # noqa: E402
from dynet.engine.tableaus import TABLEAUS  # noqa: E402

SECONDS = 5.0  # of the processor, for one kernel
_first = []


def array(real, dims):
    return types.Array(real, dims, "C")


def built(function, signature, folder, **options):
    if not _first:  # the compiler's own libraries are loaded once
        from numba import cuda

        cuda.compile(lambda x: None, types.void(types.int32), device=False, abi="numba", cc=(9, 0), output="ptx")
        _first.append(True)
    start = time.process_time()
    found = offline.compiled(function, signature, folder, **options)
    found["seconds"] = time.process_time() - start
    assert found["seconds"] <= SECONDS
    return found


@pytest.fixture
def hopper(monkeypatch):
    """The numbers of an H100 instead of those of a device."""
    from dynet.engine.cuda.device import properties

    for name, value in {
        "shared_bytes": 227 * 1024,
        "processors": 132,
        "capability": (9, 0),
        "free_bytes": None,
    }.items():
        monkeypatch.setattr(properties, name, staticmethod(lambda value=value: value))


def lure_call(n, method, precision, place, vectors, own):
    from dynet.engine.cuda.lure import Call

    one = np.ones(n)
    field = plan.Plan(place, np.eye(n), -one, one + vectors, one, "tanh", 0.0)
    batch = 40
    return Call(field, method, precision, np.zeros((batch, n)), np.zeros((batch if own else 1, 1, n)), np.zeros((1, 1, n)),
                0.1, 0.1, 10, np.array([10]), np.zeros(1), np.zeros((0, 1, n)), False)  # fmt: skip


def lure_signature(real):
    R, i32 = getattr(types, real), types.int32
    vector, matrix, cube, ints = array(R, 1), array(R, 2), array(R, 3), array(i32, 1)
    first = {1: vector, 2: matrix}
    tail = (matrix, cube, cube, matrix, R, R, R, i32, ints, vector, cube, cube, cube, ints, i32)
    return lambda dims: types.void(first[dims], *tail)


# n, method, precision, place, vectors, own drive -> products, registers, bytes of spilled stores
TENSOR = [
    ((100, "euler", "tf32", 0, 0, 0), 169, 200, 0),
    ((100, "euler", "float32", 0, 0, 0), 507, 255, 200),
    ((100, "rk4", "float32", 0, 0, 0), 507, 255, 900),
    ((100, "euler", "bf16", 0, 0, 0), 91, 240, 0),
    ((128, "euler", "float32", 1, 1, 1), 768, 255, 800),
    pytest.param((100, "heun", "float32", 2, 1, 1), 1014, 255, 500, marks=pytest.mark.slow),
    ((100, "euler", "float64", 0, 0, 0), 338, 240, 0),
    pytest.param((33, "rk4", "float64", 1, 1, 1), 50, 255, 0, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("case", "products", "registers", "spills"), TENSOR, ids=lambda v: str(v).replace(" ", ""))
def test_the_integrator_on_tensor_cores(case, products, registers, spills, tmp_path, hopper):
    from dynet.engine.cuda import tensor

    call = lure_call(*case)
    kernel, blocks, threads, shared = tensor.integrator(call)
    found = built(kernel.py_func, lure_signature(call.real)(1), tmp_path)
    instruction = "m8n8k4" if case[2] == "float64" else "m16n8k16" if case[2] == "bf16" else "m16n8k8"
    assert found["ptx"].count(f"mma.sync.aligned.{instruction}") == products
    assert shared <= 227 * 1024 and threads % 32 == 0 and blocks >= 1
    if "registers" in found:
        assert found["registers"] <= registers and found["stores"] <= spills
    if found["count"]:
        assert found["count"]["DMMA" if case[2] == "float64" else "HMMA"] == products


@pytest.mark.parametrize(("n", "precision", "activation", "own", "spills"), [
    (100, "float32", "tanh", 1, 350), (100, "float32", "factor", 2, 300), (64, "float64", "relu", 1, 100),
])  # fmt: skip
def test_the_solver_and_its_adjoint(n, precision, activation, own, spills, tmp_path, hopper):
    from dynet.engine.cuda import equilibria, tensor
    from dynet.engine.cuda.device import module
    from dynet.engine.cuda.fragments import MODES

    R = types.float64 if precision == "float64" else types.float32
    where = tensor.layout(n, MODES[precision], 1, own, 227 * 1024)
    pieces = equilibria.settle_source(n, precision, plan.INSIDE, activation, False, own, "inf", where)
    vector, matrix, cube, ints = array(R, 1), array(R, 2), array(R, 3), array(types.int32, 1)
    i32 = types.int32
    signature = types.void(
        vector, matrix, cube, vector, cube, matrix, vector, R, R, R, i32, i32, matrix, vector, ints, ints
    )  # fmt: skip
    found = built(module(*pieces, tag="settle").settle.py_func, signature, tmp_path)
    assert "mma.sync" in found["ptx"] and "shfl.sync" in found["ptx"] and "vote.sync.all" in found["ptx"]
    assert found.get("registers", 0) <= 255 and found.get("stores", 0) <= spills


@pytest.mark.parametrize("precision", ["tf32", pytest.param("bf16", marks=pytest.mark.slow), "float64"])
def test_the_kernel_that_measures_the_instruction(precision, tmp_path):
    from dynet.engine.cuda import tensor

    kernel, work = tensor.burner(precision)
    real = types.float64 if precision == "float64" else types.float32
    found = built(kernel.py_func, types.void(array(real, 2), types.int32), tmp_path)
    count = found["ptx"].count("mma.sync")  # the compiler may unroll the loop
    assert count >= 8 and count % 8 == 0 and found.get("stores", 0) == 0
    assert work == {"tf32": 16384, "bf16": 32768, "float64": 4096}[precision]


def test_plain_kernels(tmp_path, hopper):
    from dynet.engine.cuda import portable, tiled

    kernel, _, threads, shared = portable.integrator(lure_call(100, "rk4", "float32", 0, 0, 0).plan, "rk4", "float32")
    found = built(kernel.py_func, lure_signature("float32")(2), tmp_path)
    assert found.get("stores", 0) <= 200 and found.get("registers", 0) * threads <= 65536 and shared <= 227 * 1024
    stage, save, tile, side = tiled.kernels(0, "tanh", "float32")
    R, matrix, cube = types.float32, array(types.float32, 2), array(types.float32, 3)
    signature = types.void(matrix, matrix, cube, cube, *[matrix] * 4, R, R, R, types.int32, types.int32)
    found = built(stage.py_func, signature, tmp_path)
    assert found.get("stores", 0) == 0 and found.get("registers", 0) <= 128


def chain(n):
    import dynet as dn

    @dn.vector_field(n=n, params={"a": 1.0, "b": 0.5})
    def field(t, x, p, dx):
        for j in range(24):
            dx[j] = p.a * (x[j - 23] - x[j - 1]) - x[j] + p.b * x[j] ** 2

    return field.form()


@pytest.mark.parametrize(
    ("n", "precision", "registers"), [(3, "float32", 110), (3, "float64", 150), (24, "float32", 255)]
)
def test_ensembles(n, precision, registers, tmp_path):
    import dynet as dn
    from dynet.engine.cuda import ensembles
    from dynet.engine.cuda.device import module

    form = dn.models.Lorenz().form() if n == 3 else chain(n)
    kernel = module(*ensembles.kernel_source(form, TABLEAUS["dopri5"], precision, True, False, 0), tag="ensemble").solve
    R, D, L = getattr(types, precision), types.float64, types.int64
    signature = types.void(array(R, 2), array(R, 2), array(D, 1), array(R, 1), array(D, 1), L, array(R, 3), types.int32,
                           array(R, 3), array(R, 3), array(D, 1), array(L, 1), array(L, 1), array(types.int32, 1))  # fmt: skip
    found = built(kernel.py_func, signature, tmp_path)
    assert found.get("registers", 0) <= registers
    if n == 3:
        assert found.get("stores", 0) == 0 and found.get("stack", 0) == 0


def test_single_precision_has_no_double_arithmetic_in_the_users_function(tmp_path):
    import dynet as dn
    from dynet.engine.cuda.retype import retyped

    @dn.vector_field(n=2, params={"a": 1.0})
    def mine(t, x, p, dx):
        dx[0] = 2 * x[1] + 0.5 * np.exp(x[0]) / (1 + x[1] ** 2)
        dx[1] = -p.a * np.tanh(3.0 * x[0]) if x[1] > 0.1 else x[0]

    from dynet.engine.cuda.device import module

    text = retyped(mine.form().source, "float32")
    text += "\ndef use(x):\n    x[0], x[1] = _field(_r(0), x[2], x[3], x[4])\n"
    found = built(module(text, tag="retyped").use, types.void(array(types.float32, 1)), tmp_path)
    assert "add.rn.f64" not in found["ptx"] and "fma.rn.f64" not in found["ptx"] and "mul.f64" not in found["ptx"]


def test_networks(tmp_path):
    import dynet as dn
    from dynet.engine.cuda import networks
    from dynet.engine.cuda.device import module

    form = dn.models.Kuramoto(np.ones((3, 3)) - np.eye(3), frequency=[1.0, 2.0, 3.0]).form()
    kernels = module(*networks.kernel_source(form, "float32"), tag="network")
    R, matrix, ints = types.float32, array(types.float32, 2), array(types.int32, 1)
    signature = types.void(ints, ints, array(R, 1), matrix, *[matrix] * 5, R, R, R, types.int32)
    found = built(kernels.stage.py_func, signature, tmp_path)
    assert found.get("stores", 0) == 0


def test_the_older_architecture_compiles_too(tmp_path, hopper):
    from dynet.engine.cuda import tensor

    call = lure_call(16, "euler", "float32", 0, 0, 0)
    found = built(tensor.integrator(call)[0].py_func, lure_signature("float32")(1), tmp_path, capability=(8, 0))
    assert ".target sm_80" in found["ptx"] and "mma.sync" in found["ptx"]


_AGAIN = """
import sys
sys.path.insert(0, {tests!r})
from engine.cuda import offline
import dynet as dn
from dynet.engine.cuda import ensembles
from dynet.engine.cuda.device import module
from dynet.engine.tableaus import TABLEAUS
source = ensembles.kernel_source(dn.models.Lorenz().form(), TABLEAUS["dopri5"], "float32", True, False, 0)
cache = module(*source, tag="ensemble").solve._cache
print(cache._cache_file._index_path, cache._cache_file._source_stamp)
"""


def test_a_new_process_looks_for_a_kernel_in_the_same_place():
    """As far as it can be shown without a device: the index of stored kernels and the time stamp that guards it."""
    code = _AGAIN.format(tests=os.path.join(os.path.dirname(__file__), "..", ".."))
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120) for _ in range(2)
    )
    assert first.returncode == 0, first.stderr[-2000:]
    assert first.stdout == second.stdout and "cuda_ensemble" in first.stdout and ".nbi" in first.stdout
