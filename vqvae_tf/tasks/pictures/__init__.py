"""Pictures: autoencoders, with a prior over their codes."""
