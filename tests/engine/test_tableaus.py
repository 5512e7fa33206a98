"""The coefficients: the order conditions of every method, in rational arithmetic."""

from fractions import Fraction as Q

import numpy as np
import pytest

from dynet.engine.tableaus import TABLEAUS

EACH = pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=lambda tableau: tableau.name)


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
    result = [Q(1)] * len(a)
    for branch in tree:
        inner = weights(branch, a)
        result = [
            w * sum((Q(x) * v for x, v in zip(row, inner, strict=False)), Q(0))
            for w, row in zip(result, a, strict=True)
        ]
    return result


def total(b, tree, a):
    return sum((Q(x) * w for x, w in zip(b, weights(tree, a), strict=False)), Q(0))


def test_there_are_as_many_trees_as_the_books_say():
    assert [len(trees(k)) for k in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@EACH
def test_rows_sum_to_the_nodes_and_the_last_stage_is_the_new_point(tableau):
    assert [sum(map(Q, row), Q(0)) for row in tableau.a] == [Q(c) for c in tableau.c]
    assert [len(row) for row in tableau.a] == list(range(tableau.stages))
    assert tableau.c[0] == 0 and tableau.c[-1] == 1


@EACH
def test_the_method_has_its_order_and_not_one_more(tableau):
    conditions = [(k, tree) for k in range(1, tableau.order + 2) for tree in trees(k)]
    wrong = [k for k, tree in conditions if total(tableau.a[-1], tree, tableau.a) != Q(1, gamma(tree))]
    assert wrong and set(wrong) == {tableau.order + 1}


@EACH
def test_the_error_estimate_is_one_order_lower(tableau):
    if tableau.error is None:
        return
    vanishing = [total(tableau.error, tree, tableau.a) == 0 for k in range(1, tableau.order) for tree in trees(k)]
    assert all(vanishing)
    assert any(total(tableau.error, tree, tableau.a) for tree in trees(tableau.order))


@EACH
def test_the_dense_output_has_its_order_at_every_point_of_the_step(tableau):
    # b(theta) must satisfy sum b_i(theta) w_i = theta^k / gamma, an identity between polynomials.
    exact = tableau.polynomials is not None
    rows = tableau.polynomials if exact else [[Q(v).limit_denominator(100) for v in row] for row in tableau.dense()]
    degree = len(rows[0])
    for k in range(1, (4 if exact else 3) + 1):
        for tree in trees(k):
            for power in range(1, degree + 1):
                found = total([row[power - 1] for row in rows], tree, tableau.a)
                assert found == (Q(1, gamma(tree)) if power == k else 0), (tree, power)


@EACH
def test_the_dense_output_meets_both_ends_with_their_slopes(tableau):
    dense, unit = tableau.dense(), np.eye(tableau.stages)
    powers = np.arange(1, dense.shape[1] + 1)
    assert np.allclose(dense.sum(axis=1), [*map(float, tableau.a[-1]), 0.0], rtol=0, atol=1e-14)
    assert np.allclose(dense[:, 0], unit[0], rtol=0, atol=1e-15)
    assert np.allclose(dense @ powers, unit[-1], rtol=0, atol=1e-13)
