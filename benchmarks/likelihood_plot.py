"""The picture of the likelihood table, from its figures.

    python benchmarks/likelihood_plot.py docs/likelihood_table.json \\
        docs/likelihood.png

Left, the bound of one draw against the number of latents; right, the mean of
the bound in training since the point before, of the draws it was trained with.
"""

import json
import math
import re

import command
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from likelihood_table import VALIDATION, bound, make_recipe  # noqa: E402

# Bits/dim of pixels as they are: worse is no model, and is off the plot.
RAW = 8.0

TITLES = {
    "vqvae": "VQ-VAE, uniform prior (codebooks of 512)",
    "vae": "VAE (dimensions)",
    "vimco": "VIMCO (codebooks of 128)",
    "vimco_gaussian": "VIMCO, Gaussian (dimensions)",
}


def curves(table, split):
    """Returns (number of latents, figures) of each sweep, on one split.

    A sweep is a kind and a number of steps, measured by one draw. Points of
    other suffixes than `_short` are runs of their own.
    """
    found = {}
    for key, figures in table.items():
        point = re.fullmatch(r"(\w+?)_(\d+)(_short)?", key.partition(":")[0])
        one_draw = key.endswith(":1")
        fits = figures["split"] == split and one_draw
        if fits and point and point[1] in TITLES:
            sweep = found.setdefault((point[1], figures["steps"]), [])
            sweep.append((int(point[2]), figures))
    return {
        sweep: sorted(points, key=lambda point: point[0])
        for sweep, points in found.items()
    }


def draw(table, split, path):
    """Draws both pictures of what was measured on `split`."""
    full = make_recipe("vae", 8).training.steps  # others are dotted
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6))
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    colors = dict(zip(TITLES, cycle))
    inside, outside = [], []
    for (kind, steps), points in curves(table, split).items():
        style = "-" if steps == full else ":"
        line = {"color": colors[kind], "linestyle": style}
        numbers = [number for number, _ in points]
        values = [bound(figures) for _, figures in points]
        inside += [value for value in values if value < RAW]
        outside += [
            (number, f"{value:.0f} \N{UPWARDS ARROW}", colors[kind])
            for number, value in zip(numbers, values)
            if value >= RAW
        ]
        values = [value if value < RAW else math.nan for value in values]
        taken = f", {steps:,} steps" * (steps != full)
        label = TITLES[kind] + taken
        left.plot(numbers, values, marker="o", label=label, **line)
        best = min(points, key=lambda point: bound(point[1]))
        draws = ", S=10" * kind.startswith("vimco")
        name = TITLES[kind].partition(" (")[0]
        label = f"{name}, {best[0]}{draws}{taken}"
        right.plot(*zip(*best[1]["course"]), label=label, **line)
    left.set(
        xlabel="latents in each of 8x8 places",
        ylabel=f"bits/dim of {split}, S=1",
        xscale="log",
    )
    top = max(inside, default=RAW) + 0.25
    left.set_ylim(min(inside, default=RAW) - 0.1, top)
    for number, words, color in outside:
        left.text(number, top, words, ha="center", va="top", color=color)
    left.set_xticks([1, 2, 4, 8, 16, 32], [1, 2, 4, 8, 16, 32])
    left.minorticks_off()
    right.set(
        xlabel="steps of 32 pictures",
        ylabel="bits/dim of the steps before, mean",
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    parser = command.parser(__doc__, split=VALIDATION)
    parser.add_argument("table")
    parser.add_argument("output")
    arguments = parser.parse_args()
    with open(arguments.table) as file:
        table = json.load(file)
    draw(table, arguments.split, arguments.output)


if __name__ == "__main__":
    main()
