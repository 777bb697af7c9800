"""The likelihood table: VAE, VQ-VAE and VIMCO on CIFAR-10, in bits/dim.

    python benchmarks/likelihood_table.py --workdir DIR --data_dir TFDS
    python benchmarks/likelihood_table.py --workdir DIR --only vqvae_3 vae_8

Trains each point of the sweep over the number of latents (recipes vae_cifar10,
likelihood_vqvae_cifar10, vimco_cifar10 and vimco_gaussian_cifar10 with a key or
two changed), all by the same steps, and measures it on the last 5,000 training
pictures, which choose the best of each kind; `--split test` measures on the
test set. A run of other steps, or of other keys, needs a `--suffix` of its own
(`--set start '"DIR/vae_16/preset"'` goes on from another one). Figures are kept
in DIR/table.json as they come, and a killed run goes on where it was.
"""

import json

import command
import trained

from vqvae_tf import presets, tasks  # noqa: E402
from vqvae_tf.utils.paths import expand

VALIDATION = "train[45000:]"


def _vqvae(codebooks):
    return {
        "quantizer.num_codebooks": codebooks,
        "encoder.output_channels": 4 * codebooks,
    }


def _vae(channels):
    return {"encoder.output_channels": 2 * channels}


def _vimco(codebooks):
    return {
        "bottleneck.num_codebooks": codebooks,
        "encoder.output_channels": 128 * codebooks,
    }


# Kind: the recipe, what a number of latents changes, and the numbers.
KINDS = {
    "vqvae": ("likelihood_vqvae_cifar10", _vqvae, (1, 2, 3, 5, 10)),
    "vae": ("vae_cifar10", _vae, (4, 8, 16, 32)),
    "vimco": ("vimco_cifar10", _vimco, (1, 2, 4)),
    "vimco_gaussian": ("vimco_gaussian_cifar10", _vae, (1, 2, 4)),
}


def points():
    """Returns (kind, number) of each point of the sweep by its name."""
    return {
        f"{kind}_{number}": (kind, number)
        for kind, (_, _, numbers) in KINDS.items()
        for number in numbers
    }


def make_recipe(kind, number, overrides=()):
    """Returns the recipe of a point; overrides are (key, value) pairs."""
    name, changes, _ = KINDS[kind]
    return trained.make_recipe(name, (*changes(number).items(), *overrides))


def run(name, arguments):
    """Trains a point, or goes on with it; returns its figures."""
    overrides = [("training.steps", arguments.steps)] * bool(arguments.steps)
    overrides += [(k, json.loads(v)) for k, v in arguments.set]
    config = make_recipe(*points()[name], overrides)
    config.data.update(
        eval_split=VALIDATION, bound_samples=1, neighbour_pictures=0
    )
    folder = expand(arguments.workdir) / (name + arguments.suffix)
    trained.train(config, folder, arguments.data_dir, "autoencoder")
    return {
        **_measure(folder, arguments),
        "steps": config.training.steps,
        "split": arguments.split,
        "course": course(folder),
    }


def _measure(folder, arguments):
    """Returns the figures of a run's card, or of another split or bound."""
    metadata = presets.load_metadata(folder / "preset")
    wanted = {
        "eval_split": arguments.split,
        "bound_samples": arguments.samples,
    }
    description = metadata["data"]
    metrics = metadata["metrics"]
    known = all(description[k] == v for k, v in wanted.items())
    if known and "prior_bits_per_code" not in metrics:
        return metrics
    # A prior that was learned since then has its own bound; this is of the
    # uniform one.
    model = presets.load(folder)
    return tasks.measure(
        model.autoencoder,
        {**description, **wanted, "neighbour_pictures": 0},
        arguments.data_dir,
    )


def course(folder):
    """Returns (step, bits/dim of the pictures trained on since the last)."""
    lines = (folder / "logs/autoencoder/history.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [(row["step"], row["bits_per_dim"]) for row in rows]


def main():
    parser = command.parser(__doc__, data_dir=None, split=VALIDATION, suffix="")
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--only", nargs="*", choices=points(), metavar="POINT")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--samples", type=int, default=1, help="of the bound")
    parser.add_argument(
        "--set",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "JSON"),
        help="another key of the recipe",
    )
    arguments = parser.parse_args()
    table = expand(arguments.workdir) / "table.json"
    table.parent.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or points():
        key = f"{name}{arguments.suffix}:{arguments.split}:{arguments.samples}"
        found = trained.read(table).get(key)
        if found is None:
            found = run(name, arguments)
            trained.add(table, key, found)
        elif arguments.steps not in (None, found["steps"]):
            parser.error(
                f"{key} is known after {found['steps']} steps. Give --suffix. "
                f"Received: --steps={arguments.steps}."
            )
        print(f"{key}: {bound(found):.4f} bits/dim", flush=True)


def bound(figures):
    """Returns the tightest bound with the prior that training knew."""
    for name in ("bits_per_dim_uniform", "bits_per_dim_S", "bits_per_dim"):
        if name in figures:
            return figures[name]
    raise KeyError(f"There is no bound among {', '.join(figures)}.")


if __name__ == "__main__":
    main()
