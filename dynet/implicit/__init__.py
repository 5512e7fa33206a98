"""Implicit networks: solved with proof, trained, certified."""
