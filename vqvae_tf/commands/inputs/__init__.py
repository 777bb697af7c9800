"""The inputs of commands: pictures, clips, recordings, latents."""
