r"""Systems made of systems: parts of any form, and links between them,

.. math:: \dot x_i = f_i(t, x_i) + \sum_j L_{ij}x_j + \sum_j g_{ij}(t, x_j).

The parts keep their own compiled right-hand sides; one compiled function, the same for all interconnections, calls them by
their addresses on their rows of the block and adds the links (:mod:`dynet.engine.pointers`). So an interconnection compiles
nothing of its own, and costs what its parts and links cost.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..engine import codegen
from ..engine.block import BlockRHS
from ..engine.pointers import address
from ..errors import ArgumentError, Shown
from . import kernels
from .base import VectorField
from .facts import Facts
from .links import Link
from .lure import as_matrix, product
from .signal import Constant, Joined

__all__ = ["InterconnectionField", "Leaf"]

_RECORD = 12  # ints for each part, and for each link


class Leaf(NamedTuple):
    """A part that is no interconnection itself: its name, its model, and where its states begin."""

    name: str
    model: VectorField
    first: int


class InterconnectionField(VectorField):
    """What :func:`dynet.interconnect` makes, without its certificates.

    Parameters
    ----------
    parts : dict of str to VectorField
    links : dict of (str, str) to matrix or Link

    Attributes
    ----------
    parts : dict of str to VectorField
    links : dict of (str, str) to ndarray, csr_array or Link
        Checked; the key is (from, to).
    starts : dict of str to int
        Where the states of each part begin.
    """

    name = "Interconnection"
    equation = "x_i' = f_i(t, x_i) + sum_j L_ij x_j"

    def __init__(self, parts, links):
        self.parts = _checked_parts(parts)
        self.starts = dict(zip(self.parts, np.cumsum([0, *(m.n for m in self.parts.values())]).tolist(), strict=False))
        self.links = _checked_links(links, self.parts)
        params = {f"{name}.{key}": v for name, model in self.parts.items() for key, v in model.params.items()}
        for (source, to), link in self.links.items():
            if isinstance(link, Link):
                params |= {f"{source}->{to}.{key}": v for key, v in link.params.items()}
        labels = [f"{name}.{label}" for name, model in self.parts.items() for label in model.labels]
        models = self.parts.values()
        super().__init__(sum(m.n for m in models), labels=labels, params=params, inputs=sum(m.inputs for m in models))
        if any(m.input is not None for m in models):
            own = [m.input if m.input is not None else Constant(np.zeros(m.inputs)) for m in models if m.inputs]
            steady = all(isinstance(signal, Constant) for signal in own)
            self.input = Constant(np.concatenate([s.value for s in own])) if steady else Joined(tuple(own))

    @property
    def facts(self):
        return Facts(theorem="contracting where the gain matrix of contracting parts is Hurwitz")

    def leaves(self):
        """The parts that are no interconnections, with their full names: a list of :class:`Leaf`."""
        found = []
        for name, model in self.parts.items():
            inner = model.leaves() if isinstance(model, InterconnectionField) else [Leaf("", model, 0)]
            found += [
                Leaf(f"{name}.{leaf.name}".rstrip("."), leaf.model, self.starts[name] + leaf.first) for leaf in inner
            ]
        return found

    def couplings(self):
        """All links as two sparse matrices (n, n): the matrices as they stand, and bounds on the slopes of functions.

        A number L as Lipschitz constant stands for a row whose bounds all are L, which is what it implies entry by entry.
        """
        from scipy.sparse import coo_array

        triples = ([], [], []), ([], [], [])
        for (source, to), link in self.links.items():
            given = isinstance(link, Link)
            shape = (self.parts[to].n, self.parts[source].n)
            matrix = np.broadcast_to(link.lipschitz, shape) if given else link
            matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
            entries = coo_array(matrix)
            for store, values in zip(triples[given], (entries.row + self.starts[to], entries.col + self.starts[source],
                                                      entries.data), strict=True):  # fmt: skip
                store.append(values)
        for name, model in self.parts.items():
            if isinstance(model, InterconnectionField):
                for store, inner in zip(triples, model.couplings(), strict=True):
                    entries = inner.tocoo()
                    for values, more in zip(store, (entries.row + self.starts[name], entries.col + self.starts[name],
                                                    entries.data), strict=True):  # fmt: skip
                        values.append(more)
        made = []
        for rows, columns, data in triples:
            where = tuple(np.concatenate(v) if v else np.empty(0, int) for v in (rows, columns))
            matrix = coo_array((np.concatenate(data) if data else np.empty(0), where), shape=(self.n, self.n)).tocsr()
            matrix.sum_duplicates()
            matrix.sort_indices()
            made.append(matrix)
        return tuple(made)

    def rhs(self, t, x, u=None):
        x = self.check_state(x)
        own, at = [], 0
        for name, model in self.parts.items():
            channels = (
                None if u is None or not model.inputs else np.asarray(u, dtype=float)[..., at : at + model.inputs]
            )
            own.append(model.rhs(t, self._of(x, name), channels))
            at += model.inputs
        out = np.concatenate(own, axis=-1)
        for (source, to), link in self.links.items():
            y = self._of(x, source)
            n = self.parts[to].n
            if isinstance(link, Link):
                more = np.apply_along_axis(lambda row, link=link, n=n: link(t, row, n), -1, y)
            else:
                more = product(link, y)
            out[..., self.starts[to] : self.starts[to] + n] += more
        return out

    def rhs_error(self, t, x, u=None):
        """A bound on the rounding error of :meth:`rhs`, where all parts have one and all links are matrices."""
        x = self.check_state(x)
        error, size, at = [], [], 0
        for name, model in self.parts.items():
            channels = (
                None if u is None or not model.inputs else np.asarray(u, dtype=float)[..., at : at + model.inputs]
            )
            error.append(model.rhs_error(t, self._of(x, name), channels))
            size.append(np.abs(model.rhs(t, self._of(x, name), channels)))
            at += model.inputs
        if any(e is None for e in error) or any(isinstance(link, Link) for link in self.links.values()):
            return None
        error, size = np.concatenate(error, axis=-1), np.concatenate(size, axis=-1)
        terms = len(self.links) + 8
        for (source, to), link in self.links.items():
            size[..., self.starts[to] : self.starts[to] + self.parts[to].n] += product(
                abs(link), abs(self._of(x, source))
            )
            terms += self.parts[source].n
        return 1.001 * (error + size * terms * 2.0**-53) + 1e-300

    def jacobian(self, t, x, u=None):
        """Sparse where there are more than 64 states, dense otherwise."""
        from scipy.sparse import block_diag, coo_array, csr_array

        x = self.check_state(x)
        own, at = [], 0
        for name, model in self.parts.items():
            channels = None if u is None or not model.inputs else np.asarray(u, dtype=float)[at : at + model.inputs]
            own.append(csr_array(model.jacobian(t, self._of(x, name), channels)))
            at += model.inputs
        J = csr_array(block_diag(own, format="csr"))
        for (source, to), link in self.links.items():
            matrix = link.jacobian(t, self._of(x, source), self.parts[to].n) if isinstance(link, Link) else link
            entries = coo_array(np.diag(matrix) if matrix.ndim == 1 else matrix)
            where = (entries.row + self.starts[to], entries.col + self.starts[source])
            J = J + coo_array((entries.data, where), shape=(self.n, self.n)).tocsr()
        return J if self.n > 64 else J.toarray()

    def jacobian_pattern(self):
        from scipy.sparse import csr_array

        links = sum(abs(m) for m in self.couplings())
        rows, columns = [], []
        for name, model in self.parts.items():
            pattern = model.jacobian_pattern()
            if pattern is None:
                return None
            indptr, indices = pattern
            rows.append(np.repeat(np.arange(model.n), np.diff(indptr)) + self.starts[name])
            columns.append(np.asarray(indices) + self.starts[name])
        rows, columns = np.concatenate(rows), np.concatenate(columns)
        whole = csr_array((np.ones(rows.size), (rows, columns)), shape=(self.n, self.n)) + (links != 0).astype(float)
        whole.sort_indices()
        return whole.indptr, whole.indices

    def block(self, signal=None, precision="float64"):
        """The compiled right-hand side; see ``_interconnected`` for what the data hold."""
        if precision != "float64":
            raise ArgumentError("precision", precision, "'float64': interconnections are computed in double precision")
        records, reals, ints = [], [np.empty(0)], []
        head = 4 + _RECORD * (len(self.parts) + len(self.links))
        counts = [0, head]

        def append(some_reals, some_ints):
            at = tuple(counts)
            reals.append(np.asarray(some_reals, dtype=float))
            ints.append(np.asarray(some_ints, dtype=np.int64))
            counts[0] += reals[-1].size
            counts[1] += ints[-1].size
            return at

        work, parameter, channel, wanted = 0, 0, 0, []
        for name, model in self.parts.items():
            one = None if signal is None or not model.inputs else signal.channels(channel, channel + model.inputs)
            if hasattr(one, "first"):  # an input of each lane, whose rows the part counts from its own first parameter
                one = type(one)(one.size, one.first - parameter)
            block = model.block(one)
            at = append(block.reals, block.ints)
            records.append([address(block.function), self.starts[name], model.n, parameter, work, block.work_rows,
                            at[0], block.reals.size, at[1], block.ints.size, 0, 0])  # fmt: skip
            work += block.work_rows
            parameter += model.parameter_vector().size
            channel += model.inputs
            wanted += [block.lanes] if block.lanes else []
        for (source, to), link in self.links.items():
            places = [self.starts[source], self.parts[source].n, self.starts[to], self.parts[to].n]
            if isinstance(link, Link):
                function = codegen.module(link.source, tag="link").rhs
                records.append([-1, *places, address(function), parameter, 0, 0, 0, 0, 0])
                parameter += link.parameter_vector().size
            else:
                kind, some_reals, some_ints = kernels.pack_matrix(link)
                at = append(some_reals, some_ints)
                records.append([kind, *places, 0, 0, at[0], len(some_reals), at[1], len(some_ints), 0])
        scratch = max((self.parts[to].n for (_, to), link in self.links.items() if isinstance(link, Link)), default=1)
        header = np.array([len(self.parts), len(self.links), work, scratch, *np.ravel(records)], np.int64)
        return BlockRHS(_compiled(), self.n, work + scratch, np.concatenate(reals), np.concatenate([header, *ints]),
                        lanes=min(wanted, default=None))  # fmt: skip

    def parameter_vector(self):
        links = (link for link in self.links.values() if isinstance(link, Link))
        return np.concatenate([v.parameter_vector() for v in (*self.parts.values(), *links)])

    def parameter_slices(self):
        slices, at = {}, 0
        for name, model in self.parts.items():
            for key, where in model.parameter_slices().items():
                slices[f"{name}.{key}"] = slice(at + where.start, at + where.stop)
            at += model.parameter_vector().size
        for (source, to), link in self.links.items():
            for key, value in link.params.items() if isinstance(link, Link) else ():
                slices[f"{source}->{to}.{key}"] = slice(at, at + np.size(value))
                at += np.size(value)
        return slices

    def replace(self, **params):
        """The same interconnection with other parameters of parts and links: ``replace(**{"part.name": value})``."""
        parts, links = dict(self.parts), dict(self.links)
        for key, value in params.items():
            if key not in self.params:
                raise ArgumentError(key, value, f"a parameter of {self.name}", choices=self.params, word=key)
            owner, _, word = key.partition(".")
            if owner in parts:
                parts[owner] = parts[owner].replace(**{word: value})
            else:
                ends = tuple(owner.split("->"))
                link = links[ends]
                links[ends] = Link(link.function, link.lipschitz, link.params | {word: value})
        return type(self)(parts, links)

    def _of(self, x, name):
        first = self.starts[name]
        return x[..., first : first + self.parts[name].n]


def _checked_parts(parts):
    if not isinstance(parts, dict) or not parts:
        raise ArgumentError("parts", parts, "a dict from names to models, with at least one part")
    for name, model in parts.items():
        if not isinstance(name, str) or not name or "." in name or "->" in name:
            raise ArgumentError("parts", name, "names that are texts without '.' and '->'")
        if not isinstance(model, VectorField):
            raise ArgumentError(f"parts[{name!r}]", model, "a model: dn.models.*, or a function under @dn.vector_field")
    return dict(parts)


def _checked_links(links, parts):
    if not isinstance(links, dict):
        raise ArgumentError("links", links, "a dict from pairs (from, to) to matrices or Links")
    checked = {}
    for key, value in links.items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise ArgumentError("links", key, "keys that are pairs (from, to) of names of parts")
        for end in key:
            if end not in parts:
                raise ArgumentError(f"links[{key!r}]", end, "the name of a part", choices=parts, word=str(end))
        source, to = (parts[end] for end in key)
        if key[0] == key[1]:
            raise ArgumentError(f"links[{key!r}]", Shown("a link from a part to itself"), "two different parts")
        if isinstance(value, tuple) and len(value) == 2 and callable(value[0]):
            value = Link(*value)
        if callable(value) and not isinstance(value, Link):
            raise ArgumentError(f"links[{key!r}]", Shown("a function alone"), "a pair (function, Lipschitz constant)")
        if isinstance(value, Link):
            value.check(f"links[{key!r}]", to, source)
            checked[key] = value
            continue
        if np.ndim(value) == 0 and not hasattr(value, "tocsr") and to.n == source.n == 1:
            value = [[value]]
        matrix = as_matrix(f"links[{key!r}]", value)
        shape = matrix.shape * 2 if matrix.ndim == 1 else matrix.shape
        if shape != (to.n, source.n):
            expected = f"shape ({to.n}, {source.n}): the states of {key[1]!r} by those of {key[0]!r}"
            raise ArgumentError(f"links[{key!r}]", Shown(f"a matrix of shape {shape}"), expected)
        checked[key] = matrix
    return checked


def _interconnected(t, y, p, reals, ints, work, out):
    """Call every part on its rows, then add the links.

    The header of `ints` has the numbers of parts and links, the rows of scratch of all parts and those of a link; then for
    each part its address, first state, states, first parameter, first row of scratch, rows, and where its data lie; for each
    link its kind of matrix (-1 for a function), both ends, the address and the first parameter of a function, and data.
    """
    lanes = y.shape[1]
    parameters = p.shape[0]
    for k in range(ints[0]):
        at = 4 + 12 * k
        first, n = ints[at + 1], ints[at + 2]
        call_rhs(
            ints[at], t, window(y, first * lanes, n, lanes),
            window(p, ints[at + 3] * lanes, parameters - ints[at + 3], lanes),
            stretch(reals, ints[at + 6], ints[at + 7]), stretch(ints, ints[at + 8], ints[at + 9]),
            window(work, ints[at + 4] * lanes, ints[at + 5], lanes), window(out, first * lanes, n, lanes),
        )  # fmt: skip
    for k in range(ints[1]):
        at = 4 + 12 * (ints[0] + k)
        x = window(y, ints[at + 1] * lanes, ints[at + 2], lanes)
        n = ints[at + 4]
        s = window(out, ints[at + 3] * lanes, n, lanes)
        if ints[at] >= 0:
            add_product(
                ints[at], stretch(reals, ints[at + 7], ints[at + 8]), stretch(ints, ints[at + 9], ints[at + 10]), x, s
            )
        else:
            extra = window(work, ints[2] * lanes, n, lanes)
            call_rhs(
                ints[at + 5], t, x, window(p, ints[at + 6] * lanes, parameters - ints[at + 6], lanes),
                stretch(reals, 0, 0), stretch(ints, 0, 0), window(work, ints[2] * lanes, 1, lanes), extra,
            )  # fmt: skip
            s1, e1 = flat(s), flat(extra)
            for q in range(n * lanes):
                s1[q] += e1[q]


@functools.cache
def _compiled():
    head = """
from numba import cfunc
from dynet.engine.block import FASTMATH, RHS, flat, window
from dynet.engine.pointers import call_rhs, stretch
from dynet.fields.kernels import add_product
"""
    last = "\nrhs = cfunc(RHS, cache=True, fastmath=FASTMATH, error_model='numpy')(_interconnected)\n"
    return codegen.module(head, _interconnected, last, tag="interconnection").rhs
