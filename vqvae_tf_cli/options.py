"""The flags of all commands."""

import math
import re

from absl import flags, logging  # noqa: F401  (logging defines --verbosity)

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "the data's folder; or TFDS_DATA_DIR")
flags.DEFINE_string("workdir", None, "the run's directory")
flags.DEFINE_string("output", None, "the file or folder to write")
flags.DEFINE_integer("num", 16, "how many pictures, or recordings", 1, 10_000)
flags.DEFINE_integer(
    "seed", 0, "equal seeds give equal samples", -(2**31), 2**31 - 1
)
flags.DEFINE_integer("label", None, "the class, 0 and up; all by default", 0)
flags.DEFINE_float(
    "temperature", 1.0, "of prior and speech decoder; lower is safer", 0.0
)
flags.DEFINE_string("speaker", None, "who speaks: a name, or a number")
flags.DEFINE_bool(
    "fast", False, "for speech: use the fast decoder, which is quick but rough"
)
flags.DEFINE_bool(
    "jit_sampling",
    None,
    "for speech, and pictures with a prior: compile what is drawn in steps "
    "where the model runs, by default not; see docs/serving.md",
)
flags.DEFINE_integer("top_k", None, "draw from the k likeliest codes", 1)
flags.DEFINE_float("top_p", None, "draw from this much probability mass")
flags.DEFINE_string(
    "classifier", None, "a PictureClassifier's preset: keep the best samples"
)
flags.DEFINE_float(
    "keep", 0.25, "the share of samples that --classifier keeps", 1e-3, 1.0
)
flags.DEFINE_list(
    "canvas",
    None,
    "height and width of pictures larger than the model's, such as 128,256, "
    "over which its prior slides",
)
flags.DEFINE_list(
    "actions",
    None,
    "one a frame, such as 4,4,4,0; by default the clip's own; none for none",
)
flags.DEFINE_integer(
    "num_frames",
    None,
    "how many frames, by default one an action, or 10",
    1,
    10_000,
)
flags.DEFINE_list(
    "times",
    None,
    "for sequences: the frames to draw, such as 1,5,40 after the last one; "
    "instead of --num_frames",
)
flags.DEFINE_integer("num_futures", 1, "how many continuations", 1, 1_000)
flags.DEFINE_enum(
    "stage", "all", ["all", "autoencoder"], "autoencoder stops before the prior"
)
flags.DEFINE_enum(
    "strategy",
    "one",
    ["one", "mirrored", "multiworker", "tpu"],
    "one device; mirrored: all of this machine; multiworker: the machines of "
    "TF_CONFIG; tpu: that of TPU_NAME, or of this virtual machine",
)
flags.DEFINE_enum(
    "on_corrupt",
    "error",
    ["error", "skip"],
    "what to do if a picture or recording cannot be read",
)
flags.DEFINE_enum(
    "size",
    "preset",
    ["preset", "native"],
    "preset: the central square, resized to the preset's size; native: each "
    "picture's own size, cropped to a multiple of the model's stride",
)
flags.DEFINE_string(
    "split",
    "all",
    "names joined by commas, such as train,test; for tfds also slices, such as "
    "train[:10%]; all is every split",
)
flags.DEFINE_enum(
    "format", "tfrecord", ["tfrecord", "array_record"], "of the shards"
)
flags.DEFINE_integer(
    "num_shards",
    None,
    "of each split, by default one for 10,000 pictures or 100 episodes",
    1,
    99_999,  # file names have five digits
)
flags.DEFINE_integer(
    "batch_size", 64, "pictures that are encoded at once", 1, 65_536
)
flags.DEFINE_string("eval_split", None, "by default that of the card")
flags.DEFINE_integer(
    "bound_samples", None, "draws of a VAE's bound, by default the card's", 1
)
flags.DEFINE_list(
    "against",
    None,
    "presets to compare with, joined by commas: as many as are measured, on "
    "the same data",
)
flags.DEFINE_integer(
    "model_version", 1, "the version's sub-folder", 1, 2**63 - 1
)
flags.DEFINE_integer(
    "max_batch", None, "examples of a request, by default 256; 0: no bound", 0
)
flags.DEFINE_integer(
    "max_pixels", None, "of a request, by default 8388608; 0: no bound", 0
)
flags.DEFINE_integer(
    "max_samples",
    None,
    "pictures or frames that a request may sample, by default 256; for speech "
    "samples of waveforms, by default 524288; 0: no bound",
    0,
)


def _is_actions(words):
    if words is None or words == ["none"]:
        return True
    return bool(words) and all(
        re.fullmatch(r" *\d{1,9} *", word) for word in words
    )


def _is_times(words):
    return words is None or _are_within(words, 10_000)


def _is_canvas(words):
    return words is None or len(words) == 2 and _are_within(words, 4096)


def _are_within(words, most):
    return bool(words) and all(
        re.fullmatch(r" *\d{1,5} *", word) and 1 <= int(word) <= most
        for word in words
    )


# What bounds cannot express, since comparisons with NaN are false.
flags.register_validator(
    "temperature", math.isfinite, "it must be a finite number of at least 0"
)
flags.register_validator(
    "keep", math.isfinite, "it must be above 0 and at most 1"
)
flags.register_validator(
    "top_p",
    lambda value: value is None or 0 < value <= 1,
    "it must be above 0 and at most 1",
)
flags.register_validator(
    "actions",
    _is_actions,
    "they must be integers of at least 0, such as 4,4,0, or none",
)
flags.register_validator(
    "canvas", _is_canvas, "it must be two integers in 1..4096, such as 128,256"
)
flags.register_validator(
    "times", _is_times, "they must be integers in 1..10000, such as 1,5,40"
)
