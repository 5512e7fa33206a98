r"""Networks on disk: one ``.npz`` archive with the arrays, and a header in JSON that says what they are.

The header holds the format, the activation with its slopes, and for each array its shape, type and a digest of its
bytes. A file that is cut, altered or of another kind is refused with a message; nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["load", "read_arrays", "save", "write_arrays"]

FORMAT = "dynet-implicit-network"
VERSION = 1


def write_arrays(path, header, arrays):
    """Write arrays under a JSON header, to a temporary name first.

    >>> write_arrays("some.npz", {"format": "mine"}, {"a": np.arange(3)})
    >>> read_arrays("some.npz", "mine")[1]["a"]
    array([0, 1, 2])
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ArgumentError("path", str(path), "a file in a folder that exists")
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    table = {
        name: {"shape": list(a.shape), "dtype": a.dtype.name, "sha256": hashlib.sha256(a.tobytes()).hexdigest()}
        for name, a in arrays.items()
    }
    text = json.dumps({**header, "arrays": table})
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            np.savez(file, header=np.frombuffer(text.encode(), np.uint8), **arrays)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_arrays(path, format):
    """The header and the arrays of a file that :func:`write_arrays` wrote; ArgumentError where it is not whole.

    Parameters
    ----------
    path : str or Path
    format : str
        What the header must say.

    Returns
    -------
    header : dict
    arrays : dict of ndarray
    """
    path = Path(path)
    if not path.is_file():
        raise ArgumentError("path", str(path), "a file")

    def refuse(why):
        raise ArgumentError("path", str(path), f"a whole file of format {format!r}, but {why}") from None

    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            if "header" not in archive.files:
                refuse("it has no header")
            header = json.loads(archive["header"].tobytes().decode())
            if not isinstance(header, dict) or header.get("format") != format:
                refuse(f"it says {header.get('format') if isinstance(header, dict) else header!r}")
            arrays = {name: archive[name] for name in archive.files if name != "header"}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        if isinstance(error, ArgumentError):
            raise
        refuse(f"it cannot be read ({type(error).__name__}: cut short, or of another kind)")
    table = header.get("arrays", {})
    if sorted(table) != sorted(arrays):
        refuse("arrays are missing")
    for name, array in arrays.items():
        if hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() != table[name].get("sha256"):
            refuse(f"array {name} was altered")
    return header, arrays


def save(net, path):
    """Write a network to ``path``, an ``.npz`` archive.

    Parameters
    ----------
    net : ImplicitNetwork
        With a built-in activation.
    path : str or Path

    Raises
    ------
    ArgumentError
        For an activation that is a function of the user's: a file cannot hold it.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork.random(2, 3, 1)
    >>> net.save("net.npz")
    >>> bool((dn.ImplicitNetwork.load("net.npz").A == net.A).all())
    True
    """
    if net.activation.code is None:
        raise ArgumentError("activation", net.activation.name, "a built-in activation: a file cannot hold a function")
    arrays, sparse = {"weights": net.weights, "b": net.b, "d": net.d}, []
    for name in ("A", "B", "C"):
        matrix = getattr(net, name)
        if isinstance(matrix, np.ndarray):
            arrays[name] = matrix
        else:
            sparse.append(name)
            parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
            arrays.update({f"{name}.{part}": value for part, value in parts.items()})
    header = {
        "format": FORMAT,
        "version": VERSION,
        "activation": net.activation.name,
        "states": net.n,
        "inputs": net.inputs,
        "outputs": net.outputs,
        "sparse": sparse,
    }
    write_arrays(path, header, arrays)


def load(path):
    """Read a network that :func:`save` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    ImplicitNetwork

    Raises
    ------
    ArgumentError
        For a file that is missing, cut short, altered, or of another kind or version.
    """
    from .network import ImplicitNetwork

    header, arrays = read_arrays(path, FORMAT)
    if header.get("version") != VERSION:
        raise ArgumentError("path", Shown(f"{path}, version {header.get('version')}"), f"version {VERSION}")
    try:
        n, m, q = (header[name] for name in ("states", "inputs", "outputs"))
        shapes = {"A": (n, n), "B": (n, m), "C": (q, n)}
        for name in header["sparse"]:
            from scipy.sparse import csr_array

            parts = tuple(arrays.pop(f"{name}.{part}") for part in ("data", "indices", "indptr"))
            arrays[name] = csr_array(parts, shape=shapes[name])
            arrays[name].check_format(full_check=True)  # places outside of the matrix would be outside of its memory
        return ImplicitNetwork(**arrays, activation=header["activation"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(
            "path", str(path), f"a whole file of a network, but its parts do not fit: {error}"
        ) from None
