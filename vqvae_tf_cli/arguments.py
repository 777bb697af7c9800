"""The commands, their arguments and flags, and their help texts."""

import dataclasses
import importlib.util
import pathlib
import textwrap

from vqvae_tf_cli.options import FLAGS

_PRESET = "a built-in name, a preset's folder or a training's work directory"
_INPUTS = "picture files, and folders of them"
_AUDIO = "wav and flac files, and folders of them"
_DATASET = ("data_dir", "split", "format", "num_shards", "batch_size")


@dataclasses.dataclass(frozen=True)
class Command:
    """A command's help and arguments.

    Attributes:
        summary: half a line for the list of commands.
        text: what it does.
        arguments: the arguments' names and what they are.
        flags: the names of its flags.
        example: a command line.
        output: the default of --output.
        most: the most arguments it takes; by default as many as are named.
    """

    summary: str
    text: str
    example: str
    arguments: dict[str, str] = dataclasses.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    output: str | None = None
    most: int | None = None

    def takes(self, count: int) -> bool:
        """Returns whether it takes this many arguments."""
        named = len(self.arguments)
        least = sum(not name.startswith("[") for name in self.arguments)
        return least <= count <= (self.most or named)


COMMANDS = {
    "list": Command(
        "what the zoo holds, with its figures",
        "Lists the presets that come with the package, and their figures.",
        "vqvae-tf list",
    ),
    "train": Command(
        "train a recipe, or resume its training",
        "Trains a recipe and writes WORKDIR/preset: the model with its "
        "figures and its card. If it was killed, calling it again resumes from "
        "the last checkpoint. --config and --workdir must be given. "
        "NAME:small is the variant of a recipe that trains in about a minute.",
        "vqvae-tf train --config=vqvae_photo128 --workdir=runs/photos "
        "--data_dir=PHOTOS",
        flags=(
            "config",
            "config.KEY",
            "workdir",
            "data_dir",
            "stage",
            "strategy",
        ),
    ),
    "evaluate": Command(
        "measure the card's figures again, compare presets",
        "Measures a preset's figures again and compares them with its card; "
        "exits with 1 if they differ. On another split, or with another "
        "number of draws, it only measures. --against=OTHER measures both, and "
        "the difference of their bounds picture by picture (only for presets "
        "of pictures). For several presets, such as runs with other seeds, it "
        "also gives the means of their figures; --against=OTHER,OTHER2 "
        "compares them pair by pair. Intervals are 95 % intervals.",
        "vqvae-tf evaluate vqvae_photo128 --data_dir=PHOTOS",
        {"PRESET...": _PRESET},
        ("data_dir", "on_corrupt", "eval_split", "bound_samples", "against"),
        most=10_000,
    ),
    "sample": Command(
        "draw pictures",
        "Draws codes, or a VAE's latents, from a preset's prior, decodes them, "
        "and writes the pictures as one sheet. Priors of few photos learn "
        "textures, not objects. For speech, it writes wav files and a sheet of "
        "spectrograms to a folder (--output, by default samples); speakers "
        "take turns unless --speaker names one.",
        "vqvae-tf sample vqvae_photo128 --num=16 --output=samples.png",
        {"PRESET": _PRESET},
        (
            "output",
            "num",
            "seed",
            "label",
            "speaker",
            "fast",
            "temperature",
            "top_k",
            "top_p",
            "classifier",
            "canvas",
            "keep",
        ),
        output="samples.png",
    ),
    "reconstruct": Command(
        "write pictures beside their reconstructions",
        "Writes each picture beside its reconstruction, and prints the PSNR. "
        "By default a picture is resized and cropped to the central square "
        "of the preset's size (128x128 for vqvae_photo128); --size=native "
        "keeps its size. For speech, it decodes each recording's codes to a "
        "wav file and writes both spectrograms; in the voice of --speaker, by "
        "default the one that makes the recording most likely.",
        "vqvae-tf reconstruct vqvae_photo128 holiday.jpg --output=out",
        {"PRESET": _PRESET, "IN...": f"{_INPUTS}; of speech {_AUDIO}"},
        (
            "output",
            "size",
            "speaker",
            "fast",
            "temperature",
            "seed",
            "on_corrupt",
        ),
        output="reconstructions",
        most=10_000,
    ),
    "encode": Command(
        "pictures to codes or latents, a whole data set to codes",
        "Writes the codes of pictures, resized and cropped to the central "
        "square of the preset's size. If OUT ends in .npz: the codes of a "
        "picture file, a folder or an npz file, with the pictures' names; for "
        "VAEs and other autoencoders without codes, float latents. Otherwise "
        "OUT is a folder for the codes of a data set of any size, in shards "
        "that tensorflow_datasets reads, with labels and names "
        "(docs/encoding.md). If it was killed, calling it again resumes. For "
        "speech: the codes of wav and flac files of any sample rate, scaled as "
        "in training, to OUT.npz, with their numbers of samples (`lengths`).",
        "vqvae-tf encode vqvae_cifar10 tfds:cifar10 codes --split=train,test",
        {
            "PRESET": _PRESET,
            "IN": "a folder or an npz file with `images`; for OUT.npz also a "
            "picture file, for a folder also tfds:NAME, pictures or episodes; "
            "for speech a wav or flac file, or a folder of them",
            "OUT": "codes.npz (arrays `codes`, or `latents`, and `names`), or "
            "a folder",
        },
        ("on_corrupt", *_DATASET),
    ),
    "decode": Command(
        "codes or latents to pictures, codes of speech to recordings",
        "Decodes codes, or latents, to pictures; codes of speech to wav files "
        "in the voice of --speaker.",
        "vqvae-tf decode vqvae_photo128 codes.npz pictures",
        {
            "PRESET": _PRESET,
            "IN": "a file or folder written by `vqvae-tf encode`",
            "OUT": "a folder for PNG or wav files; or, for a file of codes "
            "of pictures, an npz file",
        },
        ("split", "speaker", "fast", "temperature", "seed"),
    ),
    "convert": Command(
        "convert recordings to another voice",
        "Decodes recordings' codes in the voice of --speaker, to a wav file "
        "each, and writes both spectrograms. Only for presets of speech; "
        "--speaker must be given.",
        "vqvae-tf convert vqvae_speech8k seven.wav --speaker=theo "
        "--output=theo",
        {"PRESET": _PRESET, "IN...": _AUDIO},
        ("output", "speaker", "fast", "temperature", "seed", "on_corrupt"),
        output="conversions",
        most=10_000,
    ),
    "rollout": Command(
        "continue a video or a sequence",
        "Continues a clip from its first frames, in the space of codes, and "
        "writes a film (.gif) of the clip and its sampled futures, side by "
        "side; or only the futures as an array (.npz). IN is an npz file with "
        "`frames` [time, height, width, 3] and perhaps `actions` [time], or a "
        "folder of pictures in the order of the numbers in their names; by "
        "default a clip of the package. A preset of sequences (TD-VAE and its "
        "like) continues all of IN, at the --times that are asked for; "
        "sequences of numbers, `frames` [time, channels], become a picture "
        "(.png) or an array. Without actions, or with "
        "--actions=none, the model chooses for itself. The actions of "
        "video_dmlab84 are 0 forward, 1 backward, 2 and 3 strafe left and "
        "right, 4 and 5 look left and right, 6 and 7 the same going forward, "
        "8 fire.",
        "vqvae-tf rollout video_dmlab84 --actions=4,4,4,4,5,5,5,5 "
        "--output=turns.gif",
        {
            "PRESET": _PRESET,
            "[IN]": "an npz file with frames, or a folder of pictures",
        },
        (
            "output",
            "actions",
            "num_frames",
            "times",
            "num_futures",
            "seed",
            "temperature",
            "top_k",
            "top_p",
        ),
        output="rollout.gif",
    ),
    "export": Command(
        "write a SavedModel for serving",
        "Writes a SavedModel in TensorFlow Serving's layout, DIR/VERSION.",
        "vqvae-tf export vqvae_photo128 serving/vqvae_photo128",
        {"PRESET": _PRESET, "DIR": "the model's folder"},
        (
            "model_version",
            "jit_sampling",
            "max_batch",
            "max_pixels",
            "max_samples",
        ),
    ),
    "demo": Command(
        "try everything on a few photos and clips",
        "Reconstructs, samples, completes and serves the photos that come "
        "with the package, redraws frames of DeepMind Lab from three codes and "
        "continues clips of it; writes pictures, figures and a SavedModel.",
        "vqvae-tf demo --output=demo",
        flags=("output",),
        output="demo",
    ),
}


def usage(name: str) -> str:
    """Returns a command's usage line."""
    command = COMMANDS[name]
    words = ["vqvae-tf", name, *command.arguments]
    return " ".join(words + ["[--FLAG=VALUE ...]"] * bool(command.flags))


def general_help() -> str:
    """Returns what `vqvae-tf --help` prints."""
    commands = _table({k: v.summary for k, v in COMMANDS.items()})
    names = [n for n in FLAGS if any(n in c.flags for c in COMMANDS.values())]
    rows = {f"--{n}": f"{FLAGS[n].help} ({_users(n)})" for n in sorted(names)}
    rows |= {f"--{n}": text for n, text in _config_help().items()}
    rows["--verbosity"] = "1 shows every log line, and where an error arose"
    return f"""vqvae-tf COMMAND ...

Commands; `vqvae-tf COMMAND --help` says more about each:
{commands}

PRESET is {_PRESET}.

Flags, and the commands that take them:
{_table(rows)}
  --help, --version"""


def _users(flag):
    return ", ".join(n for n, c in COMMANDS.items() if flag in c.flags)


def command_help(name: str) -> str:
    """Returns what `vqvae-tf COMMAND --help` prints."""
    command = COMMANDS[name]
    parts = [f"Usage: {usage(name)}", textwrap.fill(command.text, 79)]
    if command.arguments:
        parts.append("Arguments:\n" + _table(command.arguments))
    if command.flags:
        parts.append("Flags:\n" + _table(_flag_rows(command)))
    parts.append(f"Example:\n  {command.example}")
    return "\n\n".join(parts)


def _flag_rows(command):
    rows, config = {}, _config_help()
    for name in command.flags:
        if name in config:
            rows[f"--{name}"] = config[name]
            continue
        default = command.output if name == "output" else FLAGS[name].default
        # Flags without a default describe it in their help.
        known = "" if default is None else f" (default: {default})"
        rows[f"--{name}"] = FLAGS[name].help + known
    return rows


def _config_help():
    names = ", ".join(recipe_names())
    return {
        "config": f"the recipe: a Python file, or one of {names}",
        "config.KEY": "another value for a key of the recipe, such as "
        "--config.training.steps=500",
    }


def _table(rows):
    width = max(map(len, rows)) + 2
    return "\n".join(
        textwrap.fill(
            f"{name:{width}}{text}",
            79,
            initial_indent="  ",
            subsequent_indent=" " * (width + 2),
            break_on_hyphens=False,
        )
        for name, text in rows.items()
    )


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the package."""
    package = pathlib.Path(importlib.util.find_spec("vqvae_tf").origin).parent
    # From its file, since `import vqvae_tf.zoo_path` would import TensorFlow.
    spec = importlib.util.spec_from_file_location(
        "zoo_path", package / "zoo_path.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = module.zoo_dir() / "recipes"
    return sorted(path.stem for path in folder.glob("*.py"))
