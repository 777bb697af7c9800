"""`python -m vqvae_tf.commands`, which has imported TensorFlow by now."""

if __name__ == "__main__":
    from vqvae_tf_cli.main import main

    main()
