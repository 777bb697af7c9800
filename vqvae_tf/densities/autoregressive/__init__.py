"""PixelCNN and WaveNet, and how samples are drawn from them."""
