"""A recipe of speech, from recordings to codes and a prior."""

import copy
import shutil

import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from vqvae_tf import LatentGenerator, data, presets, recipes
from vqvae_tf.data.audio.source import evenly_spaced
from vqvae_tf.recipes import building
from vqvae_tf.tasks import publish as publishing, run as training
from vqvae_tf.tasks.speech import recipe as speech_recipe, training as speech
from vqvae_tf.training.history import read_history

pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    small.write_voices(folder)
    config = recipes.check_recipe(small.speech_recipe())
    model = training.train(config, folder / "work", str(folder))
    return folder, config, model


def test_both_stages_are_trained(run):
    folder, config, model = run
    assert isinstance(model, LatentGenerator)
    assert model.autoencoder.speaker_names == ("ann", "bob")
    assert model.autoencoder.sample_rate == 8000
    stages = {"coder": 5, "autoencoder": 6, "fast_decoder": 3, "prior": 4}
    for stage, steps in stages.items():
        rows = read_history(folder / "work" / "logs" / stage / "history.jsonl")
        assert rows[-1]["step"] == steps
        held_out = "held_out_shuffled_bits_per_sample" in rows[-1]
        assert held_out == (stage == "autoencoder")
        for name in ("adversary_accuracy", "spectral_error"):
            assert (name in rows[-1]) == (stage in ("coder", "autoencoder"))
        of_waveforms_or_codes = stage in ("autoencoder", "prior")
        assert ("bits_per_dim" in rows[-1]) == of_waveforms_or_codes
        assert np.isfinite(list(rows[-1].values())).all()


class Killed(Exception):
    """Stands in for a process that is killed."""


def failing_at(function, call):
    """`function`, killed at the beginning of its call of that number."""
    counted = []

    def failing(*args, **options):
        counted.append(None)
        if len(counted) == call:
            raise Killed
        return function(*args, **options)

    return failing


def test_a_run_goes_on_to_the_same_result(run, tmp_path, monkeypatch):
    """Stopped in the codes' training, the fast decoder's, and after both."""
    folder, config, model = run
    config = copy.deepcopy(config)
    config.code_training.checkpoint_minutes = 0.0
    config.fast_training.checkpoint_minutes = 0.0
    work = tmp_path / "w"
    # Two of the codes' three ends of an epoch are left after the first.
    for name, call, stages in (
        ("spectrum_sheet", 2, {"coder"}),
        ("spectrum_sheet", 4, {"coder", "autoencoder", "fast_decoder"}),
        ("encode", 1, {"coder", "autoencoder", "fast_decoder"}),
    ):
        failing = failing_at(getattr(speech, name), call)
        with monkeypatch.context() as patch:
            patch.setattr(speech, name, failing)
            with pytest.raises(Killed):
                training.train(config, work, str(folder))
        assert {path.name for path in (work / "logs").iterdir()} == stages
    again = training.train(config, work, str(folder))
    for a, b in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_a_run_that_is_done_is_given_a_fast_decoder(run, tmp_path):
    """And no other, once that is trained."""
    folder, config, before = run
    config, work = copy.deepcopy(config), tmp_path / "w"
    leave_out = shutil.ignore_patterns("fast_decoder")
    shutil.copytree(folder / "work", work, ignore=leave_out)
    config.fast_decoder.channels = 6
    model = training.train(config, work, str(folder))
    assert model.autoencoder.fast_decoder.channels == 6
    parts = ("encoder", "quantizer", "decoder", "auxiliary", "adversary")
    pairs = [
        (getattr(model.autoencoder, part), getattr(before.autoencoder, part))
        for part in parts
    ]
    for ours, theirs in [*pairs, (model.prior, before.prior)]:
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
    config.fast_decoder.channels = 5
    with pytest.raises(ValueError, match="in fast_decoder.channels"):
        training.train(config, work, str(folder))


def test_a_fast_decoder_starts_from_a_preset_s(run, tmp_path):
    folder, config, model = run
    config = copy.deepcopy(config)
    model.save_to_preset(tmp_path / "p")
    config.start = str(tmp_path / "p")
    alone = building.make_autoencoder(config)
    whole = speech_recipe.with_fast_decoder(config, alone)
    expected = model.autoencoder.fast_decoder.variables
    for a, b in zip(whole.fast_decoder.variables, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_preset_without_a_fast_decoder_starts_all_else(run, tmp_path):
    folder, config, model = run
    config = copy.deepcopy(config)
    model.autoencoder.with_fast_decoder(None).save_to_preset(tmp_path / "p")
    config.start = str(tmp_path / "p")
    alone = building.make_autoencoder(config)
    whole = speech_recipe.with_fast_decoder(config, alone)
    pairs = zip(whole.encoder.variables, model.autoencoder.encoder.variables)
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)


def test_spectra_of_any_stride_are_drawn_and_nothing_is_counted(run):
    folder, config, _ = run
    config = copy.deepcopy(config)
    config.encoder.num_downsamples = 7  # 128 samples
    config.data.window = 256
    model = building.make_autoencoder(config)
    counts = model.quantizer.usage_metric.counts
    held_out = speech.open_split(config.data, "test", str(folder))
    picture = speech.spectrum_sheet(model, held_out, count=2)
    assert picture.dtype == np.uint8 and picture.max() > 100
    assert not np.any(counts)


def coded_by_hand(model, waveform, shift, longest):
    waveform = np.pad(waveform, (shift, 0))
    return model.encode(waveform[None]).numpy()[0][:longest]


def test_the_prior_s_codes_begin_at_several_places(run):
    """Each pass a part of a code later, and no longer than the prior draws."""
    folder, config, model = run
    longest, model = config.prior.event_shape[0], model.autoencoder
    audio = speech.open_split(config.data, "train", str(folder))
    waveforms = [x["waveform"] for x in audio.dataset().as_numpy_iterator()]
    passes = config.prior_training.encode_passes
    assert passes == 2 and model.stride == 4
    assert longest < max(map(len, waveforms)) / 4  # some are cut
    expected = [
        coded_by_hand(model, waveform, shift, longest)
        for shift in (0, 2)
        for waveform in waveforms
    ]
    with np.load(folder / "work" / "codes.npz") as arrays:
        codes, mask = arrays["codes"], arrays["mask"]
    assert len(codes) == len(expected) == 2 * audio.num_examples
    for row, kept, sequence in zip(codes, mask, expected):
        count = len(sequence)
        np.testing.assert_array_equal(row[:count], sequence)
        assert kept[:count].all() and not kept[count:].any()


def test_the_same_command_finds_all_done(run):
    folder, config, model = run
    again = training.train(config, folder / "work", str(folder))
    x = next(
        iter(
            data.audio_evaluation_batches(
                speech.open_split(config.data, "test", str(folder)), 2, 4
            )
        )
    )[0]
    np.testing.assert_array_equal(
        again.autoencoder.convert(x, "bob"), model.autoencoder.convert(x, "bob")
    )


@pytest.mark.slow
def test_a_preset_has_figures_and_a_card(run, tmp_path):
    folder, config, model = run
    publishing.publish(config, model, tmp_path / "p", str(folder))
    metadata = presets.verify(tmp_path / "p")
    figures = metadata["metrics"]
    assert figures["examples"] == 4
    assert 0 < figures["reconstruction_bits_per_sample"] < 6
    assert 0 <= figures["converted_speaker_accuracy"] <= 1
    assert figures["probe_speaker_majority"] == 0.5
    text = (tmp_path / "p" / "README.md").read_text()
    assert "speech at 8000 Hz with K=8 codes" in text
    assert "SpeechVQVAE.from_preset" in text
    again = vq.SpeechVQVAE.from_preset(tmp_path / "p")
    assert again.speaker_names == ("ann", "bob")


def test_one_held_out_recording_has_no_other_codes(run):
    folder, config, model = run
    held_out = speech.open_split(config.data, "test", str(folder))
    found = speech.held_out_bits(model.autoencoder, evenly_spaced(held_out, 2))
    right, wrong = (
        found[f"held_out_{name}_bits_per_sample"]
        for name in ("reconstruction", "other_codes")
    )
    assert np.isfinite([right, wrong]).all() and right != wrong
    one = evenly_spaced(held_out, 1)
    assert speech.held_out_bits(model.autoencoder, one) == {}


def test_other_speakers_are_refused(run, tmp_path):
    folder, _, _ = run
    config = small.speech_recipe()
    config.data.num_speakers = 3
    with pytest.raises(ValueError, match="num_speakers=3. Received.* 2 speak"):
        training.train(config, tmp_path / "w", str(folder))


def test_vctk_is_trained_on_from_48_khz(tmp_path):
    """The rate and the number of speakers differ from the recipe.

    One step of each stage is enough, and the codes' training has no part that
    the autoencoder's lacks.
    """
    from support.tfds_sets import write_vctk

    write_vctk(tmp_path, {"p225": (19, 20, 21), "p226": (39, 40, 41)})
    config = small.speech_recipe()
    config.data.update(
        source="tfds:vctk/mic2", sample_rate=16000, num_speakers=110
    )
    config.code_training.steps = 0
    for section in ("training", "fast_training", "prior_training"):
        config[section].update(steps=1, steps_per_epoch=1, warmup_steps=0)
    model = training.train(
        recipes.check_recipe(config), tmp_path / "work", str(tmp_path)
    ).autoencoder
    assert model.sample_rate == 16000 and len(model.speaker_names) == 110
    held_out = speech.open_split(config.data, "test", str(tmp_path))
    waveform = held_out.waveform(0)[None]
    assert 1600 <= waveform.shape[1] <= 1700  # 0.1 s
    again = model.convert(waveform, "p226", seed=0)
    assert again.shape == waveform.shape
    assert np.isfinite(again).all() and np.ptp(again) > 0
