"""From data to codes: arrays, recordings, whole data sets."""
