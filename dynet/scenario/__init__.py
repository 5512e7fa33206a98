"""Scenarios: one file, or one Python call, from a network to a certificate, a trajectory and a figure."""
