"""Checkpoints: a run that was killed goes on where it was, with the same bits.

All that a driver knows lies in arrays; a checkpoint is these arrays, in one file that is written whole or not at all. The
file carries a digest of the run (states, parameters, times, tolerances, method, and the source of the right-hand side), so
that it is never continued as another one.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from pathlib import Path

import numpy as np

from ..errors import ArgumentError

__all__ = ["Checkpoint"]


class Checkpoint:
    """A file that a run stores itself in, and starts from when it is there.

    Parameters
    ----------
    path : path
    every : float
        Seconds between two stores.
    """

    def __init__(self, path, every=60.0):
        self.path, self.every, self.last = Path(path), float(every), time.monotonic()

    def begin(self, arrays, facts):
        """Fill `arrays` (name -> array) from the file if there is one of the same run; True when it was."""
        digest = hashlib.sha256()
        for fact in facts:
            digest.update(np.asarray(fact).tobytes() if not isinstance(fact, str) else fact.encode())
        self.digest = digest.hexdigest()
        if not self.path.exists():
            return False
        try:
            with np.load(self.path) as file:
                found = {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ArgumentError("checkpoint", str(self.path), f"a checkpoint, or a new file ({error})") from None
        if str(found.pop("digest", "")) != self.digest:
            raise ArgumentError(
                "checkpoint",
                str(self.path),
                "the checkpoint of the same run (model, states, times, method): another file",
            )
        for name, array in arrays.items():
            array[...] = found[name]
        return True

    def offer(self, arrays):
        """Store `arrays` when it is time to."""
        if time.monotonic() - self.last < self.every:
            return
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                np.savez(file, digest=np.array(self.digest), **arrays)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self.last = time.monotonic()

    def end(self):
        """The run is over: the file has served."""
        self.path.unlink(missing_ok=True)
