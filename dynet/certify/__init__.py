"""Certificates of contraction: found by search, proven by a check that does not trust it."""

from .certificate import Certificate
from .falsify import Falsification, falsify
from .function import confirm
from .interconnect import breaking_loop, gains
from .region import Ball, Box, Orthant, PhaseCohesive, Simplex
from .search import certify
from .synchronise import synchronisation
from .tube import Tube, tube

__all__ = ["Ball", "Box", "Certificate", "Falsification", "Orthant", "PhaseCohesive", "Simplex", "Tube", "breaking_loop",
           "certify", "confirm", "falsify", "gains", "synchronisation", "tube"]  # fmt: skip

# dynet.certify is the function, for users: what belongs to it is within reach there, too
certify.tube, certify.falsify, certify.confirm = tube, falsify, confirm
certify.gains, certify.synchronisation = gains, synchronisation
