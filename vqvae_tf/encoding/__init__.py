"""Encoding data as codes: arrays, recordings, whole data sets."""
