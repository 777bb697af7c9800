"""Small models of sequences, and a linear one that a Kalman filter solves."""

import keras
import numpy as np

import vqvae_tf as vq
from support.small import autoencoder, prior
from vqvae_tf.models import TDVAE, CodedSequenceModel, NextFrameModel

SIDE, TIME = 4, 7


def frames(batch=4, time=TIME, seed=0):
    rng = np.random.default_rng(seed)
    shape = [batch, time, SIDE, SIDE, 1]
    return 255 * rng.integers(0, 2, shape, dtype=np.uint8)


def small(cls, scale=0.3, **options):
    """Returns a model of the class, with weights from noise."""
    keras.utils.set_random_seed(0)
    model = cls(
        vq.DenseEncoder(6, SIDE, hidden_units=(8,)),
        keras.layers.LSTM(5, return_sequences=True),
        vq.FactorizedDensity(
            vq.DenseDecoder(1, SIDE, hidden_units=(8,)), vq.Bernoulli()
        ),
        event_shape=(SIDE, SIDE, 1),
        seed=3,
        **options,
    )
    return _moved(model, scale)


def numbers(cls=TDVAE, channels=1, highest=3, **options):
    """Returns a model of sequences of numbers, with weights from noise."""
    keras.utils.set_random_seed(0)
    size = 5 if cls is NextFrameModel else 4
    if cls is TDVAE:
        options["gaps"] = [(1, highest)]
    if cls is not NextFrameModel:
        options |= dict(latent_sizes=(2, 2), hidden_units=6)
    model = cls(
        keras.layers.Dense(4, "tanh"),
        keras.layers.GRU(5, return_sequences=True),
        vq.densities.LayeredGaussian((channels,), size, 6),
        preprocess=keras.layers.Identity(),
        event_shape=(channels,),
        seed=3,
        **options,
    )
    return _moved(model)


def of_codes(size=4):
    """Returns a TDVAE of code maps, a PixelCNN their decoder."""
    keras.utils.set_random_seed(0)
    model = TDVAE(
        keras.layers.Flatten(),
        keras.layers.GRU(5, return_sequences=True),
        prior(
            event_shape=(size, size), local_channels=4, local_upsampling=size
        ),
        preprocess=vq.CodeEmbedding(8, 3),
        event_shape=(size, size),
        latent_sizes=(2, 2),
        hidden_units=6,
        gaps=[(1, 3)],
        seed=3,
    )
    return _moved(model, 0.5)


def coded():
    """Returns a model of sequences of 16x16 pictures, by way of 4x4 codes."""
    above = of_codes()
    keras.utils.set_random_seed(1)
    model = CodedSequenceModel(autoencoder(), above)
    model.build()
    return model


def _moved(model, scale=0.3):
    model.build()
    rng = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(v + scale * rng.normal(size=v.shape))
    return model


class Kalman:
    """z_t = a z_(t-1) + N(0, s^2), x_t = z_t + N(0, r^2), z_0 ~ N(0, P).

    P is the variance that filtering converges to, so it is that of every step:
    p(z_t | x_1, ..., x_t) = N(b_t, P).
    """

    a, s, r = 0.9, 0.4, 0.5

    def __init__(self):
        p = 1.0
        for _ in range(200):
            ahead = self.a**2 * p + self.s**2
            p = ahead * self.r**2 / (ahead + self.r**2)
        self.p = p
        self.gain = p / self.r**2

    def means(self, x):
        """Returns b `[batch, time]` of x `[batch, time]`."""
        b, found = np.zeros(len(x)), []
        for now in x.T:
            b = self.a * b + self.gain * (now - self.a * b)
            found.append(b)
        return np.stack(found, axis=1)

    def log_prob_of_last(self, x):
        """Returns log p(x_T | x_1, ..., x_(T-1)), `[batch]` nats."""
        mean = self.a * self.means(x[:, :-1])[:, -1]
        variance = self.a**2 * self.p + self.s**2 + self.r**2
        return log_normal(x[:, -1], mean, variance)

    def smoothing(self):
        """Returns p(z_1 | z_2, b_1): factors of b_1 and z_2, the variance."""
        variance = 1 / (1 / self.p + self.a**2 / self.s**2)
        return variance / self.p, variance * self.a / self.s**2, variance

    def model(self, **options):
        """Returns the TDVAE whose parts are these distributions."""
        model = TDVAE(
            keras.layers.Dense(1, use_bias=False),
            keras.layers.SimpleRNN(1, "linear", return_sequences=True),
            vq.densities.LayeredGaussian((1,), 1, 1),
            preprocess=keras.layers.Identity(),
            event_shape=(1,),
            latent_sizes=(1,),
            hidden_units=1,
            gaps=[(1, 1)],
            gap_input=False,
            seed=0,
            **options,
        )
        model.build()
        model.encoder.set_weights([np.eye(1)])
        keep = self.a * (1 - self.gain)
        model.recurrent.set_weights(
            [np.full([1, 1], self.gain), np.full([1, 1], keep), np.zeros(1)]
        )
        of_b1, of_z2, variance = self.smoothing()
        set_linear(model.decoder, [1.0], self.r**2)
        set_linear(model.belief_density, [1.0], self.p)
        set_linear(model.transition, [self.a], self.s**2)
        set_linear(model.smoothing, [of_b1, 0.0, of_z2], variance)
        return model


def log_normal(x, mean, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)


def set_linear(density, factors, variance, small=1e-3):
    """Makes a D map of one unit N(factors . u, variance): tanh of little."""
    (hidden,), (outputs,) = density.hidden, density.outputs_of
    kernel = np.zeros([len(factors), 2])
    kernel[:, 0] = small * np.asarray(factors)
    hidden.set_weights([kernel, np.zeros(2)])
    outputs.set_weights(
        [np.array([[2 / small, 0.0]]), np.array([0.0, np.log(variance) / 2])]
    )
