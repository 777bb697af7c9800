"""Fitting models: checkpoints, resumption, history."""
