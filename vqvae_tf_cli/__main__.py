"""`python -m vqvae_tf_cli`: the command, where it is not installed."""

from vqvae_tf_cli.main import main

main()
