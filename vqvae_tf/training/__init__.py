"""Fitting models: stages, checkpoints, history, resuming a run."""
