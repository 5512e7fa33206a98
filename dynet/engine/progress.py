"""Progress: a solver runs in a thread of its own while this one says how far it is and how long the rest will take."""

from __future__ import annotations

import sys
import threading
import time

__all__ = ["Done", "watched"]


class Done(float):
    """The fraction that is done, with the seconds that the rest will take (None before anything is done).

    >>> half = Done(0.5, elapsed=3.0)
    >>> float(half), half.left
    (0.5, 3.0)
    """

    def __new__(cls, fraction, elapsed):
        self = super().__new__(cls, min(1.0, fraction))
        self.left = elapsed * (1.0 - self) / self if self > 0 else None
        return self


def show(done):
    """One line on standard error, rewritten in place."""
    left = "" if done.left is None else f", {done.left:.0f} s left"
    sys.stderr.write(f"\r{100 * done:5.1f} %{left}   " + ("\n" if done >= 1 else ""))
    sys.stderr.flush()


def watched(work, monitor, progress):
    """Run `work` in a thread and report ``monitor[0]``; Ctrl-C asks the solver to stop.

    Parameters
    ----------
    work : callable
    monitor : ndarray, shape (2,)
    progress : callable or True
        Called with a :class:`Done` a few times a second, and at the end.
    """
    result, started = {}, time.monotonic()
    progress = show if progress is True else progress

    def run():
        try:
            result["value"] = work()
        except BaseException as error:
            result["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
            if thread.is_alive():
                progress(Done(float(monitor[0]), time.monotonic() - started))
    except BaseException:
        monitor[1] = 1.0
        thread.join()
        raise
    if "error" in result:
        raise result["error"]
    progress(Done(float(monitor[0]), time.monotonic() - started))
    return result["value"]
