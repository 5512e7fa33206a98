"""The code store: generated source becomes a module on disk, compiled once and found again by the next process.

Numba keeps compiled code beside the source file that it came from, and looks only at that file's time stamp. So each
generated module is named by a digest of everything that it depends on (its own text, the package sources that it inlines,
the versions of the compilers, the processor), and never changes under its name.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import os
import platform
import sys
import tempfile
import textwrap
from pathlib import Path

__all__ = ["cache_folder", "loaded", "module"]

_INLINED = (
    "math.py",
    "engine/block.py",
    "engine/explicit.py",
    "engine/fixed_point.py",
    "fields/signal.py",
    "fields/kernels.py",
)
_modules = {}


def cache_folder():
    """Where generated modules lie: ``$DYNET_CACHE``, or the user's cache folder, or a temporary one."""
    wanted = [os.environ.get("DYNET_CACHE")] if os.environ.get("DYNET_CACHE") else []
    if not wanted:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        wanted = [os.path.join(home, "dynet"), os.path.join(tempfile.gettempdir(), f"dynet-{os.getuid()}")]
    for folder in map(Path, wanted):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="dynet-"))


def loaded():
    """The names of the generated modules that this process uses: a sweep must not add to them."""
    return tuple(_modules)


@functools.cache
def _surroundings():
    """What generated code depends on besides its own text."""
    import llvmlite
    import numba
    import numpy

    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for name in _INLINED:
        digest.update((root / name).read_bytes())
    versions = (numba.__version__, llvmlite.__version__, numpy.__version__, sys.version)
    from llvmlite import binding

    digest.update(repr((versions, platform.machine(), binding.get_host_cpu_name())).encode())
    return digest.hexdigest()


def module(*pieces, tag):
    """A module made of source text and functions.

    Parameters
    ----------
    pieces : str or function
        Source text, or functions whose source is copied; functions decorated with ``cache=True`` compile once per machine.
    tag : str
        The first part of the module's name.

    Returns
    -------
    module
        The same object when asked again for the same pieces.

    Examples
    --------
    >>> module("def double(x):\\n    return 2 * x\\n", tag="example").double(21)
    42
    """
    text = "\n".join(p if isinstance(p, str) else textwrap.dedent(inspect.getsource(p)) for p in pieces)
    name = f"{tag}_{hashlib.sha256((_surroundings() + text).encode()).hexdigest()[:20]}"
    if name not in _modules:
        path = cache_folder() / f"{name}.py"
        if not path.exists():  # a file that exists is whole: it got its name when it was complete
            temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
            temporary.write_text(text)
            os.replace(temporary, path)
        spec = importlib.util.spec_from_file_location(name, path)
        fresh = importlib.util.module_from_spec(spec)
        sys.modules[name] = fresh  # Numba unpickles cached code by module name
        spec.loader.exec_module(fresh)
        _modules[name] = fresh
    return _modules[name]
