"""Records of prepared tfds data sets."""
