"""Pictures: files, arrays and tfds to batches."""
