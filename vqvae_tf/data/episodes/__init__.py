"""Episodes: files and tfds to clips."""
