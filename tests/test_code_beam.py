"""The Beam pipeline: the shards of the command, made by its workers."""

import subprocess
import sys

import coding
import pytest

pytest.importorskip("apache_beam")

from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402

from vqvae_tf import code_beam, code_sets, code_shards  # noqa: E402

# Beam's and what it imports; none of it is ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    coding.save_preset(home / "preset")
    coding.write_pictures(home, counts=(23, 4))
    coding.write_pictures(home, "spoilt", corrupt=(3,))
    return home


def job(home, output, **kwargs):
    kwargs = {"num_shards": 3, "batch_size": 4, **kwargs}
    return code_beam.Job(
        str(home / "preset"),
        "tfds:album",
        str(output),
        data_dir=str(home),
        **kwargs,
    )


def run(job):
    options = PipelineOptions(["--runner=DirectRunner"])
    return code_beam.run(job, options)


def by_command(home, folder, **kwargs):
    kwargs = {"num_shards": 3, "batch_size": 4, **kwargs}
    code_sets.encode_dataset(
        str(home / "preset"),
        "tfds:album",
        folder,
        data_dir=str(home),
        progress=False,
        **kwargs,
    )
    return coding.contents(folder)


@pytest.mark.parametrize("file_format", code_shards.FORMATS)
def test_equals_the_command(home, tmp_path, file_format):
    run(job(home, tmp_path / "beam", file_format=file_format))
    expected = by_command(home, tmp_path / "own", file_format=file_format)
    assert coding.contents(tmp_path / "beam") == expected


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
    spoilt = code_beam.Job(
        **{**vars(job(home, tmp_path)), "source": "tfds:spoilt"}
    )
    with pytest.raises(Exception, match="Cannot decode spoilt-train"):
        run(spoilt)
    assert not (tmp_path / "dataset_info.json").exists()


@pytest.mark.slow
def test_two_worker_processes(home, tmp_path):
    words = [
        f"--preset={home / 'preset'}",
        "--source=tfds:album",
        f"--output={tmp_path / 'beam'}",
        f"--data_dir={home}",
        "--num_shards=3",
        "--batch_size=4",
        "--runner=DirectRunner",
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ]
    command = [sys.executable, "-m", "vqvae_tf.code_beam", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = by_command(home, tmp_path / "own")
    assert coding.contents(tmp_path / "beam") == expected
