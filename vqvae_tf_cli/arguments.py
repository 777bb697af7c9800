"""What commands there are, which flags they take, and their help texts."""

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
    """A command: its help, and how many arguments it takes.

    Attributes:
        summary: half a line for the list of commands.
        text: what it does.
        arguments: a dict of the arguments' names to what they are.
        flags: the names of its flags.
        example: a command line.
        output: what --output is by default.
        most: how many arguments at most; by default as many as are named.
    """

    summary: str
    text: str
    example: str
    arguments: dict[str, str] = dataclasses.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    output: str | None = None
    most: int | None = None

    def takes(self, count: int) -> bool:
        """Returns whether it takes so many arguments."""
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
        "train a recipe, or go on where it stopped",
        "Trains a recipe and writes WORKDIR/preset: the model with its "
        "figures and its card. Killed, it goes on from the last checkpoint "
        "when it is called again. --config and --workdir must be given. "
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
        "exits with 1 where they differ. On another split, or with another "
        "number of draws, it only measures. --against=OTHER measures both, and "
        "the difference of their bounds picture by picture (of pictures "
        "alone). Of several presets, such as runs with other seeds, it also "
        "gives the means of their figures; --against=OTHER,OTHER2 compares "
        "them pair by pair. Intervals are of 95 %.",
        "vqvae-tf evaluate vqvae_photo128 --data_dir=PHOTOS",
        {"PRESET...": _PRESET},
        ("data_dir", "on_corrupt", "eval_split", "bound_samples", "against"),
        most=10_000,
    ),
    "sample": Command(
        "draw pictures",
        "Draws codes, or a VAE's latents, from a preset's prior and writes the "
        "pictures that they stand for as one sheet. A prior of few photos has "
        "learnt textures, not objects. Of speech: wav files and a sheet of "
        "spectrograms, to a folder (--output, by default samples); speakers "
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
        ),
        output="samples.png",
    ),
    "reconstruct": Command(
        "write pictures beside what their codes keep",
        "Writes each picture beside its reconstruction, and prints the PSNR. "
        "By default a picture is resized and cropped to the central square "
        "of the preset's size (128x128 for vqvae_photo128); --size=native "
        "takes it as large as it is. Of speech: writes what the codes of each "
        "recording say as a wav file, and both spectrograms; in the voice of "
        "--speaker, by default that under which the recording is likeliest.",
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
        "square of the preset's size. To OUT.npz: of a picture file, a folder "
        "or an npz file, with the pictures' names; a VAE or another "
        "autoencoder without codes writes float latents there. To another OUT, "
        "a folder: of a data set of any size, in shards that "
        "tensorflow_datasets reads, with labels and names (docs/encoding.md). "
        "Killed, it goes on where it was when it is called again. Of speech: "
        "the codes of wav and flac files, at any sample rate and scaled as in "
        "training, to OUT.npz, with their samples (`lengths`).",
        "vqvae-tf encode vqvae_cifar10 tfds:cifar10 codes --split=train,test",
        {
            "PRESET": _PRESET,
            "IN": "a folder or an npz file with `images`; for OUT.npz also a "
            "picture file, for a folder also tfds:NAME, pictures or episodes; "
            "of speech a wav or flac file, or a folder of them",
            "OUT": "codes.npz (arrays `codes`, or `latents`, and `names`), or "
            "a folder",
        },
        ("on_corrupt", *_DATASET),
    ),
    "decode": Command(
        "codes or latents to pictures, codes of speech to recordings",
        "Writes the pictures that codes, or latents, stand for. Of speech: "
        "what --speaker says of them, a wav file each.",
        "vqvae-tf decode vqvae_photo128 codes.npz pictures",
        {
            "PRESET": _PRESET,
            "IN": "a file or folder of `vqvae-tf encode`",
            "OUT": "a folder for PNG or wav files; or, for a file of codes "
            "of pictures, an npz file",
        },
        ("split", "speaker", "fast", "temperature", "seed"),
    ),
    "convert": Command(
        "say recordings in another voice",
        "Writes recordings as --speaker would say them, a wav file each, with "
        "the spectrograms of both. Only for presets of speech; --speaker must "
        "be given.",
        "vqvae-tf convert vqvae_speech8k seven.wav --speaker=theo "
        "--output=theo",
        {"PRESET": _PRESET, "IN...": _AUDIO},
        ("output", "speaker", "fast", "temperature", "seed", "on_corrupt"),
        output="conversions",
        most=10_000,
    ),
    "rollout": Command(
        "go on with a video",
        "Goes on from the first frames of a clip, in the space of codes, and "
        "writes a film (.gif): what came, and the futures drawn, side by side; "
        "or the futures alone as an array (.npz). IN "
        "is an npz file with `frames` [time, height, width, 3] and perhaps "
        "`actions` [time], or a folder of pictures in the order of the numbers "
        "in their names; by default a clip that the package carries. Where "
        "there are no actions, or with --actions=none, the model goes on by "
        "itself. Those "
        "of video_dmlab84 are 0 forward, 1 backward, 2 and 3 strafe left and "
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
        "see it all work on a few photos and clips",
        "Reconstructs, samples, completes and serves the photos that come "
        "with the package, redraws frames of DeepMind Lab from three codes and "
        "goes on with clips of it; writes pictures, figures and a SavedModel.",
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

Commands; `vqvae-tf COMMAND --help` says more of each:
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
        # "all by default" and the like say it for those without a default.
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
    # By its file: `import vqvae_tf.zoo_path` would import TensorFlow.
    spec = importlib.util.spec_from_file_location(
        "zoo_path", package / "zoo_path.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = module.zoo_dir() / "recipes"
    return sorted(path.stem for path in folder.glob("*.py"))
