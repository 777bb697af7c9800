"""What a level's prior saves by seeing the codes above it, in equal minutes.

    python benchmarks/level_bits.py --data_dir=TFDS --preset=vqvae2_cifar10 \
        --minutes=20
    python benchmarks/level_bits.py --table

The density of each level but the top is trained twice on the same codes, in the
same order: given those above it, and alone. Both are measured as in
benchmarks/priors.py: weights are averaged and chosen by pictures that are left
out of training, and measured on the test split once. The former is also given
the codes above of other pictures. A run writes
docs/levels/PRESET-LEVEL-SEED.json; runs whose file exists are skipped. Nothing
should run beside it.
"""

import functools
import json

import command
import keras
import numpy as np
import priors

import vqvae_tf as vq
from vqvae_tf import data, recipes
from vqvae_tf.densities import CodeChain
from vqvae_tf.evaluation.levels import others_of
from vqvae_tf.evaluation.statistics import half_interval
from vqvae_tf.runtime.adam import Adam
from vqvae_tf.tasks.levels import recipe
from vqvae_tf.utils.paths import expand

FOLDER = command.DOCS / "levels"


def contexts_of(config, codes, labels, level, sees_above):
    """Returns the context of a level's density; None for none."""
    found = dict(priors.context_of(config, labels) or {})
    names = list(codes)
    for name in names[: names.index(level)] if sees_above else ():
        found[name] = codes[name].astype(np.int32)
    return found or None


def run(level, seed, sees_above, model, config, parts, arguments):
    """Trains and measures a level's density; returns its figures."""
    keras.utils.set_random_seed(seed)
    found, prior, _ = trained(
        level, seed, sees_above, model, config, parts, arguments
    )
    if sees_above:
        codes, labels = parts["test"]
        context = contexts_of(config, codes, labels, level, True)
        others = _of_others(context, codes)
        bits = priors.measured(prior)(codes[level], others)
        found["given_others"] = float(bits.mean() / codes[level][0].size)
    return found


def trained(
    level, seed, sees_above, model, config, parts, arguments, scratch=None
):
    """Trains a level's density, and measures it.

    Args:
        scratch: the name of a folder in that of --scratch, from which a stopped
            training goes on; or None.

    Returns:
        Its figures, the density, and the bits of each test picture's codes.
    """
    prior = recipe.make_density(config, model, level, sees_above)
    prior.build()
    prior.compile(Adam(use_ema=True, ema_momentum=0.999, ema_of_run=True))
    contexts = {
        name: contexts_of(config, *part, level, sees_above)
        for name, part in parts.items()
    }
    codes = {name: part[0][level] for name, part in parts.items()}
    first = level == next(iter(model.quantizers()))
    section = config.prior_training if first else config.lower_training
    batches = functools.partial(
        data.array_batches,
        codes["train"].astype(np.int32),
        section.batch_size,
        seed,
        context=contexts["train"],
    )
    bits, each = priors.measured(prior), codes["test"][0].size

    def look():
        found = bits(codes["validation"], contexts["validation"])
        return float(found.mean() / each)

    budget = priors.Budget(60 * arguments.minutes, section.learning_rate)
    if scratch and arguments.scratch:
        scratch = priors.Scratch(
            prior, expand(arguments.scratch) / scratch, budget
        )
    else:
        scratch = None
    curve = priors.fitted(prior, batches, budget, look, scratch)
    test = bits(codes["test"], contexts["test"])
    found = {
        "bits_per_code": float(test.mean() / each),
        "half_interval": half_interval(test / each),
        "steps": budget.steps,
        "curve": curve,
    }
    return found, prior, test


def _of_others(context, codes):
    """Returns a context with the upper codes of other pictures."""
    place = others_of(len(codes["top"]))
    return {k: v[place] if k in codes else v for k, v in context.items()}


def table(folder):
    """Returns the table of all runs, in Markdown."""
    lines = [
        "| preset | level | alone | given those above | given others |",
        "| --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        cells = [found["preset"], found["level"]]
        for key in ("alone", "given"):
            own = found[key]
            cells.append(
                f"{own['bits_per_code']:.3f} ± {own['half_interval']:.3f}"
            )
        cells.append(f"{found['given']['given_others']:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figures(level, seed, model, config, parts, arguments):
    """Returns what a run writes."""
    rows = (level, seed)
    rest = (model, config, parts, arguments)
    return {
        "preset": arguments.preset,
        "level": level,
        "seed": seed,
        "minutes": arguments.minutes,
        "alone": run(*rows, False, *rest),
        "given": run(*rows, True, *rest),
        "processor": command.processor(),
    }


def main():
    parser = command.parser(
        __doc__,
        data_dir=None,
        preset="vqvae2_cifar10",
        seeds="0",
        minutes=20.0,
        block=1,
        folder=str(FOLDER),
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    folder = command.folder_of_runs(arguments, table)
    if folder is None:
        return
    preset = vq.LatentGenerator.from_preset(arguments.preset)
    if not isinstance(preset.prior, CodeChain):
        raise SystemExit(f"{arguments.preset} has no levels.")
    config = recipes.read_recipe(recipes.find_recipe(arguments.preset))
    parts = priors.codes_of(preset, config, arguments)
    model = preset.autoencoder
    for seed in map(int, arguments.seeds.split(",")):
        for level in list(model.quantizers())[1:]:
            path = folder / f"{arguments.preset}-{level}-{seed}.json"
            if not path.exists():
                found = figures(level, seed, model, config, parts, arguments)
                command.write(path, found)


if __name__ == "__main__":
    main()
