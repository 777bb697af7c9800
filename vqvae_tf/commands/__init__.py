"""The commands of `vqvae-tf`; only they use absl's FLAGS."""
