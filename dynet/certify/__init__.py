"""Certificates of contraction: found by search, proven by a check that does not trust it."""

from .certificate import Certificate
from .search import certify

__all__ = ["Certificate", "certify"]
