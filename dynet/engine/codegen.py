"""The code store: generated source becomes a module on disk, compiled once and found again by the next process.

Numba keeps compiled code beside the source file that it came from, and looks only at that file's time stamp. So each
generated module is named by a digest of everything that it depends on (its own text, the package sources that it inlines,
the versions of the compilers, the processor), and never changes under its name.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import platform
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np

__all__ = ["cache_folder", "direct", "loaded", "module", "on_disk"]

_INLINED = ("math.py", "engine/*.py", "fields/*.py")  # generated code may inline functions of these
_modules = {}
_entries = {}
_lock = threading.RLock()  # two threads that ask for one module get one


def cache_folder():
    """Where generated modules lie: ``$DYNET_CACHE``, or the user's cache folder, or a temporary one."""
    return _cache_folder(os.environ.get("DYNET_CACHE"), os.environ.get("XDG_CACHE_HOME"))


@functools.cache
def _cache_folder(wanted, home):
    candidates = [wanted] if wanted else [os.path.join(home or os.path.expanduser("~/.cache"), "dynet")]
    for folder in map(Path, candidates):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # asking for the rights would not find a disk that is read-only
                return folder.resolve()
        except OSError:
            continue
    # Modules are executed, so they must not lie where another user could have put them: a folder of this process alone.
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
    from llvmlite import binding

    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _INLINED for path in root.glob(pattern)):
        digest.update(path.read_bytes())
    versions = (numba.__version__, llvmlite.__version__, numpy.__version__, sys.version)
    processor = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    digest.update(repr((versions, platform.machine(), processor)).encode())
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
    with _lock:
        if name not in _modules:
            _modules[name] = _load(name, text)
        return _modules[name]


def direct(function, arguments):
    """Call a compiled function without Numba's look at the types of functions among its arguments, which takes longer than
    a short integration.

    Parameters
    ----------
    function : numba dispatcher
        Called before with arguments of these types; or not yet, then this call compiles it.
    arguments : tuple
        Compiled functions, whose types do not change from call to call, and contiguous arrays that may be written to, whose
        dimensions do not. Their element types may change.

    Returns
    -------
    object
        What the function returns.
    """
    kinds = function, "".join([a.dtype.char if isinstance(a, np.ndarray) else "f" for a in arguments])
    entry = _entries.get(kinds)
    if entry is not None:
        return entry(*arguments)
    result = function(*arguments)
    if len(function.overloads) == 1:  # no doubt that it was this one
        _entries[kinds] = next(iter(function.overloads.values())).entry_point
    return result


def on_disk(tag):
    """Whether some module of this tag lies on disk: cheap, as it asks neither for its text nor for the compilers' versions."""
    return any(cache_folder().glob(f"{tag}_*.py"))


def _load(name, text):
    folder = cache_folder()
    path = folder / f"{name}.py"
    if not path.exists():  # a file that exists is whole: it got its name when it was complete
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location(name, path)
    fresh = importlib.util.module_from_spec(spec)
    sys.modules[name] = fresh  # Numba finds the module of cached code by its name
    try:
        spec.loader.exec_module(fresh)
    except BaseException:
        del sys.modules[name]  # it did not compile: asking again says so again
        raise
    return fresh
