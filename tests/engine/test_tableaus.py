"""The coefficients: the order conditions of every method, in rational arithmetic.

Coefficients that their authors published as decimals meet the conditions to as many digits: :data:`DIGITS`.
"""

import functools
from fractions import Fraction as Q

import numpy as np
import pytest

from dynet.engine.tableaus import TABLEAUS

#: How far a condition may be from exact.
DIGITS = {"tsit5": 2e-14, "dop853": 1e-25}
#: The same within the dense output.
DENSE_DIGITS = {"tsit5": 2e-12, "dop853": 1e-22, "vern7": 1e-30}
DENSE_ORDER = {"dopri5": 4, "tsit5": 4, "dop853": 7, "vern7": 6}

EACH = pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=lambda tableau: tableau.name)


@functools.cache
def trees(order):
    """Rooted trees with `order` vertices, as sorted tuples of subtrees."""

    def forests(vertices, largest):
        if vertices == 0:
            yield ()
            return
        for size in range(1, vertices + 1):
            for tree in trees(size):
                if (size, tree) <= largest:
                    for rest in forests(vertices - size, (size, tree)):
                        yield (tree, *rest)

    return list(forests(order - 1, (order, ())))


def order(tree):
    return 1 + sum(map(order, tree))


def gamma(tree):
    """The density: the exact solution has the weight 1 / gamma."""
    product = order(tree)
    for branch in tree:
        product *= gamma(branch)
    return product


def weights(tree, a):
    """The elementary weight of each stage."""
    a = tuple(tuple(map(Q, row)) for row in a)
    return _weights(tree, a)


@functools.cache
def _weights(tree, a):
    result = [Q(1)] * len(a)
    for branch in tree:
        inner = _weights(branch, a)
        result = [
            w * sum((x * v for x, v in zip(row, inner, strict=False) if x), Q(0))
            for w, row in zip(result, a, strict=True)
        ]
    return result


def total(b, tree, a):
    return sum((Q(x) * w for x, w in zip(b, weights(tree, a), strict=False)), Q(0))


def test_there_are_as_many_trees_as_the_books_say():
    assert [len(trees(k)) for k in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]


def near(value, exact, name, digits=DIGITS):
    return abs(value - exact) <= digits.get(name, 0)


@EACH
def test_rows_sum_to_the_nodes_and_the_last_stage_is_the_new_point(tableau):
    for row, c in zip(tableau.a, tableau.c, strict=True):
        assert near(sum(map(Q, row), Q(0)), Q(c), tableau.name)
    assert [len(row) for row in tableau.a] == list(range(tableau.stages))
    assert [len(row) for row in tableau.extra] == [tableau.stages + i for i in range(len(tableau.extra))]
    assert tableau.c[0] == 0 and near(tableau.c[-1], 1, tableau.name)


def test_the_nodes_of_the_long_methods_are_those_of_the_books():
    dop853 = (
        "0 0.0526001519587677 0.0789002279381516 0.118350341907227 0.281649658092773 1/3 1/4 4/13 127/195 3/5 6/7 1 1"
    )
    vern7 = "0 1/200 49/450 49/300 911/2000 3480084980/5709648941 221/250 37/40 1 1 1"
    for name, text in (("dop853", dop853), ("vern7", vern7)):
        assert np.allclose(
            [float(c) for c in TABLEAUS[name].c], [float(Q(w)) for w in text.split()], rtol=0, atol=1e-14
        )
    extra = [[float(sum(row)) for row in TABLEAUS[name].extra] for name in ("dop853", "vern7")]
    assert np.allclose(extra[0], [0.1, 0.2, 7 / 9]) and np.allclose(extra[1], [0.29, 0.125, 0.25, 0.53, 0.79])


@EACH
def test_the_method_has_its_order_and_not_one_more(tableau):
    for k in range(1, tableau.order + 1):
        for tree in trees(k):
            assert near(total(tableau.a[-1], tree, tableau.a), Q(1, gamma(tree)), tableau.name), tree
    wrong = [abs(total(tableau.a[-1], tree, tableau.a) - Q(1, gamma(tree))) for tree in trees(tableau.order + 1)]
    assert max(wrong) > 1e-7


@EACH
def test_the_error_estimate_vanishes_up_to_its_order(tableau):
    if tableau.error is None:
        return
    # one order lower than the method; of dop853 e^2 / low, orders 5 and 3, is of order 2 * 6 - 4 = 8
    for estimate, first in ((tableau.error, 6 if tableau.low else tableau.order), (tableau.low, 4)):
        if estimate is not None:
            sizes = [[abs(total(estimate, tree, tableau.a)) for tree in trees(k)] for k in range(1, first + 1)]
            assert max(map(max, sizes[:-1]), default=0) <= DIGITS.get(tableau.name, 0)
            assert max(sizes[-1]) > 1e-5


@EACH
def test_the_dense_output_has_its_order_at_every_point_of_the_step(tableau):
    # b(theta) must satisfy sum b_i(theta) w_i = theta^k / gamma, an identity between polynomials.
    exact = tableau.polynomials is not None
    rows = tableau.polynomials if exact else [[Q(v).limit_denominator(100) for v in row] for row in tableau.dense()]
    order = DENSE_ORDER.get(tableau.name, min(3, tableau.order))
    for k in range(1, order + 1):
        for tree in trees(k):
            for power in range(1, len(rows[0]) + 1):
                found = total([row[power - 1] for row in rows], tree, tableau.a + tableau.extra)
                wanted = Q(1, gamma(tree)) if power == k else 0
                assert near(found, wanted, tableau.name, DENSE_DIGITS), (tree, power)


@EACH
def test_the_dense_output_meets_both_ends_with_their_slopes(tableau):
    dense = tableau.dense()
    unit = np.eye(len(dense))
    powers = np.arange(1, dense.shape[1] + 1)
    end = np.zeros(len(dense))
    end[: tableau.stages - 1] = [*map(float, tableau.a[-1])]
    assert np.allclose(dense.sum(axis=1), end, rtol=0, atol=1e-12)
    assert np.allclose(dense[:, 0], unit[0], rtol=0, atol=1e-14)
    assert np.allclose(dense @ powers, unit[tableau.stages - 1], rtol=0, atol=3e-12)


def test_how_far_the_methods_are_stable():
    # the growth of x' = -x over one step of size h, from the definition of the method
    for tableau in TABLEAUS.values():
        for h, stable in ((tableau.reach - 0.02, True), (tableau.reach + 0.02, False)):
            k = []
            for row in tableau.a:
                k.append(-(1 + h * sum(float(w) * v for w, v in zip(row, k, strict=True))))
            growth = 1 + h * sum(float(w) * v for w, v in zip(tableau.a[-1], k, strict=False))
            assert (abs(growth) <= 1) == stable, tableau.name
    assert abs(TABLEAUS["dopri5"].reach - 3.3066) < 0.01 and abs(TABLEAUS["rk4"].reach - 2.785) < 0.01
