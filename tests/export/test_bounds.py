"""No request makes a server run out of memory, or draw for hours."""

import numpy as np
import pytest
import tensorflow as tf

from support import sequences, small
from vqvae_tf.export.saved_model import export
from vqvae_tf.export.signatures import endpoints
from vqvae_tf.export.signatures.bounds import Bounds, product
from vqvae_tf.models import NextFrameModel

DRAWS = {"temperature": np.float32(1), "seed": np.int32(0)}
INT32_MAX = 2**31 - 1
TIGHT = Bounds(max_batch=3, max_pixels=2 * 16 * 16, max_samples=2)


def zeros(*shape, dtype=np.int32):
    return np.zeros(shape, dtype)


def images(*shape):
    return {"images": zeros(*shape, 3, dtype=np.uint8)}


def refuse(served, refused):
    """Checks requests, which name the bound that they exceed."""
    for signature, inputs, bound in refused:
        function, _ = served.functions()[signature]
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        error = tf.errors.InvalidArgumentError
        with pytest.raises(error, match="A request may have at most") as found:
            function(**inputs)
        assert f"export the model with another {bound}" in str(found.value)


def test_requests_of_pictures_are_bounded():
    # Checks come before all else: nothing is traced.
    served = endpoints(small.generator(), bounds=TIGHT)
    refuse(
        served,
        [
            ("encode", images(4, 4, 4), "max_batch"),
            ("reconstruct", images(1, 16, 64), "max_pixels"),
            ("score", images(3, 16, 16), "max_pixels"),
            ("decode", {"codes": zeros(4, 1, 1)}, "max_batch"),
            ("decode", {"codes": zeros(1, 64, 64)}, "max_pixels"),
            ("sample", {"num_samples": np.int32(3), **DRAWS}, "max_samples"),
            ("sample", {"num_samples": np.int32(INT32_MAX), **DRAWS}, "max_"),
        ],
    )
    assert served.encode(images(2, 16, 16)["images"])["codes"].shape[0] == 2


def test_a_codebook_more_is_no_pixel_more():
    served = endpoints(small.autoencoder(2), bounds=TIGHT)
    assert served.decode(zeros(2, 4, 4, 2))["images"].shape == (2, 16, 16, 3)
    refuse(served, [("decode", {"codes": zeros(2, 4, 8, 2)}, "max_pixels")])


def test_requests_of_two_levels_are_bounded():
    refuse(
        endpoints(small.two_levels(), bounds=TIGHT),
        [
            ("encode_global", images(3, 16, 16), "max_pixels"),
            (
                "decode_global",
                {"global_codes": zeros(3, 3), **DRAWS},
                "max_samples",
            ),
        ],
    )


def test_requests_of_latents_are_bounded():
    latents = {"latents": zeros(1, 9, 9, 2, dtype=np.float32)}
    refuse(
        endpoints(small.vae(), bounds=TIGHT),
        [
            ("encode", images(4, 4, 4), "max_batch"),
            ("score", {**images(3, 16, 16), "seed": np.int32(0)}, "max_pixels"),
            ("decode", latents, "max_pixels"),
            ("sample", {"num_samples": np.int32(3), **DRAWS}, "max_samples"),
        ],
    )


def test_requests_of_video_are_bounded():
    served = endpoints(small.video(), bounds=Bounds(2, 8 * 16 * 16, 4))
    start = {"context_frames": zeros(1, 2, 16, 16, 3, dtype=np.uint8), **DRAWS}
    long = {**start, "num_frames": np.int32(5)}
    endless = {**start, "num_frames": np.int32(INT32_MAX)}
    actions = {**start, "actions": zeros(1, 5)}
    large = {**start, "context_frames": zeros(1, 2, 32, 32, 3, dtype=np.uint8)}
    refuse(
        served,
        [
            ("continue", long, "max_samples"),
            ("continue", endless, "max_samples"),
            ("continue", {**large, "num_frames": np.int32(3)}, "max_pixels"),
            ("rollout", actions, "max_samples"),
            (
                "encode",
                {"frames": zeros(1, 9, 16, 16, 3, dtype=np.uint8)},
                "max_pixels",
            ),
            ("decode", {"codes": zeros(3, 1, 4, 4)}, "max_batch"),
        ],
    )


def drawn(times, num_futures=1, frames=None):
    frames = zeros(1, 2, 1, dtype=np.float32) if frames is None else frames
    return {
        "frames": frames,
        "times": np.array(times, np.int32),
        "num_futures": np.int32(num_futures),
        **DRAWS,
    }


def test_requests_of_sequences_are_bounded():
    served = endpoints(sequences.numbers(), bounds=Bounds(2, 8, 4))
    refuse(
        served,
        [
            ("belief", {"frames": zeros(3, 1, 1, dtype="f4")}, "max_batch"),
            ("belief", {"frames": zeros(1, 9, 1, dtype="f4")}, "max_pixels"),
            ("rollout", drawn([1, 2, 3, 4, 5]), "max_samples"),
            ("rollout", drawn([1], num_futures=5), "max_samples"),
            ("rollout", drawn([1], num_futures=INT32_MAX), "max_samples"),
        ],
    )
    # What is skipped by jumps is not drawn.
    assert served.rollout(**drawn([2, 5], 2))["frames"].shape == (2, 2, 1)


def test_models_that_do_not_jump_draw_every_frame_on_the_way():
    found = sequences.numbers(NextFrameModel)
    served = endpoints(found, bounds=Bounds(0, 0, 4))
    four = zeros(4, 2, 1, dtype=np.float32)
    refuse(
        served,
        [
            ("rollout", drawn([5]), "max_samples"),
            ("rollout", drawn([1, INT32_MAX]), "max_samples"),
            # 4 (2 ** 31 - 1) ** 2, which wraps to less than 0 in 64 bits.
            ("rollout", drawn([INT32_MAX], INT32_MAX, four), "max_samples"),
        ],
    )
    assert served.rollout(**drawn([4]))["frames"].shape == (1, 1, 1)


def test_frames_of_sequences_of_pictures_count_as_their_pixels():
    served = endpoints(sequences.coded(), bounds=Bounds(2, 3 * 256, 9))
    frames = {"frames": zeros(1, 4, 16, 16, 3, dtype=np.uint8)}
    drawing = drawn([1, 2], 2, frames["frames"][:, :3])
    refuse(
        served,
        [
            ("encode", frames, "max_pixels"),
            ("belief", frames, "max_pixels"),
            ("rollout", drawing, "max_pixels"),
            ("decode", {"codes": zeros(1, 4, 4, 4)}, "max_pixels"),
            ("decode", {"codes": zeros(3, 1, 4, 4)}, "max_batch"),
        ],
    )


def test_requests_of_speech_are_bounded():
    served = endpoints(small.speech(), bounds=Bounds(2, None, 64))
    heard = {"sample_rate": np.int32(served.sample_rate)}
    voice = {"speaker": zeros(1)}
    many = {"num_samples": np.int32(1), "num_codes": np.int32(INT32_MAX)}
    refuse(
        served,
        [
            (
                "encode",
                {"waveform": zeros(3, 8, dtype="f4"), **heard},
                "max_batch",
            ),
            (
                "encode",
                {"waveform": zeros(1, 65, dtype="f4"), **heard},
                "max_samples",
            ),
            (
                "decode",
                {"codes": zeros(1, 65), **voice, **DRAWS},
                "max_samples",
            ),
            ("sample", {**many, **voice, **DRAWS}, "max_samples"),
        ],
    )


def test_bounds_that_refuse_everything_are_told(tmp_path):
    with pytest.raises(ValueError, match="max_pixels must be at least 256"):
        export(small.autoencoder(), tmp_path / "m", max_pixels=255)
    for wrong in (-1, 1.5, "many", True):
        with pytest.raises(ValueError, match="max_batch must be a positive"):
            export(small.autoencoder(), tmp_path / "m", max_batch=wrong)
    assert not (tmp_path / "m").exists()


def test_zero_is_no_bound():
    bounds = Bounds(max_batch=0)
    assert bounds.limit("max_batch", speech=False) > INT32_MAX
    assert bounds.limit("max_pixels", speech=False) == 2**23
    assert bounds.limit("max_samples", speech=True) == 2**19


def test_products_do_not_wrap():
    assert int(product([INT32_MAX, INT32_MAX])) == INT32_MAX**2
