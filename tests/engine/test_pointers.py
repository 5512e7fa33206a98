"""Functions as addresses among the data: called as they are, and named where data are stored."""

import numpy as np

from dynet.engine.pointers import address, portable, stretch
from dynet.fields.waves import compiled


def test_an_address_is_replaced_by_a_name_that_does_not_change():
    place = compiled("constant")
    ints = np.array([7, place, 3])
    named = portable(ints)
    assert named[0] == 7 and named[2] == 3 and named[1] != place and ints[1] == place
    assert named[1] == portable(np.array([compiled("constant")]))[0] != portable(np.array([compiled("square")]))[0]


def test_a_stretch_is_a_part_of_an_array():
    from numba import njit

    @njit
    def total(a, first, count):
        part = stretch(a, first, count)
        return part.size, part.sum()

    assert total(np.arange(10.0), 3, 4) == (4, 18.0)
    assert callable(address)
