"""Trains one small VQ-VAE of CIFAR-10 with every quantizer, and tabulates.

    python benchmarks/quantizer_family.py --data_dir=TFDS --speed
    python benchmarks/quantizer_family.py --data_dir=TFDS --seeds=0
    python benchmarks/quantizer_family.py --data_dir=TFDS --seeds=1,2 \
        --rows=main
    python benchmarks/quantizer_family.py --table

The same encoder, decoder, steps and data for all; grids are 8x8. A run writes
docs/quantizer_family/ROW-SEED.json; runs whose file exists are skipped, so that
the table can be made in several sittings. --speed measures a few steps of each
row, each in a process of its own, and writes speed.json: only run it, for all
rows, with nothing beside it. The encoder, the prior and the measures are fixed;
no figure of the test pictures chooses anything.
"""

import json
import resource
import subprocess
import sys
import time

import command
import keras
import numpy as np
import tensorflow as tf

import vqvae_tf as vq
from vqvae_tf import data, quantizers
from vqvae_tf.encoding.arrays import encode_array
from vqvae_tf.quantizers import usage
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.utils import units
from vqvae_tf.utils.paths import expand

FOLDER = command.DOCS / "quantizer_family"
BATCH, DIM = 32, 64
# Enough for an order, not for the best figure: the prior sees each grid once.
PRIOR_STEPS, PRIOR_BATCH, PRIOR_CHANNELS = 1000, 32, 32
SPEED_STEPS = 80


def _ema(values, seed, dim=DIM, **options):
    return quantizers.VectorQuantizerEMA(values, dim, seed=seed, **options)


def _gradient(values, seed, dim=DIM, **options):
    return quantizers.VectorQuantizer(values, dim, seed=seed, **options)


def _simvq(values, seed, **options):
    return quantizers.SimVQ(values, DIM, seed=seed, **options)


def _residual(values, stages, seed, **options):
    return quantizers.ResidualQuantizer(_ema(values, seed), stages, **options)


_RESTARTS = dict(restart_after=100, initialize_from_data=True)
_FACTORIZED = dict(codebook_dim=8, distance="cosine")
_COSINE = dict(dim=8, distance="cosine")


def _both_sizes(name, make, **options):
    """Rows of 512 and of 4,096 codes."""
    return {
        f"{name} {values}": lambda seed, values=values: make(
            values, seed, **options
        )
        for values in (512, 4096)
    }


# What makes a quantizer from a seed. Names say the codes, or the bits.
ROWS = {
    **_both_sizes("gradient", _gradient),
    **_both_sizes("gradient rotation", _gradient, gradient="rotation"),
    "gradient diverse 4096": lambda seed: _gradient(
        4096, seed, regularizers=quantizers.Diversity(0.1)
    ),
    "gradient Gumbel 512": lambda seed: _gradient(
        512, seed, sampling=quantizers.GumbelSoftmax(1.0, relaxation=0.5)
    ),
    **_both_sizes("EMA", _ema),
    **_both_sizes("EMA restarts", _ema, **_RESTARTS),
    **_both_sizes("EMA k-means", _ema, initialization="kmeans"),
    **_both_sizes("EMA rotation", _ema, gradient="rotation"),
    "EMA factorized 4096": lambda seed: _ema(4096, seed, **_FACTORIZED),
    "EMA 8 channels 4096": lambda seed: _ema(4096, seed, dim=8),
    **_both_sizes("EMA cosine 8 channels", _ema, **_COSINE),
    "gradient cosine 8 channels 4096": lambda seed: _gradient(
        4096, seed, **_COSINE
    ),
    "EMA sampled 4096": lambda seed: _ema(
        4096, seed, sampling=quantizers.SoftmaxSampling(0.1)
    ),
    **_both_sizes("SimVQ", _simvq),
    **_both_sizes("SimVQ rotation", _simvq, gradient="rotation"),
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
    "groups 2 x 64": lambda seed: _ema(64, seed, dim=32, num_codebooks=2),
    "residual 3 x 8": lambda seed: _residual(8, 3, seed),
    "residual 2 x 64": lambda seed: _residual(64, 2, seed),
    "residual 2 x 64 by a beam": lambda seed: _residual(
        64, 2, seed, beam_size=4
    ),
    "residual 4 x 8": lambda seed: _residual(8, 4, seed),
    "residual 2 x 512": lambda seed: _residual(512, 2, seed),
}
# Those of three seeds.
MAIN = (
    "gradient 512",
    "gradient 4096",
    "EMA 512",
    "EMA 4096",
    "EMA restarts 4096",
    "EMA cosine 8 channels 4096",
    "SimVQ 4096",
    "FSQ 8,8,8",
    "FSQ 8,8,8,8",
    "residual 2 x 64",
)


def model_with(quantizer):
    """The VQ-VAE of all rows; only the latents' channels differ."""
    sizes = dict(
        hidden_channels=32, num_residual_layers=1, residual_channels=32
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
    model.compile(Adam(_rate(steps)))
    model.fit(batches, steps_per_epoch=steps, verbose=2)


def test_figures(model, pictures):
    """Returns MSE over the variance of the values, and the codes `[N, ...]`."""
    reconstruct = tf.function(model.reconstruct, autograph=False)
    errors = [
        np.mean((reconstruct(part).numpy().astype(np.float64) - part) ** 2)
        for part in np.split(pictures, len(pictures) // 100)
    ]
    variance = np.var(pictures.astype(np.float64))
    return float(np.mean(errors) / variance), codes_of(model, pictures)


def codes_of(model, pictures):
    return encode_array(model, pictures).astype(np.int32)


def counts_of(codes, quantizer):
    """How often each value occurs `[codebooks, values]`."""
    groups = np.moveaxis(codes.reshape(-1, quantizer.num_codebooks), -1, 0)
    values = quantizer.num_embeddings
    counts = [np.bincount(each, minlength=values) for each in groups]
    return tf.constant(np.stack(counts), tf.float32)


def prior_bits(quantizer, codes, test_codes, steps, seed):
    """Bits of a grid's codes under the one small PixelCNN of all rows."""
    prior = vq.PixelCNN(
        quantizer.num_embeddings,
        (8, 8),
        num_codebooks=quantizer.num_codebooks,
        hidden_channels=PRIOR_CHANNELS,
        num_layers=4,
        head_channels=PRIOR_CHANNELS,
    )
    keras.utils.set_random_seed(seed)
    fitted(prior, data.array_batches(codes, PRIOR_BATCH, seed), steps)
    log_prob = tf.function(prior.log_prob, autograph=False)
    nats = [-log_prob(x) for x in np.split(test_codes, len(test_codes) // 100)]
    return float(units.bits(np.mean(np.concatenate(nats))))


def opened(split, arguments):
    return data.open_images("tfds:cifar10", split, arguments.data_dir)


def pictures_of(images, count):
    return np.stack(images.get(np.arange(count))["image"])


def model_and_batches(row, seed, split, arguments):
    keras.utils.set_random_seed(seed)
    model = model_with(ROWS[row](seed))
    images = opened(split, arguments)
    batches = data.training_batches(images, BATCH, 32, seed=seed)
    return model, images, batches


def run(row, seed, arguments):
    """Trains and measures one row with one seed; returns its figures."""
    model, images, batches = model_and_batches(row, seed, "train", arguments)
    quantizer = model.quantizer
    fitted(model, batches, arguments.steps)
    codes = codes_of(model, pictures_of(images, arguments.pictures))
    held_out = opened("test", arguments)
    test = pictures_of(held_out, held_out.num_examples)
    error, test_codes = test_figures(model, test)
    counts = counts_of(test_codes, quantizer)
    bits = prior_bits(quantizer, codes, test_codes, arguments.prior_steps, seed)
    return {
        "row": row,
        "seed": seed,
        "steps": arguments.steps,
        "bits_per_position": quantizer.bits_per_position,
        "mse_over_variance": error,
        "usage": float(usage.usage(counts)),
        "perplexity": float(usage.perplexity(counts)),
        "prior_bits_per_position": bits / 64,
        "processor": command.processor(),
    }


class _Clock(keras.callbacks.Callback):
    """Keeps the seconds of each step in `seconds`."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self.begun)


def speed(row, arguments):
    """Returns the time of one step, and the most memory that its process had.

    The median of the later three quarters of the steps. The pictures are few,
    so that the memory is the model's.
    """
    model, _, batches = model_and_batches(row, 0, "train[:1024]", arguments)
    clock = _Clock()
    model.compile(Adam(1e-3))
    model.fit(
        batches, steps_per_epoch=SPEED_STEPS, verbose=0, callbacks=[clock]
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "step_ms": 1e3 * float(np.median(clock.seconds[SPEED_STEPS // 4 :])),
        "peak_mb": memory / 1024,
    }


def speeds(rows, arguments):
    """Returns `speed` of each row, each in a process of its own."""
    found = {}
    for row in rows:
        python = [sys.executable, __file__, f"--speed_of={row}"]
        python += [f"--data_dir={arguments.data_dir}"]
        done = subprocess.run(python, check=True, capture_output=True)
        found[row] = json.loads(done.stdout.splitlines()[-1])
        print(row, found[row], flush=True)
    return {"processor": command.processor(), "rows": found}


def path_of(folder, row, seed):
    name = "".join(c if c.isalnum() else "_" for c in row)
    return folder / f"{name}-{seed}.json"


def table(folder):
    """Returns the table of all runs, a row each, in Markdown."""
    lines = [
        "| quantizer | bits | MSE / variance | usage | perplexity "
        "| prior, bits | ms a step | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    path = folder / "speed.json"
    costs = json.loads(path.read_text())["rows"] if path.exists() else {}
    for row in ROWS:
        files = sorted(folder.glob(path_of(folder, row, "*").name))
        found = [json.loads(file.read_text()) for file in files]
        if found:
            lines.append(_line(row, found, costs.get(row)))
    return "\n".join(lines)


def _line(row, found, cost):
    def mean(key, digits):
        values = [each[key] for each in found]
        spread = ""
        if len(values) > 1:
            spread = f" ± {np.std(values, ddof=1):.{digits}f}"
        return f"{np.mean(values):.{digits}f}{spread}"

    cells = [
        row,
        f"{found[0]['bits_per_position']:.1f}",
        mean("mse_over_variance", 4),
        f"{100 * np.mean([each['usage'] for each in found]):.0f} %",
        mean("perplexity", 0),
        mean("prior_bits_per_position", 2),
        f"{cost['step_ms']:.0f}" if cost else "",
        f"{cost['peak_mb']:.0f}" if cost else "",
    ]
    return f"| {' | '.join(cells)} |"


def parsed():
    parser = command.parser(
        __doc__, data_dir=None, rows="all", seeds="0", steps=4000
    )
    parser.add_argument("--prior_steps", type=int, default=PRIOR_STEPS)
    parser.add_argument(
        "--pictures", type=int, default=PRIOR_STEPS * PRIOR_BATCH
    )
    parser.add_argument("--folder", default=str(FOLDER))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--speed_of", help="prints the speed of one row")
    return parser.parse_args()


def rows_of(text):
    """The rows that --rows names: "all", "main", or names with ";" between."""
    named = {"all": tuple(ROWS), "main": MAIN}
    return named.get(text) or text.split(";")


def main():
    arguments = parsed()
    folder, rows = expand(arguments.folder), rows_of(arguments.rows)
    if arguments.table:
        print(table(folder))
    elif arguments.speed_of:
        print(json.dumps(speed(arguments.speed_of, arguments)))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.speed:
            command.write(folder / "speed.json", speeds(rows, arguments))
            return
        for seed in map(int, arguments.seeds.split(",")):
            for row in rows:
                path = path_of(folder, row, seed)
                if not path.exists():
                    keras.backend.clear_session()
                    figures = run(row, seed, arguments)
                    print(figures, flush=True)
                    command.write(path, figures)


if __name__ == "__main__":
    main()
