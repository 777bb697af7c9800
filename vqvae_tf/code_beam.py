"""Coded data sets made by an Apache Beam pipeline, on many machines.

    python -m vqvae_tf.code_beam --preset=vqvae_cifar10 --source=tfds:cifar10
        --output=codes --runner=DirectRunner

Arguments that are not of this module go to Beam: --runner and its options.
The result is that of `vqvae-tf encode`, file by file. A shard is the unit of
work: a worker reads its range of the source itself, encodes it in batches and
writes it, so that no picture goes through Beam and a retried or restarted
shard is the same again. Needs `pip install vqvae_tf[beam]`.
"""

import argparse
import contextlib
import dataclasses
import logging
import pathlib
import shutil
import tempfile
import uuid

try:
    import apache_beam as beam
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.utils import shared
except ImportError as error:
    raise ImportError(
        "The pipeline needs Apache Beam: pip install vqvae_tf[beam]. "
        f"Received: {error}."
    ) from error

from vqvae_tf import code_sets, code_shards
from vqvae_tf.code_encoder import CodeEncoder
from vqvae_tf.code_plan import PLAN, Plan
from vqvae_tf.code_sources import open_source

_UNFINISHED = ".unfinished"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be encoded; see `code_sets.encode_dataset`.

    The preset, the source and the output must be where every worker finds
    them: on a shared disk or, where the runner has one, in its object store.
    """

    preset: str
    source: str
    output: str
    split: str = "all"
    data_dir: str | None = None
    file_format: str = "tfrecord"
    num_shards: int | None = None
    batch_size: int = 64
    on_corrupt: str = "error"

    def open(self):
        """Returns the encoder, and a reader for each split."""
        encoder = CodeEncoder(self.preset, self.batch_size)
        readers = open_source(
            self.source,
            self.split,
            encoder.form,
            self.data_dir,
            self.on_corrupt,
        )
        return encoder, readers


class EncodeShard(beam.DoFn):
    """Makes a shard, unless it is there and whole.

    The model is loaded once a worker process, whatever its threads.

    Elements: `Shard`. Outputs: (`Shard`, its `Content`).
    """

    def __init__(self, job):
        self._job = job
        self._handle = shared.Shared()

    def setup(self):
        self._encoder, self._readers = self._handle.acquire(
            lambda: _Loaded(self._job.open())
        ).parts

    def process(self, shard):
        found = _whole(self._job.output, shard)
        if found is None:
            batches = code_sets.coded_batches(
                [shard], self._encoder, self._readers
            )
            with contextlib.closing(batches):
                rows = iter(lambda: next(batches), None)
                found = _write(self._job.output, shard, rows)
        yield shard, found


class _Loaded:
    """What `Shared` holds by a weak reference, which tuples cannot have."""

    def __init__(self, parts):
        self.parts = parts


def build(pipeline, job, plan):
    """Adds the steps to a pipeline.

    Args:
        pipeline: of Beam.
        job: a `Job`.
        plan: its `Plan`.

    Returns:
        A PCollection of one element: how many examples the data set holds.
    """
    return (
        pipeline
        | "Shards" >> beam.Create(plan.shards)
        | "Spread" >> beam.Reshuffle()
        | "Encode" >> beam.ParDo(EncodeShard(job))
        | "Gather" >> beam.combiners.ToList()
        | "Metadata" >> beam.Map(_place_metadata, plan=plan, output=job.output)
    )


def run(job, options=None):
    """Encodes a data set; called again, it goes on where it was.

    Args:
        job: a `Job`.
        options: Beam's `PipelineOptions`, or None for its own.

    Returns:
        The runner's result, when the pipeline has ended.

    Raises:
        ValueError, FileNotFoundError: as `code_sets.encode_dataset`.
    """
    encoder, readers = job.open()
    plan = Plan(
        encoder,
        job.source,
        readers,
        job.file_format,
        job.num_shards,
        job.on_corrupt,
    )
    _place_plan(plan, job.output)
    with beam.Pipeline(options=options) as pipeline:
        build(pipeline, job, plan)
    return pipeline.result


# Files, wherever Beam can write ---------------------------------------------


def _place_plan(plan, output):
    path = FileSystems.join(output, PLAN)
    if FileSystems.exists(path):
        with FileSystems.open(path) as file:
            plan.check(file.read().decode(), output)
        return
    others = FileSystems.match([FileSystems.join(output, "*")])[0].metadata_list
    if others:
        raise ValueError(
            f"Expected a new or an empty folder, or one whose encoding is to "
            f"go on (with {PLAN}). Received: {output}, which holds "
            f"{others[0].path}."
        )
    with tempfile.TemporaryDirectory() as temporary:
        file = pathlib.Path(temporary) / PLAN
        file.write_text(plan.text())
        _place(file, output, PLAN)


def _write(output, shard, batches):
    """Writes a shard on the worker's disk, then moves it to the output."""
    with tempfile.TemporaryDirectory() as temporary:
        content = code_shards.write_shard(temporary, shard, batches)
        # The note comes last: it says that the shard is whole.
        for name in (shard.file, shard.note):
            _place(pathlib.Path(temporary) / name, output, name)
    return content


def _whole(output, shard):
    """Returns the content of a shard that is there and whole, or None."""
    names = (shard.file, shard.note)
    paths = [FileSystems.join(output, *name.split("/")) for name in names]
    if not all(FileSystems.exists(path) for path in paths):
        return None
    with tempfile.TemporaryDirectory() as temporary:
        for path, name in zip(paths, names):
            local = pathlib.Path(temporary) / name
            local.parent.mkdir(exist_ok=True)
            with FileSystems.open(path) as source, open(local, "wb") as target:
                shutil.copyfileobj(source, target)
        return code_shards.whole(temporary, shard)


def _place(file, output, name):
    """Copies a local file to the output, where it appears when complete."""
    target = FileSystems.join(output, *name.split("/"))
    # Of its own, since a runner may try a shard in two places at once.
    temporary = FileSystems.join(output, _UNFINISHED, uuid.uuid4().hex)
    for path in (target, temporary):
        # Object stores have no folders; another worker may be the first.
        with contextlib.suppress(OSError):
            FileSystems.mkdirs(FileSystems.split(path)[0])
    # Its bytes as they are, whatever the name ends in.
    kind = dict(
        mime_type="application/octet-stream",
        compression_type=CompressionTypes.UNCOMPRESSED,
    )
    with open(file, "rb") as source:
        with FileSystems.create(temporary, **kind) as copy:
            shutil.copyfileobj(source, copy)
    if FileSystems.exists(target):
        FileSystems.delete([target])
    FileSystems.rename([temporary], [target])


def _place_metadata(found, plan, output):
    contents = dict(found)
    code_sets.place_metadata(
        plan, contents, lambda file: _place(file, output, file.name)
    )
    # What workers left that were killed.
    with contextlib.suppress(OSError):
        FileSystems.delete([FileSystems.join(output, _UNFINISHED)])
    return sum(content.examples for content in contents.values())


# The command ----------------------------------------------------------------


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m vqvae_tf.code_beam",
        description="Encodes a data set by an Apache Beam pipeline.",
        epilog="Other arguments go to Beam, such as --runner=DataflowRunner.",
    )
    parser.add_argument("--preset", required=True)
    parser.add_argument("--source", required=True, help="as vqvae-tf encode's")
    parser.add_argument("--output", required=True, help="a folder")
    parser.add_argument("--split", default="all")
    parser.add_argument("--data_dir")
    parser.add_argument(
        "--format",
        dest="file_format",
        default="tfrecord",
        choices=code_shards.FORMATS,
    )
    parser.add_argument("--num_shards", type=int)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument(
        "--on_corrupt", default="error", choices=("error", "skip")
    )
    return parser


def main(argv=None):
    """Runs the command line."""
    logging.getLogger().setLevel(logging.INFO)
    known, rest = _parser().parse_known_args(argv)
    job = Job(**vars(known))
    run(job, PipelineOptions(rest))
    print(f"The codes are in {job.output}.")


if __name__ == "__main__":
    # Workers import this module by its name, not as __main__.
    from vqvae_tf import code_beam

    code_beam.main()
