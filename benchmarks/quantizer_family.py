"""Trains one small VQ-VAE of CIFAR-10 with every quantizer, and tabulates.

    python benchmarks/quantizer_family.py --data_dir=DIR
    python benchmarks/quantizer_family.py --rows="FSQ 8,8,8" --seeds=0,1
    python benchmarks/quantizer_family.py --table

The same encoder, decoder, steps and data for all; grids are 8x8. A run writes
docs/quantizer_family/ROW-SEED.json; runs whose file exists are skipped, so that
the table can be made in several sittings. The encoder, the prior and the
measures are fixed; no figure of the test pictures chooses anything.
"""

import json
import pathlib
import resource
import time

import command
import keras
import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from vqvae_tf import data, quantizers
from vqvae_tf.encoding.arrays import encode_array
from vqvae_tf.quantizers import usage
from vqvae_tf.utils import units
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.paths import expand

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs/quantizer_family"
BATCH, DIM = 32, 64
# The prior's: enough for an order, not for the best figure.
PRIOR_STEPS, PRIOR_BATCH = 1500, 64


def _ema(values, seed, dim=DIM, **options):
    return quantizers.VectorQuantizerEMA(values, dim, seed=seed, **options)


def _gradient(values, seed, dim=DIM, **options):
    return quantizers.VectorQuantizer(values, dim, seed=seed, **options)


def _residual(values, stages, seed, **options):
    return quantizers.ResidualQuantizer(_ema(values, seed), stages, **options)


_RESTARTS = dict(restart_after=100, initialize_from_data=True)
_FACTORIZED = dict(codebook_dim=8, distance="cosine")
# What makes a quantizer from a seed. Names say the codes, or the bits.
ROWS = {
    **{
        f"{name} {values}": (
            lambda seed, make=make, values=values, options=options: make(
                values, seed, **options
            )
        )
        for values in (512, 4096)
        for name, make, options in (
            ("gradient", _gradient, {}),
            ("gradient rotation", _gradient, dict(gradient="rotation")),
            ("EMA", _ema, {}),
            ("EMA restarts", _ema, _RESTARTS),
            ("EMA k-means", _ema, dict(initialization="kmeans")),
            ("EMA rotation", _ema, dict(gradient="rotation")),
            ("EMA factorized", _ema, _FACTORIZED),
            ("EMA 8 channels", _ema, dict(dim=8)),
            ("EMA cosine 8 channels", _ema, dict(dim=8, distance="cosine")),
        )
    },
    "SimVQ 512": lambda seed: quantizers.SimVQ(512, DIM, seed=seed),
    "SimVQ 4096": lambda seed: quantizers.SimVQ(4096, DIM, seed=seed),
    "FSQ 8,8,8": lambda seed: quantizers.FSQ((8, 8, 8)),
    "FSQ 8,8,8 sigmoid": lambda seed: quantizers.FSQ(
        (8, 8, 8), bound="sigmoid"
    ),
    "FSQ 8,8,8,8": lambda seed: quantizers.FSQ((8, 8, 8, 8)),
    "FSQ 7,5,5,5,5": lambda seed: quantizers.FSQ((7, 5, 5, 5, 5)),
    "LFQ 9 bits": lambda seed: quantizers.LFQ(9),
    "LFQ 12 bits": lambda seed: quantizers.LFQ(12),
    "BSQ 9 bits": lambda seed: quantizers.BSQ(9),
    "BSQ 12 bits": lambda seed: quantizers.BSQ(12),
    "gradient diverse 4096": lambda seed: _gradient(
        4096, seed, regularizers=quantizers.Diversity(0.1)
    ),
    "EMA sampled 4096": lambda seed: _ema(
        4096, seed, sampling=quantizers.SoftmaxSampling(0.1)
    ),
    "groups 2 x 64": lambda seed: _ema(64, seed, dim=32, num_codebooks=2),
    "residual 2 x 64 by a beam": lambda seed: _residual(
        64, 2, seed, beam_size=4
    ),
    "residual 3 x 8": lambda seed: _residual(8, 3, seed),
    "residual 2 x 64": lambda seed: _residual(64, 2, seed),
    "residual 4 x 8": lambda seed: _residual(8, 4, seed),
    "residual 2 x 512": lambda seed: _residual(512, 2, seed),
}


def model_with(quantizer):
    """The VQ-VAE of all rows; only the latents' channels differ."""
    sizes = dict(
        hidden_channels=64, num_residual_layers=1, residual_channels=32
    )
    likelihood = vq.Gaussian()
    return vq.VQVAE(
        vq.Encoder(quantizer.channels, **sizes),
        quantizer,
        vq.FactorizedDensity(
            vq.Decoder(likelihood.num_parameters(3), **sizes), likelihood
        ),
        event_shape=(32, 32, 3),
    )


def _rate(steps):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=1e-3, warmup_steps=min(100, steps // 2)
    )


def fitted(model, batches, steps):
    """Fits a model; returns the median milliseconds of a step."""
    seconds = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.begun = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            seconds.append(time.perf_counter() - self.begun)

    model.compile(keras.optimizers.Adam(_rate(steps)))
    model.fit(batches, steps_per_epoch=steps, verbose=2, callbacks=[Clock()])
    return 1e3 * float(np.median(seconds[len(seconds) // 10 :]))


def reconstruction_error(model, pictures):
    """Mean squared error over the variance of the pictures' values."""
    errors = []
    for i in range(0, len(pictures), 100):
        part = pictures[i : i + 100]
        found = np.asarray(model.reconstruct(part), np.float64)
        errors.append(np.mean((found - part) ** 2))
    return float(np.mean(errors) / np.var(pictures.astype(np.float64)))


def prior_bits(quantizer, codes, test_codes, steps, seed):
    """Bits of a grid's codes under the one small PixelCNN of all rows."""
    prior = vq.PixelCNN(
        quantizer.num_embeddings,
        (8, 8),
        num_codebooks=quantizer.num_codebooks,
        hidden_channels=64,
        num_layers=4,
        head_channels=64,
    )
    keras.utils.set_random_seed(seed)
    fitted(prior, data.array_batches(codes, PRIOR_BATCH, seed), steps)
    nats = [
        -prior.log_prob(test_codes[i : i + 100]).numpy()
        for i in range(0, len(test_codes), 100)
    ]
    return float(units.bits(np.mean(np.concatenate(nats))))


def run(row, seed, arguments):
    """Trains and measures one row with one seed; returns its figures."""
    keras.utils.set_random_seed(seed)
    images = data.open_images("tfds:cifar10", "train", arguments.data_dir)
    test = data.open_images("tfds:cifar10", "test", arguments.data_dir)
    quantizer = ROWS[row](seed)
    model = model_with(quantizer)
    batches = data.training_batches(images, BATCH, 32, seed=seed)
    step = fitted(model, batches, arguments.steps)
    train_pictures = images.get(np.arange(arguments.pictures))["image"]
    test_pictures = test.get(np.arange(10_000))["image"]
    codes = encode_array(model, np.stack(train_pictures)).astype(np.int32)
    test_codes = encode_array(model, np.stack(test_pictures)).astype(np.int32)
    values, groups = quantizer.num_embeddings, quantizer.num_codebooks
    counts = [
        np.bincount(each.ravel(), minlength=values)
        for each in np.moveaxis(test_codes.reshape(-1, groups), -1, 0)
    ]
    counts = tf.constant(np.stack(counts), tf.float32)
    bits = prior_bits(quantizer, codes, test_codes, arguments.prior_steps, seed)
    return {
        "row": row,
        "seed": seed,
        "steps": arguments.steps,
        "bits_per_position": quantizer.bits_per_position,
        "mse_over_variance": reconstruction_error(
            model, np.stack(test_pictures)
        ),
        "usage": float(usage.usage(counts)),
        "perplexity": float(usage.perplexity(counts)),
        "prior_bits_per_position": bits / 64,
        "step_ms": step,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "processor": processor(),
    }


def processor():
    """The processor's model, and whether it has AVX512."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = text.partition("model name\t: ")[2].partition("\n")[0]
    return name + (" with AVX512" if "avx512f" in text else "")


def path_of(folder, row, seed):
    name = "".join(c if c.isalnum() else "_" for c in row)
    return folder / f"{name}-{seed}.json"


def table(folder):
    """Returns the table of all runs, a row each, in Markdown."""
    lines = [
        "| quantizer | bits | MSE / variance | usage | perplexity "
        "| prior, bits | ms a step |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        files = sorted(folder.glob(path_of(folder, row, "*").name))
        found = [json.loads(file.read_text()) for file in files]
        if found:
            lines.append(_line(row, found))
    return "\n".join(lines)


def _line(row, found):
    def mean(key, digits):
        values = [each[key] for each in found]
        spread = f" ± {np.std(values):.{digits}f}" if len(values) > 1 else ""
        return f"{np.mean(values):.{digits}f}{spread}"

    cells = [
        row,
        f"{found[0]['bits_per_position']:.1f}",
        mean("mse_over_variance", 4),
        f"{100 * np.mean([each['usage'] for each in found]):.0f} %",
        mean("perplexity", 0),
        mean("prior_bits_per_position", 2),
        mean("step_ms", 0),
    ]
    return f"| {' | '.join(cells)} |"


def main():
    parser = command.parser(
        __doc__, data_dir=None, rows=";".join(ROWS), seeds="0", steps=4000
    )
    parser.add_argument("--prior_steps", type=int, default=PRIOR_STEPS)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--folder", default=str(FOLDER))
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    folder = expand(arguments.folder)
    if arguments.table:
        print(table(folder))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            path = path_of(folder, row, seed)
            if path.exists():
                continue
            keras.backend.clear_session()
            figures = run(row, seed, arguments)
            print(figures, flush=True)
            with write_atomically(path) as name, open(name, "w") as file:
                file.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
