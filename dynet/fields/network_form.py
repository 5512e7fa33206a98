"""The structure of a network field for engines on other devices: node and edge functions of scalars, and arrays."""

from __future__ import annotations

import numpy as np

from ..engine.forms import NetworkForm
from .scalar import scalar_text

__all__ = ["network_form"]

_NODE, _EDGE = ("t", "x", "s", "p", "dx"), ("x", "y", "p", "s")


def network_form(field):
    """A :class:`~dynet.engine.forms.NetworkForm`, or None where the functions have no form of scalars, or inputs."""
    seen = {where: [k for k, v in field._kinds.items() if v in ("shared", where)] for where in ("node", "edge")}
    shapes = {where: dict.fromkeys(names, ()) for where, names in seen.items()}
    state, coupling = {"x": field.dim}, {"s": field.channels}
    node = edge = None
    if not field.node_inputs:
        node = scalar_text(field.node, "_node", state | coupling, ("dx", field.dim), shapes["node"], _NODE)
        edge = scalar_text(field.edge, "_edge", state | {"y": field.dim}, ("s", field.channels), shapes["edge"], _EDGE)
    if node is None or edge is None:
        return None
    slices, own = field.parameter_slices(), list(field.edge_params)
    places = {
        where: tuple(
            ("edge", own.index(k)) if field._kinds[k] == "edge" else (field._kinds[k], slices[k].start) for k in names
        )
        for where, names in seen.items()
    }
    rows, columns = field.edges
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=field.nodes))]).astype(np.int32)
    values = np.array([field.edge_params[k] for k in own]).reshape(len(own), len(rows)).T
    weights = np.asarray(field.matrix.data, float)
    return NetworkForm(
        node, edge, places["node"], places["edge"], field.nodes, field.dim, field.channels, indptr,
        columns.astype(np.int32), weights, np.ascontiguousarray(values),
    )  # fmt: skip
