"""Recordings: files and tfds to batches."""
