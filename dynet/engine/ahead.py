"""Compile ahead: the driver in a second process, while this one is busy with something else.

The first run on a machine compiles for several seconds, and Numba compiles one function at a time in a process. The driver
is the largest function and depends on no model; so a caller that knows that it will integrate later lets another
process compile it meanwhile, into the same store on disk (:mod:`dynet.engine.codegen`). Later runs find it there and start
nothing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from . import codegen

__all__ = ["compiling_driver"]

helpers = []  # the processes that compile for this one; the driver waits for them before it compiles anything itself
_PROGRAM = "from dynet.engine.drive import driver; driver()"


@contextlib.contextmanager
def compiling_driver():
    """Within this context the driver of the explicit methods is being compiled by another process.

    Nothing is started where a compiled driver lies on disk, even an old one, or where there is only one processor. If the
    other process fails, the driver is compiled where it is needed: nothing depends on this context but time.

    Examples
    --------
    >>> with compiling_driver():
    ...     pass  # certify, compile the model, ...
    """
    if helpers or (os.cpu_count() or 1) < 2 or codegen.on_disk("drive"):
        yield
        return
    path = os.pathsep.join(p for p in sys.path if p)
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    with contextlib.suppress(OSError):
        helpers.append(
            subprocess.Popen([sys.executable, "-c", _PROGRAM], env={**os.environ, "PYTHONPATH": path}, **nowhere)
        )
    try:
        yield
    finally:
        while helpers:
            process = helpers.pop()
            process.kill()  # it has ended long ago, unless this process stops early
            process.wait()
