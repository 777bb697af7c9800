"""The `vqvae-tf` command."""

import pathlib
import sys

from absl import app, flags, logging
from ml_collections import config_flags

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Data; by default TFDS_DATA_DIR.")
flags.DEFINE_string("workdir", None, "train: the run's directory.")
flags.DEFINE_string("output", None, "The file or folder to write.")
flags.DEFINE_integer("num", 16, "sample: how many.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "sample: the seed.")
flags.DEFINE_integer("label", None, "sample: the class; all by default.")
flags.DEFINE_float("temperature", 1.0, "sample: of the prior.", 0.0)
flags.DEFINE_integer("top_k", None, "sample: most likely codes to draw from.")
flags.DEFINE_float("top_p", None, "sample: probability mass to draw from.")
flags.DEFINE_enum(
    "stage", "all", ["all", "autoencoder"], "train: where to stop."
)
flags.DEFINE_enum(
    "on_corrupt",
    "error",
    ["error", "skip"],
    "encode, reconstruct: what to do with a picture that cannot be read.",
)
flags.DEFINE_integer("version", 1, "export: the model's version.")
_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "train: a recipe, such as zoo/recipes/vqvae_cifar10.py."
)

USAGE = """vqvae-tf COMMAND ...

  list                              what the zoo holds, with its figures
  train --config=RECIPE --workdir=DIR
                                    train a recipe, or go on where it stopped
  evaluate PRESET                   measure the card's figures again
  sample PRESET --output=FILE       draw pictures
  reconstruct PRESET IN... --output=DIR
  encode PRESET IN OUT.npz          pictures (files, folders, npz) to codes
  decode PRESET IN.npz OUT          codes to pictures
  export PRESET DIR                 write a SavedModel for serving
  demo --output=DIR                 see it all work on a few photos

PRESET is a built-in name, a preset's folder or a training's work directory.
"""


class CommandError(Exception):
    """A mistake of the caller's, told in one line."""


def main():
    """Runs the command line; the entry point of the package."""
    app.run(_main, flags_parser=_parse)


def _parse(argv):
    if len(argv) < 2 or argv[1] in ("help", "--help", "-h"):
        print(USAGE + "\n" + FLAGS.main_module_help())
        sys.exit(0 if len(argv) > 1 else 2)
    try:
        return FLAGS(argv)
    except KeyError as error:
        _fail(f"The recipe has no key {error}; see the recipe for its keys.")
    except Exception as error:
        # Flags read the recipe, so anything a recipe does can fail here.
        _fail(error)


def _main(argv):
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    name, arguments = argv[1], argv[2:]
    if name not in COMMANDS:
        _fail(f"Unknown command {name!r}. Expected: {', '.join(COMMANDS)}.")
    function, least, most = COMMANDS[name]
    if not least <= len(arguments) <= most:
        _fail(f"`vqvae-tf {name}` takes other arguments.\n\n{USAGE}")
    try:
        sys.exit(function(*arguments))
    except KeyboardInterrupt:
        _fail("Interrupted.", 130)
    except (ValueError, OSError, CommandError) as error:
        if FLAGS.verbosity > 0:
            raise
        _fail(error)


def _fail(error, code=1):
    print(f"vqvae-tf: {error}", file=sys.stderr)
    sys.exit(code)


# Commands -------------------------------------------------------------------


def list_presets():
    """Prints the zoo's presets and their figures."""
    from vqvae_tf import cards, presets

    for name in sorted(presets.BUILT_IN):
        folder = presets.find_preset(name)
        metadata = presets.load_metadata(folder)
        parameters = metadata["parameters"] + metadata.get(
            "prior_parameters", 0
        )
        print(f"{name}  ({metadata['class']}, {parameters / 1e6:.1f} M)")
        print(f"  {metadata.get('summary', '')}")
        for title, value in cards.table(metadata["metrics"]):
            print(f"  {title:50} {value}")
        print()


def train():
    """Trains a recipe and writes WORKDIR/preset."""
    if FLAGS.config is None or FLAGS.workdir is None:
        raise CommandError(
            "train needs a recipe and a directory: vqvae-tf train "
            "--config=zoo/recipes/NAME.py --workdir=DIR."
        )
    from vqvae_tf import publishing, recipes, training

    config = recipes.check_recipe(FLAGS.config)
    model = training.train(config, FLAGS.workdir, FLAGS.data_dir, FLAGS.stage)
    if FLAGS.stage == "all":
        folder = pathlib.Path(FLAGS.workdir) / "preset"
        publishing.publish(config, model, folder, FLAGS.data_dir)
        print(f"Saved the preset {folder}.")


def evaluate(preset):
    """Measures a preset's figures again, and compares them with its card."""
    from vqvae_tf import cards, presets

    metadata = presets.verify(presets.find_preset(preset))
    model = presets.load(preset)
    print(f"{preset} on {metadata['data']['source']}, ", end="")
    print(f"split {metadata['data']['eval_split']}:")
    figures = cards.measure(model, metadata["data"], FLAGS.data_dir)
    for title, value in cards.table(figures):
        print(f"  {title:50} {value}")
    differences = cards.compare(figures, metadata["metrics"])
    if differences:
        print("These do not agree with the card:")
        print("\n".join(f"  {line}" for line in differences))
        return 1
    print("All figures agree with the card.")
    return 0


def sample(preset):
    """Writes a sheet of samples."""
    from vqvae_tf import cards, sheets
    from vqvae_tf.models import LatentGenerator

    output = FLAGS.output or "samples.png"
    generator = LatentGenerator.from_preset(preset)
    options = dict(
        seed=FLAGS.seed,
        temperature=FLAGS.temperature,
        top_k=FLAGS.top_k,
        top_p=FLAGS.top_p,
    )
    classes = generator.prior.global_channels
    if FLAGS.label is not None:
        sheet = _samples_of_class(generator, classes, options)
    else:
        sheet = cards.sample_sheet(generator, classes, FLAGS.num, **options)
    sheets.save_picture(output, sheet)
    print(f"Wrote {output}.")


def _samples_of_class(generator, classes, options):
    from vqvae_tf import data, sheets

    if not classes or not 0 <= FLAGS.label < classes:
        raise CommandError(
            f"--label must be in 0..{classes - 1}. Received: {FLAGS.label}."
            if classes
            else "This preset has no classes. Received: --label."
        )
    context = {"global": data.one_hot([FLAGS.label] * FLAGS.num, classes)}
    return sheets.grid(generator.sample(FLAGS.num, context=context, **options))


def reconstruct(preset, *inputs):
    """Writes each picture beside its reconstruction."""
    import numpy as np

    from vqvae_tf import evaluation, presets, sheets

    output = pathlib.Path(FLAGS.output or "reconstructions")
    model = presets.load(preset)
    size = _image_size(preset)
    for path, image in _pictures(inputs, size):
        again = model.reconstruct(image[None]).numpy()[0]
        error = np.mean((again.astype(np.float64) - image) ** 2)
        target = output / f"{path.stem}.png"
        sheets.save_picture(target, sheets.pairs(image[None], again[None]))
        print(f"{target}: {evaluation.psnr(error):.2f} dB")


def encode(preset, source, target):
    """Writes the codes of pictures, with their names."""
    import numpy as np

    from vqvae_tf import presets
    from vqvae_tf.files import write_atomically

    model = presets.load(preset)
    names, codes = [], []
    for batch_names, images in _picture_batches(source, _image_size(preset)):
        names += batch_names
        codes.append(model.encode(images).numpy())
    with write_atomically(target) as temporary:
        with open(temporary, "wb") as file:
            np.savez_compressed(
                file, codes=np.concatenate(codes), names=np.array(names)
            )
    print(f"Wrote the codes of {len(names)} pictures to {target}.")


def decode(preset, source, target):
    """Writes the pictures of codes: one PNG each, or an npz."""
    import numpy as np

    from vqvae_tf import presets, sheets
    from vqvae_tf.files import write_atomically

    if not pathlib.Path(source).is_file():
        raise CommandError(f"There is no file {source}.")
    model = presets.load(preset)
    with np.load(source, allow_pickle=False) as arrays:
        if "codes" not in arrays:
            raise CommandError(
                f"Expected an array `codes` in {source}. "
                f"Received: {', '.join(arrays)}."
            )
        codes = arrays["codes"]
        names = arrays["names"] if "names" in arrays else range(len(codes))
        names = [pathlib.Path(str(name)).stem for name in names]
    images = [
        model.decode(codes[i : i + 16]).numpy()
        for i in range(0, len(codes), 16)
    ]
    images = np.concatenate(images)
    if target.endswith(".npz"):
        with write_atomically(target) as temporary:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, images=images)
    else:
        for name, image in zip(names, images):
            sheets.save_picture(pathlib.Path(target) / f"{name}.png", image)
    print(f"Wrote {len(images)} pictures to {target}.")


def export(preset, target):
    """Writes a SavedModel in TensorFlow Serving's layout."""
    from vqvae_tf import presets
    from vqvae_tf.export import export as write

    path = write(presets.load(preset), target, version=FLAGS.version)
    print(f"Wrote the SavedModel {path}.")


def demo():
    """Runs the demonstration."""
    from vqvae_tf import demo as demonstration

    demonstration.run(pathlib.Path(FLAGS.output or "demo"))


# Pictures -------------------------------------------------------------------


def _image_size(preset):
    from vqvae_tf import presets

    metadata = presets.load_metadata(presets.find_preset(preset))
    return metadata["data"]["image_size"]


def _pictures(inputs, size):
    from vqvae_tf import data

    for name in inputs:
        path = pathlib.Path(name)
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            if not files:
                raise CommandError(f"There are no files below {path}.")
            yield from _pictures(files, size)
            continue
        try:
            yield path, data.load_picture(path, size)
        except (ValueError, OSError) as error:
            if FLAGS.on_corrupt == "error":
                raise
            logging.warning("Skipped: %s", error)


def _picture_batches(source, size, batch_size=16):
    """Yields names and uint8 [batch, size, size, 3] of a file or a folder."""
    import numpy as np

    from vqvae_tf import data

    if source.endswith(".npz"):
        path = pathlib.Path(source)
        images = data.open_images(f"npz:{path.name}", "all", str(path.parent))
        batches = data.evaluation_batches(images, batch_size, size)
        first = 0
        for x, _, weight in batches:
            count = int(weight.numpy().sum())
            yield [str(first + i) for i in range(count)], x.numpy()[:count]
            first += count
        return
    names, images = [], []
    for path, image in _pictures([source], size):
        names.append(str(path))
        images.append(image)
        if len(images) == batch_size:
            yield names, np.stack(images)
            names, images = [], []
    if images:
        yield names, np.stack(images)


COMMANDS = {
    "list": (list_presets, 0, 0),
    "train": (train, 0, 0),
    "evaluate": (evaluate, 1, 1),
    "sample": (sample, 1, 1),
    "reconstruct": (reconstruct, 2, 10_000),
    "encode": (encode, 3, 3),
    "decode": (decode, 3, 3),
    "export": (export, 2, 2),
    "demo": (demo, 0, 0),
}

if __name__ == "__main__":
    main()
