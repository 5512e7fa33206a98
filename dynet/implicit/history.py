"""What a training returns: the network, how it ended and one row for each epoch; and the file that it resumes from.

A checkpoint holds everything that the next epoch depends on: parameters, moments, the averaged and the best parameters,
the number of steps, the rows so far. The order of the samples and what is dropped follow from seed and epoch, so a run
that was stopped and goes on has the bits of one that was not. The file names its network and its run by digests, and is
never continued as another one.
"""

from __future__ import annotations

import csv
import html
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import ArgumentError

__all__ = ["COLUMNS", "Checkpoint", "History"]

#: One row of the log: column -> what it is.
COLUMNS = {
    "epoch": "its number, from 1",
    "loss": "mean over the batches, with the penalty",
    "accuracy": "fraction of the training samples that were classified rightly, before each step",
    "iterations": "mean number of sweeps to the fixed point",
    "adjoint_iterations": "mean number of sweeps to the adjoint",
    "residual": "largest fixed-point residual of any batch",
    "lipschitz": "bound on the Lipschitz constant of the network at the end of the epoch",
    "rate": "of Adam, in the last batch",
    "eps": "half-width of the box of the worst case",
    "kappa": "weight of the worst case in the loss",
    "validation": "accuracy on the validation set; nan without one",
    "seconds": "wall time",
    "processor_seconds": "time of the processor",
}


@dataclass(frozen=True, eq=False)
class History:
    """The result of :func:`dynet.implicit.fit`.

    Attributes
    ----------
    net : ImplicitNetwork or ExplicitNetwork
        After the last epoch; the best on the validation set where training stopped early; that of the last good epoch
        where it diverged.
    status : str
        ``"finished"``, ``"stopped early"`` or ``"diverged"``.
    reason : str
        What happened, and what to try next.
    log : ndarray, shape (epochs, columns)
    columns : tuple of str
        Keys of :data:`dynet.implicit.history.COLUMNS`.

    Examples
    --------
    >>> import dynet as dn
    >>> digits = dn.implicit.load("digits")
    >>> net = dn.ImplicitNetwork.random(64, 10, 10, gamma=0.0)
    >>> history = dn.implicit.fit(net, digits.train, digits.train_labels, epochs=2)
    >>> history.status, history["accuracy"].shape, bool(history["residual"].max() <= 1e-4)
    ('finished', (2,), True)
    """

    net: object
    status: str
    reason: str
    log: np.ndarray = field(repr=False)
    columns: tuple = field(default=tuple(COLUMNS), repr=False)

    @property
    def ok(self):
        """Whether training did not diverge."""
        return self.status != "diverged"

    def __getitem__(self, column):
        """One column of the log, shape (epochs,)."""
        if column not in self.columns:
            raise ArgumentError("column", column, "a column of the log", choices=self.columns)
        return self.log[:, self.columns.index(column)]

    def __str__(self):
        lines = [f"{self.status} after {len(self.log)} epochs: {self.reason}"]
        if len(self.log):
            shown = ("epoch", "loss", "accuracy", "validation", "iterations", "residual", "lipschitz", "seconds")
            lines.append("  " + " ".join(f"{name:>10}" for name in shown))
            picks = sorted({0, len(self.log) - 1, *np.linspace(0, len(self.log) - 1, 8).round().astype(int).tolist()})
            lines += ["  " + " ".join(f"{self[name][k]:>10.4g}" for name in shown) for k in picks]
        return "\n".join(lines)

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"

    def save(self, path):
        """Write the log as a table of comma-separated values; the file appears whole."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(self.columns)
                writer.writerows([[f"{value:.9g}" for value in row] for row in self.log])
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


class Checkpoint:
    """The file that a training stores itself in.

    Parameters
    ----------
    path : path
    network, run : str
        Digests of the network at the start, and of everything else that decides the bits of the run.
    """

    def __init__(self, path, network, run):
        self.path, self.network, self.run = Path(path), network, run
        if not self.path.parent.is_dir():
            raise ArgumentError("checkpoint", str(path), "a file in a folder that exists")

    def load(self):
        """The arrays of the file by name, or None where there is no file.

        Raises
        ------
        ArgumentError
            For a file that is damaged, or that belongs to another network or another run.
        """
        try:
            with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ArgumentError(
                "checkpoint", str(self.path), f"a readable checkpoint, or a new file ({error})"
            ) from None
        if str(found.pop("network", "")) != self.network:
            raise ArgumentError(
                "checkpoint", str(self.path), "a checkpoint of this network, and this one is of another"
            )
        if str(found.pop("run", "")) != self.run:
            raise ArgumentError(
                "checkpoint", str(self.path), "a checkpoint of the same training: the same data, epochs, rates and seed"
            )
        return found

    def store(self, arrays):
        """Write the arrays; the file appears whole or not at all."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with open(temporary, "wb") as file:
                np.savez(file, network=np.array(self.network), run=np.array(self.run), **arrays)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
