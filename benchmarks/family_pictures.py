"""Draws what each member of the autoencoder family has of its own."""

import json

import family_properties as properties
import numpy as np
import tensorflow as tf

from vqvae_tf import recipes
from vqvae_tf.data import load_shapes
from vqvae_tf.media import sheets
from vqvae_tf.utils.files import write_atomically
from vqvae_tf.utils.paths import expand

COLUMNS = 12
SIDE = 14  # of the 196 units of an autoencoder of digits


def rows_of(*rows, scale=2):
    """Lays out rows of equally many pictures, enlarged.

    Args:
        rows: uint8 `[n, height, width, channels]` each.
        scale: how many pixels stand for one.
    """
    sheet = sheets.grid(np.concatenate(rows), columns=len(rows[0]))
    return sheets.enlarge(sheet, scale)


def unit_maps(z):
    """Draws activations `[n, ..., 196]` as uint8 `[n, 28, 28, 1]`.

    Black is 0, white the greatest magnitude of the picture.
    """
    z = np.abs(np.asarray(z, np.float64)).reshape(-1, SIDE, SIDE, 1)
    top = z.max(axis=(1, 2, 3), keepdims=True)
    levels = np.round(255 * z / np.maximum(top, 1e-12)).astype(np.uint8)
    return levels.repeat(2, axis=1).repeat(2, axis=2)


def sensitivity_maps(model, images):
    """Returns, of each pixel j, the norm of dz/dx_j over sqrt(tr Cov z).

    Returns:
        float `[n, S, S, C]`, of the images `[n, S, S, C]`.
    """

    @tf.function
    def norms(x):
        x = model.preprocess(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = model.bottleneck.encode(model.encoder(x))
            z = tf.reshape(z, [len(images), -1])
        jacobian = tape.batch_jacobian(z, x)
        return tf.sqrt(tf.reduce_sum(jacobian**2, axis=1))

    return norms(tf.constant(images)).numpy()


def spread(model, images):
    z = properties.in_batches(lambda x, _: model.encode(x), images)
    return np.sqrt(z.reshape(len(z), -1).var(axis=0).sum())


def traversals(model, image, count=5, width=9):
    """Decodes one picture with each latent in turn moved from -2 to 2.

    Args:
        model: a VAE with one position.
        image: uint8 `[1, S, S, C]`.
        count: how many latents, those of the largest KL over 500 pictures.
        width: how many places.

    Returns:
        uint8 `[count, width, S, S, C]`.
    """
    known = load_shapes("test").images[:500]
    posterior = model.bottleneck.posterior(model.latents(known))
    mean, scale = posterior.mean().numpy(), posterior.stddev().numpy()
    kl = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
    order = np.argsort(-kl.mean(axis=(0, 1, 2)))[:count]
    z = model.encode(image).numpy()
    z = np.tile(z, [count, width, 1, 1, 1])
    for row, latent in enumerate(order):
        z[row, ..., latent] = np.linspace(-2, 2, width)[:, None, None]
    decoded = model.decode(z.reshape(-1, *z.shape[2:])).numpy()
    return decoded.reshape(count, width, *decoded.shape[1:])


# The pictures ---------------------------------------------------------------


def autoencoder(many, model):
    images = many[:COLUMNS]
    return rows_of(images, model.reconstruct(images).numpy())


def denoising(many, model):
    images = many[:COLUMNS]
    noisy, clean = properties.denoised(model, images)
    return rows_of(images, noisy, clean)


def k_sparse(many, model):
    images = many[:COLUMNS]
    latents = model.latents(images)
    trained, _ = model.bottleneck.sample(latents, training=True)
    return rows_of(
        images,
        unit_maps(trained[0]),
        unit_maps(model.encode(images)),
        model.reconstruct(images).numpy(),
    )


def contractive(many, model, plain):
    images = many[:COLUMNS]
    maps = [
        sensitivity_maps(m, images) / spread(m, many) for m in (plain, model)
    ]
    top = np.quantile(maps[0], 0.99)
    levels = [
        np.round(255 * np.minimum(m / top, 1)).astype(np.uint8) for m in maps
    ]
    return rows_of(images, *levels)


def variational(many, model):
    drawn = model.observation(many[:COLUMNS], seed=0)
    samples = model.sample(2 * COLUMNS, seed=0).numpy()
    return rows_of(
        drawn.numpy().astype(np.uint8),
        model.reconstruct(drawn).numpy(),
        *samples.reshape(2, COLUMNS, 28, 28, 1),
    )


def disentangled(_, model, plain):
    image = load_shapes("test").images[:1]
    left, right = traversals(plain, image), traversals(model, image)
    gap = np.full([len(left), 1, *image.shape[1:]], 255, np.uint8)
    rows = np.concatenate([left, gap, right], axis=1)
    return rows_of(*rows, scale=1)


PICTURES = {
    "ae": autoencoder,
    "dae": denoising,
    "ksparse": k_sparse,
    "cae": contractive,
    "vae": variational,
    "vimco": variational,
    "beta_10_6": disentangled,
}
# What a member is drawn beside.
PLAIN = {"cae": "ae", "beta_10_6": "beta_1_6"}


def draw(options, load, members):
    """Draws the pictures of members into the folder `options.pictures`.

    Args:
        options: of `family.py`.
        load: a function that returns the model and the recipe of a member.
        members: their names; those without a picture are passed over.
    """
    folder, workdir = (expand(p) for p in (options.pictures, options.workdir))
    folder.mkdir(parents=True, exist_ok=True)
    digits = recipes.read_recipe(recipes.find_recipe("ae_mnist"))
    description = digits.data.to_dict()
    many = properties.held_out(description, options.data_dir)
    for member in members:
        if member in PICTURES:
            beside = [PLAIN[member]] if member in PLAIN else []
            models = [load(m, options)[0] for m in (member, *beside)]
            name = "beta_vae" if member.startswith("beta") else member
            sheet = PICTURES[member](many, *models)
            sheets.save_picture(folder / f"family_{name}.png", sheet)
    if "sae" in members:
        model = load("sae", options)[0]
        draw_means(model, many, folder / "family_sae.png")
    if "capacity" in members:
        draw_capacity(workdir / "capacity", folder / "family_capacity.png")
    if "vae" in members:
        draw_bounds(workdir / "family.json", folder / "family_iwae.png")


def draw_means(model, images, path):
    """Draws the mean activation of each unit, in order, and rho's limits."""
    z = properties.in_batches(lambda x, _: model.encode(x), images)
    means = np.sort(z.reshape(len(z), -1).mean(axis=0))
    rho = model.bottleneck.rho

    def lines(axes):
        axes.plot(means, ".", label="mean over the test set")
        axes.axhspan(0.8 * rho, 1.2 * rho, alpha=0.2, label="rho +- 20 %")
        axes.set(xlabel="unit, in order", ylabel="activation")
        axes.set_ylim(0, 2 * rho)

    _plot(path, lines)


def draw_capacity(run, path):
    """Draws KL and C over the steps of a training."""
    log = run / "logs" / "autoencoder" / "history.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [row["step"] for row in rows]

    def lines(axes):
        for name, label in (("capacity", "C"), ("kl", "KL(q(z|x) || p(z))")):
            axes.plot(steps, [row[name] for row in rows], ".-", label=label)
        axes.set(xlabel="step (means of the steps before)", ylabel="nats")

    _plot(path, lines)


def draw_bounds(figures, path):
    """Draws the VAE's bounds over the number of samples."""
    bounds = json.loads(figures.read_text())["vae"]["nats_of"]
    bounds = sorted((int(samples), nats) for samples, nats in bounds.items())

    def lines(axes):
        axes.semilogx(*zip(*bounds), ".-", label="VAE")
        axes.set(xlabel="samples S", ylabel="-log p(x), at most, nats")

    _plot(path, lines)


def _plot(path, lines):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3), layout="constrained")
    lines(axes)
    axes.legend()
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
    pyplot.close(figure)
