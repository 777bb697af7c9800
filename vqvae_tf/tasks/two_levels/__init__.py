"""Codes of codes: a second level over the codes of a preset."""
