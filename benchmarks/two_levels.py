"""One level of codes against two, at equal bits of a prior.

    python benchmarks/two_levels.py --data_dir=TFDS
    python benchmarks/two_levels.py --data_dir=FOLDER --source=folder \
        --size=128 --crop=64 --batch=8 --prior_batch=8 --name=grocery
    python benchmarks/two_levels.py --table
    python benchmarks/two_levels.py --plot=docs/two_levels.png

Models of one level have codes on a grid of a quarter of the picture's sides;
those of two have a second grid of half of that on top. Encoders and decoders
are as wide and deep as each other, and train on the same pictures for as many
steps. Then a small PixelCNN of each grid, that of the lower one given the upper
codes, learns the codes of training pictures for as many steps. Figures are of
all test pictures, measured once: the PSNR, and the bits that the priors need
for the codes. A run writes docs/two_levels/NAME-ROW-SEED.json; runs whose file
exists are skipped.
"""

import json

import command
import keras
import numpy as np
import tensorflow as tf
from quantizer_family import fitted, path_of

import vqvae_tf as vq
from vqvae_tf import data
from vqvae_tf.encoding.arrays import encode_array
from vqvae_tf.evaluation.statistics import psnr
from vqvae_tf.models.level_priors import context_options
from vqvae_tf.quantizers import ResidualQuantizer, VectorQuantizerEMA
from vqvae_tf.utils import units
from vqvae_tf.utils.code_sizes import as_argument
from vqvae_tf.utils.paths import expand

FOLDER = command.DOCS / "two_levels"
DIM, HIDDEN = 64, 64
SIZES = dict(
    hidden_channels=HIDDEN, num_residual_layers=2, residual_channels=32
)
CHANNELS = 48  # of priors


def ema(values, seed):
    return VectorQuantizerEMA(
        values,
        DIM,
        seed=seed,
        commitment_cost=3.0,  # as the presets, whose scale is learned too
        initialize_from_data=True,
        restart_after=100,
    )


def residual(values, stages, seed):
    return ResidualQuantizer(ema(values, seed), stages)


# The quantizers of each grid, the top first.
ROWS = {
    "one, 16": lambda seed: [ema(16, seed)],
    "one, 64": lambda seed: [ema(64, seed)],
    "one, 512": lambda seed: [ema(512, seed)],
    "one, 2 x 64": lambda seed: [residual(64, 2, seed)],
    "one, 2 x 512": lambda seed: [residual(512, 2, seed)],
    "two, 16 and 16": lambda seed: [ema(16, seed), ema(16, seed + 1)],
    "two, 64 and 64": lambda seed: [ema(64, seed), ema(64, seed + 1)],
    "two, 512 and 64": lambda seed: [ema(512, seed), ema(64, seed + 1)],
    "two, 512 and 512": lambda seed: [ema(512, seed), ema(512, seed + 1)],
    "two, 512 and 2 x 64": lambda seed: [
        ema(512, seed),
        residual(64, 2, seed + 1),
    ],
}


def model_of(quantizers, size):
    """A VQ-VAE, or a hierarchical one, of a list of quantizers."""
    likelihood = vq.Gaussian(scale="learned")
    decoder = vq.FactorizedDensity(
        vq.Decoder(likelihood.num_parameters(3), **SIZES), likelihood
    )
    shape = (size, size, 3)
    if len(quantizers) == 1:
        encoder = vq.Encoder(DIM, **SIZES)
        return vq.VQVAE(encoder, quantizers[0], decoder, event_shape=shape)
    top = vq.CodeLevel(
        vq.Encoder(None, num_downsamples=1, **SIZES),
        quantizers[0],
        vq.Decoder(DIM, num_upsamples=1, **SIZES),
    )
    bottom = vq.CodeLevel(vq.Encoder(None, **SIZES), quantizers[1])
    return vq.HierarchicalVQVAE([top, bottom], decoder, event_shape=shape)


def density_of(model, level):
    """The small prior of a grid, given the codes of those above it."""
    quantizers, factors = model.quantizers(), model.downsamplings()
    quantizer = quantizers[level]
    upper = context_options(level, quantizers, factors)
    sees_above = bool(upper["levels"])
    density = vq.PixelCNN(
        as_argument(quantizer.num_codes),
        [n // factors[level] for n in model.event_shape[:2]],
        num_codebooks=quantizer.num_codebooks,
        hidden_channels=CHANNELS,
        num_layers=5,
        head_channels=CHANNELS,
        local_channels=CHANNELS if sees_above else None,
    )
    if not sees_above:
        return density
    network = vq.UpperCodes(
        **upper, hidden_channels=CHANNELS, num_residual_layers=2
    )
    return vq.ConditionalDensity(network, density)


def bits_of_levels(model, codes, test_codes, arguments, seed):
    """Returns each grid's bits a test picture, of priors that are trained."""
    found = {}
    for level in model.quantizers():
        names = list(model.quantizers())
        above = names[: names.index(level)]
        keras.utils.set_random_seed(seed)
        prior = density_of(model, level)
        context = {name: codes[name] for name in above} or None
        batches = data.array_batches(
            codes[level], arguments.prior_batch, seed, context=context
        )
        fitted(prior, batches, arguments.prior_steps)
        log_prob = tf.function(prior.log_prob, autograph=False)
        nats = []
        for first in range(0, len(test_codes[level]), 50):
            part = slice(first, first + 50)
            given = {name: test_codes[name][part] for name in above} or None
            nats.append(-log_prob(test_codes[level][part], given).numpy())
        found[level] = float(units.bits(np.mean(np.concatenate(nats))))
    return found


def opened(split, arguments):
    return data.open_images(arguments.source, split, arguments.data_dir)


def pictures_of(images, size, count=None):
    """The first pictures of a source, resized and cropped as in evaluations."""
    batches = data.evaluation_batches(images, 50, size)
    found = np.concatenate([x.numpy() for x, *_ in batches])
    return found[: count or images.num_examples]


def test_error(model, pictures):
    """The mean squared error, in squared levels."""
    reconstruct = tf.function(model.reconstruct, autograph=False)
    errors = []
    for first in range(0, len(pictures), 50):
        part = pictures[first : first + 50]
        again = reconstruct(part).numpy().astype(np.float64)
        errors.append(np.mean((again - part) ** 2, axis=(1, 2, 3)))
    return float(np.mean(np.concatenate(errors)))


def codes_of(model, pictures):
    """Codes int32 by level, as `CodeModel.quantizers` names them."""
    codes = encode_array(model, pictures)
    if not isinstance(codes, dict):
        codes = dict.fromkeys(model.quantizers(), codes)
    return {name: own.astype(np.int32) for name, own in codes.items()}


def run(row, seed, arguments):
    """Trains and measures one row with one seed; returns its figures."""
    keras.utils.set_random_seed(seed)
    model = model_of(ROWS[row](seed), arguments.crop or arguments.size)
    images = opened("train", arguments)
    batches = data.training_batches(
        images,
        arguments.batch,
        arguments.crop or arguments.size,
        resize_range=arguments.resize_range,
        seed=seed,
    )
    fitted(model, batches, arguments.steps)
    whole = model_of(ROWS[row](seed), arguments.size)
    whole.build()
    whole.set_weights(model.get_weights())
    codes = codes_of(whole, pictures_of(images, arguments.size, arguments.few))
    test = pictures_of(opened("test", arguments), arguments.size)
    bits = bits_of_levels(whole, codes, codes_of(whole, test), arguments, seed)
    error = test_error(whole, test)
    return {
        "data": arguments.name,
        "row": row,
        "seed": seed,
        "steps": arguments.steps,
        "prior_steps": arguments.prior_steps,
        "psnr": psnr(error),
        "mse_over_variance": error / float(np.var(test.astype(np.float64))),
        "bits_a_pixel": sum(bits.values()) / arguments.size**2,
        "bits_of_levels": bits,
        "parameters": model.count_params(),
        "processor": command.processor(),
    }


def found_in(folder):
    """Returns all figures, in the order of the rows."""
    runs = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    order = list(ROWS)
    return sorted(
        runs,
        key=lambda own: (own["data"], order.index(own["row"]), own["seed"]),
    )


def table(folder):
    """Returns the table of all runs, in Markdown."""
    lines = [
        "| pictures | levels, codes | bits a pixel | of the top | PSNR "
        "| MSE / variance |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for own in found_in(folder):
        top = own["bits_of_levels"].get("top")
        share = top and top / sum(own["bits_of_levels"].values())
        cells = [
            own["data"],
            own["row"],
            f"{own['bits_a_pixel']:.3f}",
            f"{100 * share:.0f} %" if share else "",
            f"{own['psnr']:.2f}",
            f"{own['mse_over_variance']:.4f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(folder, path):
    """Draws PSNR against bits, a panel for each set of pictures."""
    runs = found_in(folder)
    names = sorted({own["data"] for own in runs})
    figure, axes = command.panels(len(names))
    for axis, name in zip(axes, names):
        for kind, color in (("one", "tab:blue"), ("two", "tab:orange")):
            points = sorted(
                (own["bits_a_pixel"], own["psnr"], own["row"])
                for own in runs
                if own["data"] == name and own["row"].startswith(kind)
            )
            axis.plot(
                *zip(*[point[:2] for point in points]),
                "o-",
                color=color,
                label=f"{kind} level{'s' if kind == 'two' else ''}",
            )
            for x, y, row in points:
                axis.annotate(
                    row.partition(", ")[2],
                    (x, y),
                    (4, -10),
                    textcoords="offset points",
                    fontsize=7,
                    color=color,
                )
        axis.set(
            title=name, xlabel="bits of the priors a pixel", ylabel="PSNR, dB"
        )
        axis.legend()
    figure.savefig(path, dpi=110)


def parsed():
    parser = command.parser(
        __doc__,
        data_dir=None,
        source="tfds:cifar10",
        name="CIFAR-10",
        size=32,
        crop=0,
        batch=32,
        steps=4000,
        few=20_000,
        prior_batch=32,
        prior_steps=1500,
        rows=";".join(ROWS),
        seeds="0",
        folder=str(FOLDER),
        plot="",
    )
    parser.add_argument("--table", action="store_true")
    parser.add_argument(
        "--resize_range", type=int, nargs=2, help="of the shorter side"
    )
    return parser.parse_args()


def main():
    arguments = parsed()
    if arguments.plot:
        plot(expand(arguments.folder), expand(arguments.plot))
        return
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            path = path_of(folder, f"{arguments.name}-{row}", seed)
            if not path.exists():
                keras.backend.clear_session()
                figures = run(row, seed, arguments)
                print(figures, flush=True)
                command.write(path, figures)


if __name__ == "__main__":
    main()
