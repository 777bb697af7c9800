"""Video: the next frame given frames and an action."""
