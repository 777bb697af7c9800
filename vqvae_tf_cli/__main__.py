"""`python -m vqvae_tf_cli`: the command without installing it."""

from vqvae_tf_cli.main import main

main()
