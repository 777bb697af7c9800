"""The VQ-VAE of `train_step.py` in PyTorch, with lucidrains' quantizer."""

import contextlib

import peers
import torch
from torch import nn
from torch.nn import functional


class Residuals(nn.Module):
    """`num_layers` times `x + conv1(relu(conv3(relu(x))))`, then a ReLU."""

    def __init__(self, channels, residual_channels, num_layers=2):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(channels, residual_channels, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(residual_channels, channels, 1),
            )
            for _ in range(num_layers)
        )

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return functional.relu(x)


class TorchVQVAE(nn.Module):
    """The layers of `vqvae_tf.Encoder` and `vqvae_tf.Decoder`.

    Call arguments:
        x: float32 `[batch, 3, height, width]` in -1..1.

    Returns:
        the reconstruction, of the same shape, and the quantizer's loss.
    """

    def __init__(
        self, hidden=128, residual_channels=32, num_embeddings=512, dim=64
    ):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, hidden, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 4, 2, 1),
            Residuals(hidden, residual_channels),
            nn.Conv2d(hidden, dim, 1),
        )
        self.quantizer = peers.torch_quantizer(
            num_embeddings, dim, accept_image_fmap=True
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, hidden, 3, padding=1),
            Residuals(hidden, residual_channels),
            nn.ConvTranspose2d(hidden, hidden, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(hidden, 3, 4, 2, 1),
        )

    def forward(self, x):
        quantized, _, loss = self.quantizer(self.encoder(x))
        return self.decoder(quantized), loss


def steps(pixels, hidden, residual_channels, bfloat16, channels_last):
    """Returns a train step and an inference step, without arguments.

    Args:
        pixels: float32 array `[batch, height, width, 3]` in -1..1.
        hidden, residual_channels: as in `TorchVQVAE`.
        bfloat16: whether under autocast to bfloat16.
        channels_last: whether in that memory format.
    """
    model = TorchVQVAE(hidden, residual_channels)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def autocast():
        if not bfloat16:
            return contextlib.nullcontext()
        return torch.autocast("cpu", torch.bfloat16)

    def train():
        model.train()
        optimizer.zero_grad()
        with autocast():
            output, extra = model(x)
            loss = functional.mse_loss(output.float(), x) + extra.sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    def infer():
        model.eval()
        with torch.inference_mode(), autocast():
            return model(x)[0].float().numpy()

    return train, infer
