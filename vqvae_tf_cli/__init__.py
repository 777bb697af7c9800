"""The light half of the `vqvae-tf` command: arguments, help, start.

Beside the package, not inside: importing any part of `vqvae_tf` imports
TensorFlow, which takes seconds that a help text need not cost.
"""
