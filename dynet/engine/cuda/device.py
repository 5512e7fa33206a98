"""What is asked of the driver, and every error that comes back, in words that say what to do.

The simulator of Numba (``NUMBA_ENABLE_CUDASIM=1`` before the first import) stands in for a device where plain kernels are
tested; it knows neither inline instructions nor most options of the compiler.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import warnings
from pathlib import Path

import numpy as np

from ...errors import ArgumentError, DeviceError, Shown
from .. import codegen

__all__ = [
    "Buffers", "borrowed", "guarded", "kernel", "launch", "listed", "module", "once", "properties", "require", "simulated",
    "source_digest",
]  # fmt: skip

SHARE = 0.9  # of the free memory that one call may take: the driver and the kernels' own stacks need some
INSTALL = 'install it with: pip install "dynet-contraction[cuda]"'
_CUDA = "numba.cuda"


def simulated():
    """Whether Numba simulates the device."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def cuda():
    """The module ``numba.cuda``."""
    return importlib.import_module(_CUDA)


def require():
    """Raise DeviceError unless kernels can be compiled and launched."""
    if simulated():
        return
    if importlib.util.find_spec("numba_cuda") is None:
        raise DeviceError(
            "device='cuda' needs the extra 'cuda' (the package numba-cuda), which is not installed", INSTALL
        )
    why = _missing()
    if why:
        raise DeviceError(*why)


@functools.cache
def _missing():
    """What is missing and the remedy, or None."""
    try:
        if not cuda().is_available():
            said = str(cuda().cuda_error() or "no driver library")
            if "insufficient" in said.lower() or "version" in said.lower():
                return f"device='cuda' needs a newer driver: it says {said!r}", "see its version with: nvidia-smi, and " \
                       "update it, or install wheels for it: pip install \"numba-cuda[cu12]\""  # fmt: skip
            said = " ".join(said.split())
            return f"device='cuda' needs a CUDA device, and none was found (the driver says: {said})", "list devices " \
                   "with: nvidia-smi, start a container with: --gpus all, or compute with device='cpu'"  # fmt: skip
        cuda().get_current_device()
    except Exception as error:  # a broken installation fails in many ways; all of them mean the same here
        return f"device='cuda' cannot use the installed numba-cuda ({type(error).__name__}: {error})", INSTALL
    return None


def listed():
    """One line for each device, or a line that says why there is none."""
    try:
        require()
    except DeviceError as error:
        return [f"none ({error})"]
    if simulated():
        return ["the simulator of Numba"]
    names = []
    for number, one in enumerate(cuda().list_devices()):
        name = one.name.decode() if isinstance(one.name, bytes) else str(one.name)
        names.append(f"cuda:{number} {name}, compute capability {'.'.join(map(str, one.compute_capability))}")
    return names


class properties:  # noqa: N801  (used as a namespace)
    """Of the current device, with the numbers of an H100 where it is simulated."""

    @staticmethod
    def processors():
        return 132 if simulated() else cuda().get_current_device().MULTIPROCESSOR_COUNT

    @staticmethod
    def shared_bytes():
        """Shared memory that one block may ask for."""
        if simulated():
            return 227 * 1024
        return int(cuda().get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)

    @staticmethod
    def capability():
        return (9, 0) if simulated() else tuple(cuda().get_current_device().compute_capability)

    @staticmethod
    def free_bytes():
        return None if simulated() else int(cuda().current_context().get_memory_info()[0])


def kernel(function):
    """A kernel that is kept on disk, for a function of a generated module."""
    jit = cuda().jit
    return jit(function) if simulated() else jit(cache=True)(function)


def inlined(function):
    """A function that kernels call."""
    jit = cuda().jit
    return jit(device=True)(function) if simulated() else jit(device=True, forceinline=True)(function)


def launch(function, blocks, threads, shared=0):
    """A kernel with its grid; more than 48 KiB of shared memory must be asked for, which Numba does not do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a small grid is no mistake: a batch may be small
        configured = function[blocks, threads, 0, shared]
    if shared > 48 * 1024 and not simulated() and not configured.pre_launch_callbacks:  # Numba keeps configurations
        configured.pre_launch_callbacks.append(lambda compiled, _: _allow(compiled, shared))
    return configured


def once(go, timer):
    """Launch: once, or as often as somebody who measures likes."""
    return go() if timer is None else timer(go)


def _allow(compiled, size):
    from cuda.bindings import driver

    function = compiled._codelibrary.get_cufunc()
    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    number = cuda().get_current_device().id
    (code,) = driver.cuKernelSetAttribute(
        attribute, size, driver.CUkernel(int(function.handle)), driver.CUdevice(number)
    )
    if int(code):
        raise DeviceError(f"the device refuses {size} bytes of shared memory for a block ({code})", "compute with "
                          "precision='tf32' or 'bf16', whose weights take half and a quarter, or device='cpu'")  # fmt: skip


@functools.cache
def source_digest():
    """Of this room's sources and the compiler's version: what a generated kernel depends on besides its own text."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    spec = importlib.util.find_spec("numba_cuda")
    digest.update(Path(spec.origin).with_name("VERSION").read_bytes() if spec else b"simulator")
    digest.update(b"simulated" if simulated() else b"")
    return digest.hexdigest()


def module(*pieces, tag):
    """A generated module (see :func:`dynet.engine.codegen.module`) that is made anew when this room changes."""
    return codegen.module(f"# kernels {source_digest()}\n", *pieces, tag=f"cuda_{tag}")


@contextlib.contextmanager
def guarded(advice):
    """Turn what the driver and the compiler raise into DeviceError; `advice` says how to use less memory."""
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        kind, text = type(error).__name__, " ".join(str(error).split())
        if isinstance(error, MemoryError) or "OUT_OF_MEMORY" in text.upper() or "out of memory" in text:
            raise DeviceError("the device ran out of memory", advice) from None
        if "PTX" in text.upper() and ("UNSUPPORTED" in text.upper() or "VERSION" in text.upper()):
            raise DeviceError(
                f"the driver is too old for the compiler's code ({kind}: {text[:200]})",
                "see its version with: nvidia-smi, and update it, or install an older compiler: "
                'pip install "nvidia-nvvm==13.0.*"',
            ) from None
        if kind in ("CudaAPIError", "CudaDriverError", "CudaSupportError", "NvvmError", "NvvmSupportError",
                    "LinkerError", "CUDAError", "NVRTCError"):  # fmt: skip
            raise DeviceError(f"the device failed ({kind}: {text[:300]})", f"{advice}; or {INSTALL}") from error
        raise


def borrowed(name, array, dtype, shape=None):
    """Raise ArgumentError unless `array` can be used by a kernel as it lies: on the device, contiguous, of this type.

    Any array with ``__cuda_array_interface__`` will do: a detached tensor of PyTorch, an array of CuPy or Numba.
    """
    try:
        facts = getattr(array, "__cuda_array_interface__", None)
    except (RuntimeError, TypeError) as error:  # PyTorch: a tensor that wants a gradient
        raise ArgumentError(name, Shown(str(error)), "a tensor without gradient: pass tensor.detach()") from None
    if facts is None:
        raise ArgumentError(
            name, Shown(f"{type(array).__name__} on the host"), "an array on the device, such as tensor.cuda()"
        )
    found = np.dtype(facts["typestr"])
    if found != np.dtype(dtype):
        raise ArgumentError(
            name, Shown(f"numbers of type {found}"), f"{np.dtype(dtype)}, such as tensor.to(torch.{np.dtype(dtype)})"
        )
    if shape is not None and tuple(facts["shape"]) != tuple(shape):
        raise ArgumentError(name, Shown(f"shape {tuple(facts['shape'])}"), f"shape {tuple(shape)}")
    strides, wanted = facts.get("strides"), found.itemsize
    if strides is not None:
        for size, stride in zip(facts["shape"][::-1], strides[::-1], strict=True):
            if size > 1 and stride != wanted:
                raise ArgumentError(name, Shown(f"strides {tuple(strides)}"), "a contiguous array: tensor.contiguous()")
            wanted *= size


class Buffers:
    """Arrays on the device for one call, counted before the first is made, and freed when the call is over."""

    def __init__(self, wanted_bytes, advice):
        free = properties.free_bytes()
        if free is not None and wanted_bytes > SHARE * free:
            raise DeviceError(
                f"this needs {wanted_bytes / 2**30:.3g} GiB on the device, and {free / 2**30:.3g} GiB are free", advice
            )
        self.kept = []

    def put(self, array, dtype=None):
        """A copy on the device; an array that lies there already is checked and used as it is."""
        if hasattr(array, "__cuda_array_interface__"):
            borrowed("u", array, dtype)
            self.kept.append(cuda().as_cuda_array(array))
            return self.kept[-1]
        array = np.ascontiguousarray(array, dtype)
        if array.size == 0:  # the device knows no empty arrays
            array = np.zeros(tuple(max(1, size) for size in array.shape), array.dtype)
        self.kept.append(cuda().to_device(array))
        return self.kept[-1]

    def empty(self, shape, dtype, fill=None):
        """Room on the device."""
        shape = tuple(max(1, int(size)) for size in shape)
        if fill is not None:
            return self.put(np.full(shape, fill, dtype))
        self.kept.append(cuda().device_array(shape, dtype))
        return self.kept[-1]

    def close(self):
        """Give the memory back, also after an error."""
        self.kept.clear()
