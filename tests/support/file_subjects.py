"""What random inputs are given to: files, folders, presets, flags."""

import functools
import hashlib
import io
import json
import pathlib
import shutil
import tempfile

import numpy as np
from PIL import Image

from support import command_line, small
from vqvae_tf import data, presets
from vqvae_tf.samples.voices import voice_files
from vqvae_tf.utils.npz_files import read_npz

ODD_JSON = (
    None,
    True,
    0,
    -1,
    1.5,
    10**6 + 1,
    2**40,
    1e308,
    "",
    "nonsense",
    "../metadata.json",
    [],
    [None],
    [10**6] * 3,
    {},
    {"class_name": "Dense", "module": "keras.layers", "config": {}},
    {"class_name": "__lambda__", "config": {"value": "x"}},
)


@functools.cache
def _folder():
    return pathlib.Path(tempfile.mkdtemp(prefix="random_inputs_"))


def _fresh(name):
    """Returns an empty folder, made anew for each attempt."""
    folder = _folder() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _mutated(draw, content):
    """Bytes of which some are changed, cut out or put in; at times none."""
    content = bytearray(content)
    for _ in range(draw.integer(0, 4)):
        place = int(draw.rng.integers(len(content) or 1))
        change = draw.one_of("flip", "cut", "put", "end", "zeros")
        if change == "flip" and content:
            content[place] ^= int(draw.rng.integers(1, 256))
        elif change == "cut":
            del content[place : place + int(draw.rng.integers(1, 40))]
        elif change == "put":
            content[place:place] = draw.rng.bytes(int(draw.rng.integers(1, 20)))
        elif change == "end":
            del content[place:]
        elif change == "zeros":
            content[place : place + 8] = bytes(8)
    return bytes(content)


# Pictures and recordings ------------------------------------------------------

MODES = ("RGB", "L", "P", "RGBA", "LA", "1", "CMYK", "I", "F", "I;16")
ENDINGS = ("png", "jpg", "bmp", "gif", "webp", "tif", "PNG", "JPEG")


def _picture(draw):
    """A sound picture's content and ending, of any mode that can be kept."""
    mode, ending = draw.one_of(*MODES), draw.one_of(*ENDINGS)
    values = draw.rng.integers(1, 256, [9, 7, 3]).astype(np.uint8)
    picture = Image.fromarray(values)
    if mode == "I;16":
        wide = values[..., 0].astype(np.uint16) * draw.one_of(1, 257)
        picture = Image.fromarray(wide)
    elif mode == "F":
        scale = draw.one_of(1.0, 1 / 255, 10.0)
        picture = Image.fromarray(values[..., 0].astype(np.float32) * scale)
    else:
        picture = picture.convert(mode)
    if mode == "F":  # other kinds of files cannot keep it
        ending = "tif"
    content = io.BytesIO()
    kind = {"jpg": "jpeg", "tif": "tiff"}.get(ending.lower(), ending.lower())
    try:
        picture.save(content, kind)
    except (OSError, KeyError, ValueError):  # no such mode in such a file
        content = io.BytesIO()
        Image.fromarray(values).save(content, kind)
    return content.getvalue(), ending


def picture_files(draw):
    """Picture files of any mode and kind, some of them damaged."""
    content, ending = _picture(draw)
    damaged = _mutated(draw, content)
    folder = _fresh("pictures")
    path = folder / f"x.{ending}"
    path.write_bytes(damaged)
    channels = draw.number(1, 3, odd=0.05)
    if draw.chance(0.5):
        size = draw.number(None, 4, 8, odd=0.2)
        picture = data.load_picture(path, size, channels=channels)
    else:
        skip = draw.one_of("error", "skip")
        source = data.open_images(
            "folder", "all", folder, skip, progress=False, channels=channels
        )
        batches = data.evaluation_batches(source, 1, image_size=4)
        picture = next(iter(batches))[0].numpy()
    assert picture.dtype == np.uint8
    # The smallest value is 1 in what was drawn: all black is no picture of it.
    assert damaged != content or np.max(picture) > 0, "black"
    return picture


def recording_files(draw):
    """wav files, some of them damaged."""
    content = voice_files()[0].read_bytes()
    path = _fresh("recordings") / draw.one_of("x.wav", "X.WAV")
    start, rest = content[:44], content[44:]
    path.write_bytes(_mutated(draw, start) + rest)
    rate = draw.number(8000, 4000, odd=0.15)
    if draw.chance(0.7):
        return data.load_waveform(path, rate)
    source = data.open_audio(
        "folder",
        draw.one_of("all", "train"),
        rate,
        path.parent,
        on_corrupt=draw.one_of("error", "skip"),
        progress=False,
    )
    return [np.asarray(source.num_examples)]


def npz_files(draw):
    """npz files of odd arrays, some of them damaged."""
    arrays = {
        draw.one_of("images", "train_images", "x_train", "codes"): draw.array(
            (3, 6, 6, 3), 0, 255, 0.2, "uint8"
        )
    }
    if draw.chance(0.5):
        arrays["labels"] = draw.array((3,), 0, 3, 0.3, "int32")
    path = _fresh("arrays") / "x.npz"
    (np.savez if draw.chance(0.5) else np.savez_compressed)(path, **arrays)
    if draw.chance(0.5):
        path.write_bytes(_mutated(draw, path.read_bytes()))
    if draw.chance(0.4):
        return [np.size(v) for v in read_npz(path, "arrays").values()]
    source = data.open_images(
        draw.one_of("npz:x.npz", "npz:", "npz", "nonsense:x", "npz:other.npz"),
        draw.one_of("train", "test", "all", ""),
        path.parent,
        progress=False,
        channels=draw.number(1, 3, odd=0.1),
    )
    return [np.asarray(source.num_examples)]


# Presets ----------------------------------------------------------------------


@functools.cache
def _preset(kind):
    folder = _folder() / f"preset_{kind}"
    model = {"prior": small.generator, "vae": small.dense_vae}[kind]()
    model.save_to_preset(folder)
    return folder


def _odd_places(value, path=()):
    """All the places of a JSON value, as paths of keys."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, entry in items:
        yield from _odd_places(entry, (*path, key))


def _replaced(draw, value):
    """The value with something odd at one of its places."""
    places = list(_odd_places(value))
    path = places[draw.rng.integers(len(places))]
    draw.choices.append(path)
    odd = draw.one_of(*ODD_JSON)
    if not path:
        return odd
    at = value
    for key in path[:-1]:
        at = at[key]
    if draw.chance(0.2):
        del at[path[-1]]
    else:
        at[path[-1]] = odd
    return value


def preset_folders(draw):
    """Presets whose files were altered, with hashes that fit."""
    folder = _folder() / "altered"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_preset(draw.one_of("prior", "vae", "vae")), folder)
    metadata = json.loads((folder / "metadata.json").read_text())
    name = draw.one_of("config.json", "config.json", "metadata.json", "h5")
    if name == "h5":
        name = "model.weights.h5"
        content = _mutated(draw, (folder / name).read_bytes())
    elif draw.chance(0.15):
        content = _mutated(draw, (folder / name).read_bytes())
    else:
        value = json.loads((folder / name).read_text())
        content = json.dumps(_replaced(draw, value)).encode()
    (folder / name).write_bytes(content)
    if name != "metadata.json":
        metadata["files"][name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        (folder / "metadata.json").write_text(json.dumps(metadata))
    model = presets.load(folder)
    if hasattr(model, "bottleneck"):
        return model.decode(np.zeros([1, 1, 1, 3], np.float32))
    return [np.asarray(model.count_params())]


# The command ------------------------------------------------------------------

_WORDS = (
    "0",
    "-1",
    "2.5",
    "nan",
    "inf",
    "1e400",
    "4294967299",
    "99999999999999999999",
    "",
    "nonsense",
    "none",
    "0,1",
    "\udce9",
    "~nobody/x",
    "/dev/null/x",
    "no/such/place",
    "--",
)


class Unexplained(Exception):
    """The command ended by something else than its one line."""


def flags(draw):
    """`vqvae-tf` with odd flags and arguments, in this process."""
    work = _fresh("work")
    np.savez(work / "codes.npz", codes=np.zeros([1, 4, 4], np.int32))
    pictures = np.full([1, 16, 16, 3], 9, np.uint8)
    np.savez(work / "pictures.npz", images=pictures)
    (work / "recipe.py").write_text(
        draw.one_of("x = 1", "def get_config(): pass", "1 +", "\0", "")
    )
    preset = draw.one_of(
        _preset("vae"), _preset("prior"), work, "nothing", "hf://", ""
    )
    inputs = [
        work / name
        for name in ("codes.npz", "pictures.npz", "recipe.py", "x", "")
    ]
    command = draw.one_of(
        "sample", "sample", "decode", "encode", "reconstruct", "train",
        "rollout", "convert", "export", "evaluate", "list", "nonsense",
    )  # fmt: skip
    words = [command]
    if command in ("decode", "encode"):
        words += [
            preset,
            draw.one_of(*inputs),
            work / draw.one_of("o.npz", "o"),
        ]
    elif command == "reconstruct":
        words += [preset, draw.one_of(*inputs)]
    elif command == "export":
        words += [draw.one_of("nothing", work), work / "out"]
    elif command == "train":
        words += [f"--config={draw.one_of(*inputs)}", f"--workdir={work}/run"]
    elif command in ("convert", "rollout"):
        words += [preset, draw.one_of(*inputs)]
    elif command != "list":
        words += [preset]
    names = ("seed", "temperature", "label", "top_k", "top_p", "output", "num")
    for name in names[: draw.integer(0, 2) * 4]:
        if draw.chance(0.3):
            words.append(f"--{name}={draw.one_of(*_WORDS, '1', '1', '1')}")
    if command in ("sample", "reconstruct", "rollout", "convert"):
        words.insert(1, f"--output={work}/out.png")
    if command == "sample" and draw.chance(0.8):
        words.append("--num=1")
    draw.choices.append(words)
    try:
        code = command_line.run(*words)
    except Exception as error:
        raise Unexplained(f"{type(error).__name__}: {error}") from error
    if code:
        raise ValueError(f"must be one line; expected {code}")
    return []
