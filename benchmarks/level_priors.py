"""Trains other priors on the codes of a preset of several levels, and compares.

    python benchmarks/level_priors.py --data_dir=FOLDER \
        --preset=vqvae2_grocery128 --minutes=30 --keep=FOLDER
    python benchmarks/priors.py --table

As benchmarks/priors.py: the same codes in the same order, minutes of one core
for each level, weights chosen by pictures that are left out of training and
measured on the test split once. The density of each level but the top is given
the codes above it. A run writes docs/priors/PRESET-ROW-SEED.json; --keep also
saves the chain of densities, for prior_samples.py. With --scratch a run that
was stopped goes on from its last look.
"""

import command
import keras
import level_bits
import numpy as np
import priors

import vqvae_tf as vq
from vqvae_tf import recipes
from vqvae_tf.densities import CodeChain
from vqvae_tf.evaluation.statistics import half_interval

_MASKED = dict(name="MaskedCodeTransformer", num_heads=4, dropout=0.1)
_TOP = dict(hidden_channels=128, num_layers=6, head_channels=128)
# A grid of four times as many codes, whose attention takes sixteen times.
_BOTTOM = dict(hidden_channels=96, num_layers=3, head_channels=96)
# Sections of the recipe, the top first; None for the recipe's own.
ROWS = {
    "recipe": None,
    "MaskedCodeTransformer": [_MASKED | _TOP, _MASKED | _BOTTOM],
}


def run(row, seed, model, config, parts, arguments):
    """Trains and measures a chain; returns its figures, and the chain."""
    config = config.copy_and_resolve_references()
    if ROWS[row]:
        config.prior.densities = ROWS[row]
    found, densities, bits = {}, [], []
    for number, level in enumerate(model.quantizers()):
        keras.utils.set_random_seed(seed + number)
        scratch = f"{arguments.preset}-{row}-{level}-{seed}"
        each, density, own = level_bits.trained(
            level, seed, True, model, config, parts, arguments, scratch
        )
        found[level] = each
        densities.append(density)
        bits.append(own)
    codes = sum(own[0].size for own in parts["test"][0].values())
    total = np.sum(bits, axis=0) / codes
    return {
        "preset": arguments.preset,
        "row": row,
        "seed": seed,
        "parameters": sum(each.count_params() for each in densities),
        "minutes": arguments.minutes * len(densities),
        "steps": sum(each["steps"] for each in found.values()),
        "bits_per_code": float(total.mean()),
        "half_interval": half_interval(total),
        "is_bound": row.startswith("Masked"),
        "processor": command.processor(),
        "levels": found,
    }, CodeChain(densities)


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        preset="vqvae2_grocery128",
        rows="MaskedCodeTransformer",
        seeds="0",
        minutes=30.0,
        block=1,
        folder=str(priors.FOLDER),
        keep="",
        scratch="",
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    folder = command.folder_of_runs(arguments, priors.table)
    if folder is None:
        return
    preset = vq.LatentGenerator.from_preset(arguments.preset)
    config = recipes.read_recipe(recipes.find_recipe(arguments.preset))
    parts = priors.codes_of(preset, config, arguments)
    model = preset.autoencoder
    for seed in map(int, arguments.seeds.split(",")):
        for row in arguments.rows.split(";"):
            path = folder / f"{arguments.preset}-{row}-{seed}.json"
            if path.exists():
                continue
            found, chain = run(row, seed, model, config, parts, arguments)
            command.save(chain, arguments.keep, path.stem)
            command.write(path, found)


if __name__ == "__main__":
    main()
