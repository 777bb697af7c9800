"""Small tools; none of them knows a model."""
