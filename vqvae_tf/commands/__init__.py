"""The command line: what `vqvae-tf` does; the only user of absl's FLAGS."""
