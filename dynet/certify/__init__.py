"""Certificates of contraction: found by search, proven by a check that does not trust it."""

from .certificate import Certificate
from .falsify import Falsification, falsify
from .function import confirm
from .region import Ball, Box, Orthant, PhaseCohesive, Simplex
from .search import certify
from .tube import Tube, tube

__all__ = ["Ball", "Box", "Certificate", "Falsification", "Orthant", "PhaseCohesive", "Simplex", "Tube", "certify",
           "confirm", "falsify", "tube"]  # fmt: skip

# dynet.certify is the function, for users: what belongs to it is within reach there, too
certify.tube, certify.falsify, certify.confirm = tube, falsify, confirm
