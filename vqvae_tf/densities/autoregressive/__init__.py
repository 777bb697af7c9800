"""PixelCNN and WaveNet, and sampling from them."""
