"""The picture of the likelihood table, from its figures.

    python benchmarks/likelihood_plot.py docs/likelihood_table.json \\
        docs/likelihood.png

Left, the bound against the number of latents; right, its course in training.
"""

import argparse
import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

TITLES = {
    "vqvae": "VQ-VAE, uniform prior (codebooks of 512)",
    "vae": "VAE (dimensions)",
    "vimco": "VIMCO (codebooks of 128)",
    "vimco_gaussian": "VIMCO, Gaussian (dimensions)",
}


def bound(figures):
    """Returns the bound of one draw, with the prior that training knew."""
    return figures.get("bits_per_dim_uniform", figures.get("bits_per_dim"))


def curves(table, split):
    """Returns (number of latents, figures) of each kind, on one split."""
    found = {}
    for key, figures in table.items():
        if figures["split"] != split:
            continue
        name = key.partition(":")[0]
        kind, _, number = name.rpartition("_")
        if kind in TITLES and number.isdigit():
            found.setdefault(kind, []).append((int(number), figures))
    return {kind: sorted(found[kind], key=lambda p: p[0]) for kind in found}


def draw(table, split, path):
    """Draws both pictures of what was measured on `split`."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for kind, points in curves(table, split).items():
        numbers = [number for number, _ in points]
        values = [bound(figures) for _, figures in points]
        (line,) = left.plot(numbers, values, "o-", label=TITLES[kind])
        best = min(points, key=lambda point: bound(point[1]))
        steps, bits = zip(*best[1]["course"])
        label = f"{TITLES[kind].partition(' (')[0]}, {best[0]}"
        right.plot(steps, bits, color=line.get_color(), label=label)
    left.set(
        xlabel="latents in each of 8x8 places",
        ylabel="bits/dim, last 5,000 training pictures",
        xscale="log",
    )
    left.set_xticks([1, 2, 4, 8, 16, 32], [1, 2, 4, 8, 16, 32])
    right.set(xlabel="steps of 32 pictures", ylabel="bits/dim in training")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("output")
    parser.add_argument("--split", default="train[45000:]")
    arguments = parser.parse_args()
    with open(arguments.table) as file:
        table = json.load(file)
    draw(table, arguments.split, arguments.output)


if __name__ == "__main__":
    main()
