"""Compares VQGAN with a VQ-VAE of the same parts, codes and minutes.

    python benchmarks/vqgan.py --data_dir=GROCERY
    python benchmarks/vqgan.py --data_dir=GROCERY --minutes=24 \
        --rows="VQGAN;no adversary;fixed weight;misplaced beta" --seeds=0,1,2
    python benchmarks/vqgan.py --table

All rows have the recipe's encoder, quantizer and decoder, and train for as many
minutes of one core, by the process's own clock, with a learning rate that falls
as a cosine and averaged weights (momentum 0.999):

    VQGAN           the recipe's model
    VQ-VAE          -log p(x | codes) in place of all other distances
    no adversary    pixels and the perceptual distance alone
    fixed weight    without the adaptive weight
    misplaced beta  beta weighs the codebook's term, as in the code of the paper

Adam's betas are the recipe's, for VQ-VAE the usual ones; both players have the
same learning rate. The adversary starts at the same share of the minutes as in
the longest runs (--whole). Each is measured once, on held-out pictures, as a
preset of the recipe would be. A run writes
docs/vqgan/RECIPE-ROW-MINUTES-SEED.json, with its curves; runs whose file exists
are skipped. --keep=FOLDER also saves the models. With --scratch=FOLDER a run
that was stopped goes on from its last epoch.
"""

import json

import command
import keras
import tensorflow as tf
from budget import Budget, Scratch

import vqvae_tf as vq
from vqvae_tf import recipes, tasks
from vqvae_tf.quantizers.gradients import mean_squares
from vqvae_tf.recipes import building
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.tasks import card as cards
from vqvae_tf.tasks.pictures.recipe import open_split
from vqvae_tf.tasks.pictures.training import picture_batches
from vqvae_tf.training import averaging
from vqvae_tf.utils.paths import expand

FOLDER = command.DOCS / "vqgan"
EPOCH = 100
ROWS = ("VQGAN", "VQ-VAE", "no adversary", "fixed weight", "misplaced beta")
_FIGURES = (
    "psnr",
    "ssim",
    "reconstruction_kernel_distance",
    "half_kernel_distance",
    "reconstruction_frechet_distance",
    "half_frechet_distance",
    "usage",
    "perplexity",
)


@keras.saving.register_keras_serializable("benchmarks")
class Misplaced(vq.VectorQuantizer):
    """A quantizer whose beta weighs the codebook's term."""

    def loss(self, z, quantized, codes, weights):
        codebook = mean_squares(tf.stop_gradient(z) - quantized, weights)
        commitment = mean_squares(z - tf.stop_gradient(quantized), weights)
        return commitment + self.commitment_cost * codebook


def made(config, row, seed):
    """Returns a row's model, compiled."""
    keras.utils.set_random_seed(seed)
    config = config.copy_and_resolve_references()
    if row == "no adversary":
        config.discriminator.name = None
    if row == "fixed weight":
        config.adversarial.adaptive_weight = False
    if row == "misplaced beta":
        config.quantizer.name = "vqgan:Misplaced"  # of this file
    model = building.make_autoencoder(config)
    if row == "VQ-VAE":
        parts = model.encoder, model.quantizer, model.decoder
        model = vq.VQVAE(*parts, event_shape=model.event_shape)
        model.build()
    options = config.adversarial
    betas = dict(beta_1=options.beta_1, beta_2=options.beta_2)
    averaged = dict(use_ema=True, ema_momentum=0.999, ema_of_run=True)
    if row == "VQ-VAE":
        betas = {}
    optimizers = {"optimizer": Adam(**betas, **averaged)}
    if getattr(model, "discriminator", None) is not None:
        optimizers["discriminator_optimizer"] = Adam(**betas)
    model.compile(**optimizers)
    return model


class Curves(keras.callbacks.Callback):
    """Collects each epoch's metrics, and lets a scratch save them."""

    def __init__(self, budget, curve, scratch):
        super().__init__()
        self.budget, self.curve, self.scratch = budget, curve, scratch

    def on_epoch_end(self, epoch, logs=None):
        point = {k: round(float(v), 5) for k, v in logs.items()}
        point["steps"] = self.budget.steps
        point["minutes"] = round(self.budget.spent / 60, 2)
        # A scratch keeps the weights of the best look: here of the last.
        point["validation"] = -self.budget.steps
        self.curve.append(point)
        print(point, flush=True)
        if self.scratch:
            self.scratch.save(self.curve, self.model.get_weights())


def run(config, row, seed, arguments):
    """Trains and measures one model; returns its figures, and the model."""
    model = made(config, row, seed)
    section = config.training
    budget = Budget(60 * arguments.minutes, section.learning_rate)
    curve, scratch = [], None
    if arguments.scratch:
        name = name_of(config, row, seed, arguments)
        scratch = Scratch(model, expand(arguments.scratch) / name, budget)
        curve, _ = scratch.restore()
    images = open_split(
        config.data, config.data.train_split, arguments.data_dir
    )
    if budget.share < 1:
        batches = picture_batches(
            config, images, section, skip_steps=budget.steps
        )
        model.fit(
            batches,
            steps_per_epoch=EPOCH,
            epochs=10**6,
            verbose=0,
            callbacks=[budget, Curves(budget, curve, scratch)],
        )
    averaging.use_averages(model)
    figures = tasks.measure(
        model, cards.describe(config), arguments.data_dir, False
    )
    for point in curve:
        point.pop("validation", None)
    found = {
        "recipe": config.name,
        "row": row,
        "seed": seed,
        "parameters": model.encoder.count_params()
        + model.decoder.count_params(),
        "minutes": arguments.minutes,
        "steps": budget.steps,
        "figures": figures,
        "processor": command.processor(),
        "curve": curve,
    }
    return found, model


def name_of(config, row, seed, arguments):
    words = row.replace(" ", "_")
    return f"{config.name}-{words}-{arguments.minutes:g}-{seed}"


def config_of(arguments):
    """Returns the recipe, whose adversary starts in time."""
    config = recipes.load_recipe(arguments.recipe)
    config.prior.name = None
    share = arguments.minutes / arguments.whole
    for key in ("adversarial_start", "adversarial_ramp", "discriminator_start"):
        config.adversarial[key] = round(share * config.adversarial[key])
    return config


def table(folder):
    """Returns the table of all runs, in Markdown: means over seeds."""
    runs = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    keys = sorted(
        {(r["recipe"], r["minutes"], ROWS.index(r["row"])) for r in runs},
        key=lambda key: (key[0], -key[1], key[2]),
    )
    lines = [
        f"| row | minutes | seeds | {' | '.join(_FIGURES)} |",
        "| --- | --- | --- |" + " --- |" * len(_FIGURES),
    ]
    for recipe, minutes, number in keys:
        own = [
            r
            for r in runs
            if (r["recipe"], r["minutes"]) == (recipe, minutes)
            and r["row"] == ROWS[number]
        ]
        cells = [
            command.mean([r["figures"].get(k) for r in own], ".4g")
            for k in _FIGURES
        ]
        head = f"| {ROWS[number]} | {minutes:g} | {len(own)} |"
        lines.append(f"{head} {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        recipe="vqgan_grocery128",
        rows="VQGAN;VQ-VAE",
        seeds="0",
        minutes=96.0,
        whole=96.0,
        folder=str(FOLDER),
        keep="",
        scratch="",
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    config = config_of(arguments)
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            name = name_of(config, row, seed, arguments)
            path = folder / f"{name}.json"
            if path.exists():
                continue
            found, model = run(config, row, seed, arguments)
            command.save(model, arguments.keep, name)
            command.write(path, found)


if __name__ == "__main__":
    main()
