"""The light half of the `vqvae-tf` command: arguments, help, start.

It is a package of its own, since importing any part of `vqvae_tf` imports
TensorFlow, and help should not take seconds.
"""
