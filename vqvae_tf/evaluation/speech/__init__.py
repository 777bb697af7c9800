"""Figures of speech models."""
