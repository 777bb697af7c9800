"""What commands are given: pictures, clips, recordings, latents."""
