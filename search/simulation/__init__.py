"""Simulated searches, without training, on a table of trained networks."""
