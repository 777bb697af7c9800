"""Equations 1 to 3 and the EMA rule of arXiv:1711.00937, in NumPy float64."""

import numpy as np


def split(latents, num_codebooks):
    """`[batch, ..., G * D]` to `[G, N, D]`."""
    z = np.asarray(latents, np.float64)
    z = z.reshape(-1, num_codebooks, z.shape[-1] // num_codebooks)
    return z.transpose(1, 0, 2)


def distances(z, codebooks):
    """`[G, N, D]` and `[G, K, D]` to squared distances `[G, N, K]`."""
    return ((z[:, :, None] - codebooks[:, None]) ** 2).sum(-1)


def nearest(z, codebooks):
    """Eq. 1: the codes `[G, N]`."""
    return distances(z, codebooks).argmin(-1)


def look_up(codebooks, codes):
    """Eq. 2: the embeddings `[G, N, D]` of codes `[G, N]`."""
    return np.take_along_axis(codebooks, codes[..., None], axis=1)


def join(quantized, shape):
    """`[G, N, D]` to the shape of the latents."""
    return quantized.transpose(1, 0, 2).reshape(shape)


def squared_error(z, quantized):
    """Eq. 3, second and third term alike: a mean over latents and channels."""
    return ((z - quantized) ** 2).mean()


def counts_and_sums(z, codes, num_embeddings):
    """n `[G, K]` and s `[G, K, D]` of the latents of each code."""
    chosen = codes[..., None] == np.arange(num_embeddings)
    chosen = chosen.astype(np.float64)
    return chosen.sum(1), np.einsum("gnk,gnd->gkd", chosen, z)


class GradientCodebook:
    """A codebook trained by SGD on eq. 3."""

    def __init__(self, codebooks, commitment_cost):
        self.codebooks = codebooks.astype(np.float64)
        self.cost = commitment_cost

    def loss(self, z):
        q = look_up(self.codebooks, nearest(z, self.codebooks))
        return (1 + self.cost) * squared_error(z, q)

    def latents_gradient(self, z):
        q = look_up(self.codebooks, nearest(z, self.codebooks))
        return self.cost * 2 * (z - q) / z.size

    def step(self, z, learning_rate):
        codes = nearest(z, self.codebooks)
        n, s = counts_and_sums(z, codes, self.codebooks.shape[1])
        gradient = 2 * (n[..., None] * self.codebooks - s) / z.size
        self.codebooks = self.codebooks - learning_rate * gradient


class EMACodebook:
    """A codebook of exponential moving averages, appendix A.1."""

    def __init__(self, codebooks, commitment_cost, decay):
        self.codebooks = codebooks.astype(np.float64)
        self.counts = np.ones(codebooks.shape[:2])
        self.sums = self.codebooks.copy()
        self.cost, self.decay = commitment_cost, decay

    def loss(self, z):
        q = look_up(self.codebooks, nearest(z, self.codebooks))
        return self.cost * squared_error(z, q)

    def latents_gradient(self, z):
        q = look_up(self.codebooks, nearest(z, self.codebooks))
        return self.cost * 2 * (z - q) / z.size

    def step(self, *batches):
        """One update from the latents of all batches."""
        n, s = 0.0, 0.0
        for z in batches:
            codes = nearest(z, self.codebooks)
            found = counts_and_sums(z, codes, self.codebooks.shape[1])
            n, s = n + found[0], s + found[1]
        self.counts = self.decay * self.counts + (1 - self.decay) * n
        self.sums = self.decay * self.sums + (1 - self.decay) * s
        with np.errstate(invalid="ignore"):  # 0 / 0 where decay is 0
            means = self.sums / self.counts[..., None]
        self.codebooks = np.where(n[..., None] > 0, means, self.codebooks)


def perplexity(counts):
    """exp of the entropy of each codebook's counts `[G, K]`; their mean."""
    p = counts / counts.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(p), 0.0).sum(-1)
    return np.exp(entropy).mean()
