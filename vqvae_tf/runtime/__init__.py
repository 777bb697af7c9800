"""Steps, replicas, precision, random numbers: what all models share."""
