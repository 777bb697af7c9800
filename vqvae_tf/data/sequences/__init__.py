"""Sequences of frames: moving pictures, oscillators, clips of episodes."""
