"""Figures of models of sequences."""
