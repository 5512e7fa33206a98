"""Scenarios: one file, or one Python call, from a network to a certificate, a trajectory and a figure."""

from .report import Report
from .scenario import Scenario

__all__ = ["Report", "Scenario"]
