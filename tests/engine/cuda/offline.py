"""Compile kernels for sm_90 where there is no driver, and read what the assembler says of them. Private names of numba-cuda."""

import collections
import pathlib
import re
import shutil
import subprocess
import sysconfig
import time
import types as pytypes

from numba.cuda import compiler, dispatcher

_device = pytypes.SimpleNamespace(compute_capability=(9, 0))
dispatcher.get_current_device = lambda: _device
compiler.get_current_device = lambda: _device


def tool(name):
    own = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia" / "cu13" / "bin" / name
    return str(own) if own.exists() else shutil.which(name)


def compiled(function, signature, folder, name="k", capability=(9, 0)):
    """A dict: seconds, ptx, and, where ptxas is installed, registers, stack, spills and counts of instructions."""
    from numba import cuda

    start = time.perf_counter()
    ptx, _ = cuda.compile(function, signature, device=False, abi="numba", cc=capability, output="ptx")
    found = {"seconds": time.perf_counter() - start, "ptx": ptx, "count": None}
    if tool("ptxas") is None:
        return found
    folder = pathlib.Path(folder)
    (folder / f"{name}.ptx").write_text(ptx)
    arch = f"sm_{capability[0]}{capability[1]}"
    done = subprocess.run([tool("ptxas"), f"-arch={arch}", "-v", folder / f"{name}.ptx", "-o", folder / f"{name}.cubin"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr[:2000]
    found["registers"] = int(re.search(r"Used (\d+) registers", done.stderr).group(1))
    found["stack"], found["stores"], found["loads"] = map(int, re.search(
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr).groups())  # fmt: skip
    if tool("nvdisasm"):
        sass = subprocess.run([tool("nvdisasm"), "-c", folder / f"{name}.cubin"], capture_output=True, text=True).stdout
        found["count"] = collections.Counter(
            op.split(".")[0]
            for op in re.findall(r"^\s+/\*[0-9a-f]{4,5}\*/\s+(?:@!?U?P\d+ )?([A-Z0-9_.]+)", sass, re.MULTILINE)
        )
    return found
