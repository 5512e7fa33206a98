"""What models that stand on a graph share: checked numbers per node, and parameters that can be replaced."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import describe
from ..fields.network import NetworkField

__all__ = ["NetworkModel", "number", "numbers"]


class NetworkModel(NetworkField):
    """A model over :class:`~dynet.fields.network.NetworkField` that is made again when its graph or weight is replaced."""

    components = ()

    def _build(self, coupling, functions, arguments, params, **options):
        self.coupling, self._arguments = coupling, arguments
        node, edge = functions
        shared = {k: arguments[k] for k in ("weight", "edge_weight", "labels") if k in arguments}
        super().__init__(coupling, node, edge, params=params, **shared, **options)
        for key in self.params:
            if key in arguments:
                self._arguments = self._arguments | {key: self.params[key]}

    def _components(self):
        return self.components or super()._components()

    def replace(self, **params):
        for name, value in params.items():
            if name not in self._arguments:
                raise ArgumentError(name, value, f"a parameter of {self.name}", choices=self._arguments, word=name)
        return type(self)(self.coupling, **{**self._arguments, **params})


def number(name, value, *, least=None, above=None):
    """A finite number, not below `least`, above `above`."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = np.nan
    if not np.isfinite(found) or (least is not None and found < least) or (above is not None and found <= above):
        bound = f" of at least {least:g}" if least is not None else f" above {above:g}" if above is not None else ""
        raise ArgumentError(name, value, f"a number{bound}")
    return found


def numbers(name, value, size=None, *, least=None, above=None, what="nodes"):
    """A finite number, or `size` of them, not below `least`, above `above`; a float or an array of shape (size,)."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, f"a number, or one for each of the {what}") from None
    if array.ndim > 1 or (array.ndim and size is not None and array.shape != (size,)) or not np.isfinite(array).all():
        wanted = "a finite number" + (f", or one for each of the {size} {what}" if size else "")
        raise ArgumentError(name, describe(array), wanted)
    low = array.min(initial=np.inf)
    if (least is not None and low < least) or (above is not None and low <= above):
        bound = f"at least {least:g}" if least is not None else f"above {above:g}"
        raise ArgumentError(name, Shown(f"{low:g}"), f"numbers {bound}")
    return float(array) if array.ndim == 0 else array
