"""The Beam pipeline: the shards of the command, made by its workers."""

import subprocess
import sys

import numpy as np
import pytest

from support import coding, small, tfds_sets

pytest.importorskip("apache_beam")

from apache_beam.io.filesystems import FileSystems  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402

from vqvae_tf.encoding import (
    beam as code_beam,
    beam_files as code_beam_files,
    dataset as code_sets,
    shards as code_shards,
)

# Beam's and what it imports; none of it is ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    coding.write_pictures(home, counts=(23, 4))
    coding.write_pictures(home, "spoilt", corrupt=(3,))
    tfds_sets.write_clips(home, "clips", small.SIZE)
    arrays = dict(images=small.pictures(7, 20), labels=np.arange(7) % 3)
    np.savez(home / "seven.npz", **arrays)
    return home


def job(home, output, source="tfds:album", **kwargs):
    kwargs = {"num_shards": 3, "batch_size": 4, **kwargs}
    return code_beam.Job(
        str(home / "preset"),
        source,
        str(output),
        data_dir=str(home),
        **kwargs,
    )


def run(job):
    options = PipelineOptions(["--runner=DirectRunner"])
    return code_beam.run(job, options)


def by_command(home, folder, **kwargs):
    coding.encode(home, folder, **{"num_shards": 3, **kwargs})
    return coding.contents(folder)


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_equals_the_command(home, tmp_path, file_format):
    run(job(home, tmp_path / "beam", file_format=file_format))
    expected = by_command(home, tmp_path / "own", file_format=file_format)
    assert coding.contents(tmp_path / "beam") == expected


@pytest.mark.parametrize(
    "kwargs, examples",
    [
        (dict(source="tfds:clips", num_shards=2), 5 * 16),
        (dict(source="npz:seven.npz"), 7),
        (dict(source="tfds:spoilt", split="train", on_corrupt="skip"), 9),
    ],
)
def test_episodes_npz_and_skipping(home, tmp_path, kwargs, examples):
    run(job(home, tmp_path / "beam", **kwargs))
    expected = by_command(home, tmp_path / "own", **kwargs)
    assert coding.contents(tmp_path / "beam") == expected
    found = code_sets.load_codes(tmp_path / "beam", "all")
    assert len(found["codes"]) == examples


def test_goes_on_where_it_was(home, tmp_path):
    expected = by_command(home, tmp_path)
    shards = sorted(tmp_path.glob("codes-*"))
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    modified = {path: path.stat().st_mtime_ns for path in shards[2:]}
    run(job(home, tmp_path))
    assert coding.contents(tmp_path) == expected
    for path, time in modified.items():
        assert path.stat().st_mtime_ns == time


def test_refuses(home, tmp_path):
    by_command(home, tmp_path / "codes")
    with pytest.raises(ValueError, match="another shard count"):
        run(job(home, tmp_path / "codes", num_shards=2))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="notes.txt"):
        run(job(home, tmp_path / "other"))


def test_a_corrupt_picture_stops_the_pipeline(home, tmp_path):
    kwargs = dict(source="tfds:spoilt", split="train")
    with pytest.raises(Exception, match="Cannot decode spoilt-train"):
        run(job(home, tmp_path, **kwargs))
    assert not (tmp_path / "dataset_info.json").exists()
    # Another choice goes on with the plan that is there.
    run(job(home, tmp_path, on_corrupt="skip", **kwargs))
    assert coding.plan_of(tmp_path)["on_corrupt"] == "skip"
    assert len(code_sets.load_codes(tmp_path, "train")["codes"]) == 9


# Files ----------------------------------------------------------------------


def test_a_file_is_there_until_another_takes_its_place(tmp_path, monkeypatch):
    def refuse(_):
        raise AssertionError("The file would not be there for a moment.")

    monkeypatch.setattr(FileSystems, "delete", refuse)
    for text in ("one", "two"):
        code_beam_files.place_text(text, str(tmp_path), "file")
        assert (tmp_path / "file").read_text() == text


def test_file_systems_that_replace_nothing(tmp_path, monkeypatch):
    rename = FileSystems.rename

    def only_new(sources, targets):
        if any(FileSystems.exists(target) for target in targets):
            raise OSError("There is such a file.")
        rename(sources, targets)

    monkeypatch.setattr(FileSystems, "rename", only_new)
    for text in ("one", "two"):
        code_beam_files.place_text(text, str(tmp_path), "file")
        assert (tmp_path / "file").read_text() == text


def test_a_shard_that_another_worker_has_made(tmp_path, monkeypatch):
    shard = code_shards.Shard("train", 0, 1, 0, 2, "tfrecord")
    rows = {"codes": np.zeros([2, 3], np.uint8)}
    first = code_beam_files.write(str(tmp_path), shard, [rows])
    modified = (tmp_path / shard.file).stat().st_mtime_ns
    again = code_beam_files.write(str(tmp_path), shard, [rows])
    assert again == first and first.examples == 2
    assert (tmp_path / shard.file).stat().st_mtime_ns == modified


def test_not_complete_while_a_shard_is_made(home, tmp_path, monkeypatch):
    by_command(home, tmp_path)
    sorted(tmp_path.glob("codes-*"))[0].unlink()

    def full(*_):
        raise OSError("The disk is full.")

    monkeypatch.setattr(code_beam_files, "write", full)
    with pytest.raises(Exception, match="The disk is full"):
        run(job(home, tmp_path))
    assert not (tmp_path / "dataset_info.json").exists()


# The command line -----------------------------------------------------------


@pytest.mark.parametrize(
    "words, message",
    [
        (["--num_shards=0"], "num_shards must be a positive integer"),
        (["--batch_size=0"], "batch_size must be a positive integer"),
        (["--num_shard=2"], "has the flag. Received: --num_shard;"),
        (["--runner=FlinkRunner", "--num-shards=2"], "Received: --num"),
        (["--colour=red"], "has the flag. Received: --colour;"),
        (["--source=tfds:spoilt"], "Cannot decode spoilt-train"),
        (["--source=nothing"], "Received: 'nothing'"),
    ],
)
def test_mistakes_in_one_line(home, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as end:
        code_beam.main([*arguments(home, tmp_path / "codes"), *words])
    assert end.value.code == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("python -m vqvae_tf.encoding.beam: ")
    assert message in line and "while running" not in line


def arguments(home, output):
    return [
        f"--preset={home / 'preset'}",
        "--source=tfds:album",
        f"--output={output}",
        f"--data_dir={home}",
        "--num_shards=3",
        "--batch_size=4",
    ]


@pytest.mark.slow
def test_two_worker_processes(home, tmp_path):
    words = [
        *arguments(home, tmp_path / "beam"),
        "--runner=DirectRunner",
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ]
    command = [sys.executable, "-m", "vqvae_tf.encoding.beam", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = by_command(home, tmp_path / "own")
    assert coding.contents(tmp_path / "beam") == expected
    words += ["--source=tfds:spoilt", f"--output={tmp_path / 'spoilt'}"]
    done = subprocess.run([*command, *words[-2:]], capture_output=True)
    last = done.stderr.decode().strip().splitlines()[-1]
    assert done.returncode == 1 and "encoding.beam: Cannot decode sp" in last
