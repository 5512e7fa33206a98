"""Compiled loops over blocks of trajectories; knows functions and arrays, no model."""
