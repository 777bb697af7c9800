"""The command on presets of speech: wav files in, codes, wav files out."""

import numpy as np
import pytest

import vqvae_tf as vq
from support import small
from support.command_line import refused_in_a_line, run
from vqvae_tf import data, presets
from vqvae_tf.commands.inputs import recordings as audio_inputs
from vqvae_tf.encoding import recordings as speech_codes
from vqvae_tf.runtime import random

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A preset of an untrained model of speech, and three recordings."""
    folder = tmp_path_factory.mktemp("studio")
    small.speech().save_to_preset(folder / "preset")
    waves = small.waveforms(3, 60)
    (folder / "voices" / "b").mkdir(parents=True)
    for i, (wave, name) in enumerate(
        zip(waves, ("1.wav", "2.flac", "b/1.wav"))
    ):
        # Quiet, and none of a whole number of codes.
        soundfile.write(folder / "voices" / name, 0.3 * wave[: 50 + i], 800)
    return folder


@pytest.fixture(scope="module")
def model(studio):
    return presets.load(studio / "preset").autoencoder


def recording(studio, name):
    return data.load_waveform(studio / "voices" / name, 800)


def read(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 800 and soundfile.info(path).subtype == "PCM_16"
    return samples


def as_16_bits(waveform):
    steps = np.rint(np.asarray(waveform) * 2**15)
    return np.clip(steps, -(2**15), 2**15 - 1) / 2**15


def test_encode_and_decode(studio, model, tmp_path, capsys):
    codes, out = tmp_path / "codes.npz", tmp_path / "out"
    assert run("encode", studio, studio / "voices", codes) == 0
    assert "codes of 3 recordings" in capsys.readouterr().out
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (3, 13)
        assert list(arrays["lengths"]) == [50, 51, 52]
        assert list(arrays["names"]) == ["1.wav", "2.flac", "b/1.wav"]
        for row, name in zip(arrays["codes"], arrays["names"]):
            wave = recording(studio, name)
            assert np.abs(wave).max() == 1
            np.testing.assert_array_equal(row, model.encode(wave[None])[0])
        rows = list(arrays["codes"])
    words = ["decode", studio, codes, out, "--speaker=eve", "--seed=3"]
    assert run(*words) == 0
    expected = speech_codes.decode(
        model, rows, [2] * 3, [50, 51, 52], seed=3, batch_size=3, progress=False
    )
    for name, wave in zip(("1.wav", "2.wav", "b/1.wav"), expected):
        np.testing.assert_array_equal(read(out / name), as_16_bits(wave))


def test_a_recording_of_another_rate(studio, model, tmp_path):
    pytest.importorskip("soxr")
    path, codes = tmp_path / "high.wav", tmp_path / "c.npz"
    soundfile.write(path, 0.5 * small.waveforms(1, 100)[0], 1600)
    assert run("encode", studio, path, codes) == 0
    with np.load(codes) as arrays:
        assert list(arrays["lengths"]) == [50]
        wave = data.load_waveform(path, 800)
        np.testing.assert_array_equal(arrays["codes"], model.encode(wave[None]))


def test_codes_without_lengths_and_names(studio, model, tmp_path):
    codes = np.arange(6).reshape(2, 3)
    np.savez(tmp_path / "c.npz", codes=codes)
    words = ["decode", studio, tmp_path / "c.npz", tmp_path / "out"]
    assert run(*words, "--speaker=1", "--temperature=0") == 0
    expected = model.decode(codes, speaker="bob", temperature=0.0)
    for i in range(2):
        np.testing.assert_array_equal(
            read(tmp_path / "out" / f"{i}.wav"), as_16_bits(expected[i])
        )


def test_reconstruct_in_the_likeliest_voice(studio, model, tmp_path, capsys):
    voices, out = studio / "voices", tmp_path / "out"
    words = ["reconstruct", studio, voices, f"--output={out}"]
    assert run(*words, "--temperature=0") == 0
    lines = capsys.readouterr().out.splitlines()
    for line, name in zip(lines, ("1", "2", "b/1")):
        source = {"2": "2.flac"}.get(name, f"{name}.wav")
        wave = recording(studio, source)
        padded, codes = model.pad(wave[None]), model.encode(wave[None])
        local = model.quantizer.decode(codes)
        scores = [
            float(
                model.decoder.log_prob(
                    padded,
                    {**model.speaker_context(i), "local": local},
                    np.arange(padded.shape[1])[None] < len(wave),
                )[0]
            )
            for i in range(3)
        ]
        speaker = int(np.argmax(scores))
        assert line.startswith(f"{out / name}.wav: ")
        assert line.endswith(f" dB apart, by {small.SPEAKERS[speaker]}")
        expected = model.convert(wave[None], speaker, temperature=0.0)[0]
        np.testing.assert_array_equal(
            read(out / f"{name}.wav"), as_16_bits(expected)
        )
        # Columns of 4 samples (5 ms): the recording above what was made.
        sheet = small.read_picture(out / f"{name}.png")
        columns = -(-len(wave) // 4)
        assert sheet.shape == (2 * 96 + 3 * 2, columns + 2 * 2, 3)


def test_convert(studio, model, tmp_path, capsys):
    path = studio / "voices" / "1.wav"
    words = ["convert", studio, path, f"--output={tmp_path}", "--speaker=bob"]
    assert run(*words, "--temperature=0") == 0
    assert capsys.readouterr().out.endswith(" dB apart, by bob\n")
    wave = recording(studio, "1.wav")[None]
    expected = model.convert(wave, "bob", temperature=0.0)[0]
    np.testing.assert_array_equal(
        read(tmp_path / "1.wav"), as_16_bits(expected)
    )
    assert (tmp_path / "1.png").is_file()


def test_sample(studio, tmp_path):
    generator = presets.load(studio / "preset")
    words = ["sample", studio, "--num=4", f"--output={tmp_path}", "--seed=5"]
    assert run(*words) == 0
    turns = generator.autoencoder.speaker_context([0, 1, 2, 0])
    expected = generator.sample(4, turns, seed=5)
    names = ["000_ann", "001_bob", "002_eve", "003_ann"]
    for name, wave in zip(names, expected):
        np.testing.assert_array_equal(
            read(tmp_path / f"{name}.wav"), as_16_bits(wave)
        )
    sheet = small.read_picture(tmp_path / "samples.png")
    assert sheet.shape == (96 + 4, 4 * (24 // 4 + 2) + 2, 3)
    words = ["sample", studio, "--num=1", f"--output={tmp_path}", "--seed=5"]
    assert run(*words, "--speaker=eve") == 0
    (expected,) = generator.sample(
        1, generator.autoencoder.speaker_context("eve"), seed=5
    )
    np.testing.assert_array_equal(
        read(tmp_path / "000_eve.wav"), as_16_bits(expected)
    )


def test_fast(studio, model, tmp_path):
    """All that is drawn, by the auxiliary decoder."""
    voices = studio / "voices"
    assert run("encode", studio, voices, tmp_path / "c.npz") == 0
    out = [tmp_path / name for name in ("decoded", "converted", "drawn")]
    words = ["--speaker=bob", "--fast", "--seed=4"]
    assert run("decode", studio, tmp_path / "c.npz", out[0], *words) == 0
    for folder, command in ((out[1], "convert"), (out[2], "reconstruct")):
        output = f"--output={folder}"
        assert run(command, studio, voices / "1.wav", output, *words) == 0
    wave = recording(studio, "1.wav")[None]
    expected = as_16_bits(model.convert(wave, "bob", fast=True)[0])
    # Together with longer ones, and alone.
    assert np.abs(read(out[0] / "1.wav") - expected)[:36].max() < 2e-4
    for folder in out[1:]:
        (path,) = folder.glob("*.wav")
        assert np.abs(read(path) - expected).max() < 2e-4
    words = ["sample", studio, "--num=1", f"--output={out[2]}", *words]
    assert run(*words) == 0
    # Of the codes that the WaveNet says without --fast.
    seed = random.fold_in(random.make_seed(4), 0)
    codes = presets.load(studio / "preset").prior.sample(1, seed=seed)
    (expected,) = model.decode(codes, speaker="bob", fast=True)
    found = read(out[2] / "000_bob.wav")
    assert np.abs(found - as_16_bits(expected)).max() < 2e-4


def test_fast_without_an_auxiliary_decoder(studio, tmp_path, capsys):
    small.speech_vqvae().save_to_preset(tmp_path / "preset")
    words = ["convert", tmp_path / "preset", studio / "voices" / "1.wav"]
    words += ["--speaker=ann", "--fast", f"--output={tmp_path}"]
    assert "Received: a model without one" in refused_in_a_line(capsys, *words)


def test_export(studio, tmp_path):
    target = tmp_path / "m"
    assert run("export", studio, target) == 0
    assert (target / "1" / "assets.extra" / "speech.json").is_file()


# Mistakes ---------------------------------------------------------------------


def test_speakers_that_are_not_known(studio, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", codes=np.zeros([1, 2], np.int32))
    words = ["decode", studio, tmp_path / "c.npz", tmp_path / "out"]
    known = "--speaker must be one of ann, bob, eve, or a number in 0..2."
    assert known in refused_in_a_line(capsys, *words, "--speaker=zoe")
    assert "Received: --speaker=3." in refused_in_a_line(
        capsys, *words, "--speaker=3"
    )
    assert known in refused_in_a_line(capsys, *words)
    assert known in refused_in_a_line(
        capsys, "convert", studio, studio / "voices"
    )
    error = refused_in_a_line(
        capsys, "sample", studio, "--speaker=zoe", "--num=1"
    )
    assert known in error
    assert not (tmp_path / "out").exists()


def test_presets_of_pictures(tmp_path, capsys):
    small.autoencoder().save_to_preset(tmp_path / "preset")
    error = refused_in_a_line(
        capsys, "convert", tmp_path, "a.wav", "--speaker=ann"
    )
    assert "convert takes a preset of speech" in error
    error = refused_in_a_line(
        capsys, "reconstruct", tmp_path, "a.png", "--seed=1"
    )
    assert "--seed is for presets of speech here. Received: --seed" in error
    error = refused_in_a_line(capsys, "sample", tmp_path, "--fast")
    assert "--fast is for presets of speech here. Received: --fast" in error
    target = tmp_path / "m"
    error = refused_in_a_line(
        capsys, "export", tmp_path, target, "--jit_sampling"
    )
    assert "jit_sampling is for models of speech" in error


@pytest.mark.parametrize(
    "words, message",
    [
        (["encode", "IN", "out"], "to an npz file. Received: "),
        (["encode", "IN", "c.npz", "--split=x"], "--split is not for presets"),
        (["reconstruct", "IN", "--size=native"], "--size is not for presets"),
        (["decode", "c.npz", "o.npz"], "are written to a folder"),
        (["sample", "--output=a.png"], "are written to a folder"),
        (["sample", "--label=1"], "--label is not for presets of speech"),
        (["decode", "IN/1.wav", "out", "--speaker=ann"], "a codes file (.npz"),
        (["encode", "IN/none", "c.npz"], "There is no file or folder"),
        (["encode", ".", "c.npz"], "There is no recording (.wav, .flac) in"),
    ],
)
def test_mistakes(studio, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    words = [w.replace("IN", str(studio / "voices")) for w in words]
    assert message in refused_in_a_line(capsys, words[0], studio, *words[1:])
    assert list(tmp_path.iterdir()) == []


def test_no_recording_is_replaced(studio, capsys):
    voices = studio / "voices"
    before = (voices / "1.wav").read_bytes()
    words = [studio, voices, f"--output={voices}", "--speaker=ann"]
    error = refused_in_a_line(capsys, "convert", *words)
    assert f"the input {voices}." in error
    assert (voices / "1.wav").read_bytes() == before


def test_recordings_at_fault(studio, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "in" / "good.wav", small.waveforms(1)[0], 800)
    words = ["encode", studio, tmp_path / "in", tmp_path / "c.npz"]
    error = refused_in_a_line(capsys, *words)
    assert "bad.wav" in error and error.endswith("use --on_corrupt=skip.")
    assert not (tmp_path / "c.npz").exists()
    assert run(*words, "--on_corrupt=skip") == 0
    with np.load(tmp_path / "c.npz") as arrays:
        assert list(arrays["names"]) == ["good.wav"]


@pytest.mark.parametrize(
    "arrays, message",
    [
        (dict(other=[1]), "array `codes`.*Received: other"),
        (dict(codes=[1, 2]), r"\[recordings, n\].*shape \(2,\)"),
        (dict(codes=[[1]], names=["a", "b"]), "Received: 2 and 1"),
        (dict(codes=[[1]], lengths=[5]), "up to 4 samples.*in 5..5"),
        (dict(codes=[[1]], lengths=[0]), "up to 4 samples.*in 0..0"),
        (dict(codes=[[1], [2]], names=["a.wav", "a"]), "both be written to"),
        (dict(codes=[[1]], names=["../a"]), "relative paths"),
    ],
)
def test_arrays_that_do_not_fit(model, tmp_path, arrays, message):
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        audio_inputs.unpack(tmp_path / "c.npz", model)


def test_codes_out_of_range(studio, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", codes=[[8]])
    words = ["decode", studio, tmp_path / "c.npz", tmp_path / "out"]
    error = refused_in_a_line(capsys, *words, "--speaker=ann")
    assert "Codes must be in 0..7" in error


def test_a_sample_without_a_prior(tmp_path, capsys):
    small.speech_vqvae().save_to_preset(tmp_path / "preset")
    error = refused_in_a_line(capsys, "sample", tmp_path)
    assert "takes the preset of a LatentGenerator. Received: " in error
    assert error.endswith("a SpeechVQVAE.")


def test_no_speakers_no_choice(model):
    net = small.wavenet(16, local_channels=4, local_upsampling=4)
    alone = vq.SpeechVQVAE(
        model.encoder,
        model.quantizer,
        vq.WaveformDensity(net, model.preprocess),
        model.preprocess,
    )
    assert audio_inputs.speaker_number(alone, None) == 0
    with pytest.raises(
        ValueError, match="has no speakers. Received: --speaker=a"
    ):
        audio_inputs.speaker_number(alone, "a")
