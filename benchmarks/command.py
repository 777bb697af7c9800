"""The command line of a benchmark, and a quiet TensorFlow.

Imports of this come before those of TensorFlow, which then logs errors alone.
"""

import argparse
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Where figures are kept.
DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"


def parser(text: str, **options) -> argparse.ArgumentParser:
    """Returns a parser that shows `text` as it is.

    Args:
        text: the benchmark's docstring.
        options: defaults by the options' names. A value is of its default's
            type, text where that is None.
    """
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, default in options.items():
        kind = str if default is None else type(default)
        made.add_argument(f"--{name}", type=kind, default=default)
    return made


def processor() -> str:
    """Returns the processor's model, family, and whether it has AVX512."""
    text = pathlib.Path("/proc/cpuinfo").read_text()

    def field(name):
        return text.partition(f"{name}\t")[2].partition("\n")[0].strip("\t: ")

    has = "with" if "avx512f" in text else "without"
    family = f"family {field('cpu family')}, model {field('model')}"
    return f"{field('model name')} ({family}), {has} AVX512"


def write(path: pathlib.Path, figures: object) -> None:
    """Writes figures as JSON; the file appears once it is complete."""
    from vqvae_tf.utils.files import write_atomically

    with write_atomically(path) as name, open(name, "w") as file:
        file.write(json.dumps(figures, indent=1) + "\n")


def save(model, folder: str, name: str) -> None:
    """Saves a model as FOLDER/NAME.keras; nothing for an empty folder."""
    from vqvae_tf.utils.paths import expand

    if folder:
        path = expand(folder) / f"{name}.keras"
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)


def mean(values, style: str = ".3f") -> str:
    """Returns the mean over runs, with half of its 95 % interval.

    Args:
        values: figures of the runs; None of a run that lacks this one.
        style: a format of floats.
    """
    from vqvae_tf.evaluation.comparison import of_runs

    values = [value for value in values if value is not None]
    if not values:
        return ""
    if len(values) < 2:
        return f"{values[0]:{style}}"
    found = of_runs(values)
    return f"{found.mean:{style}} ± {found.half:{style}}"


def panels(number: int):
    """Returns a figure with panels beside each other, and the list of these."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1,
        number,
        figsize=(5 * number, 4),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes[0]:
        axis.grid(alpha=0.3)
    return figure, list(axes[0])


def folder_of_runs(arguments, table) -> pathlib.Path | None:
    """Returns the folder of --folder, which is made if it is missing.

    Args:
        arguments: with `folder` and `table`.
        table: returns the table of a folder's runs. With --table that is
            printed instead, and None returned.
    """
    from vqvae_tf.utils.paths import expand

    folder = expand(arguments.folder)
    if arguments.table:
        print(table(folder))
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return folder
