"""`python -m vqvae_tf.commands`; slow, since it imports TensorFlow first."""

if __name__ == "__main__":
    from vqvae_tf_cli.main import main

    main()
