"""Encodes data sets with an Apache Beam pipeline, on many machines.

    python -m vqvae_tf.encoding.beam --preset=vqvae_cifar10 \
        --source=tfds:cifar10 --output=codes --runner=DirectRunner

Unknown arguments, such as --runner and its options, are passed on to Beam. The
files are the same as those of `vqvae-tf encode`. A shard is the unit of work: a
worker reads its range of the source itself, encodes it in batches and writes
it, so that no pictures pass through Beam and a retried shard is identical.
Needs `pip install vqvae_tf[beam]`.
"""

import argparse
import contextlib
import difflib
import logging
import os
import re
import sys
from collections.abc import Iterator

try:
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import (
        PipelineOptions,
        StandardOptions,
    )
    from apache_beam.runners.runner import PipelineResult
    from apache_beam.utils import shared
except ImportError as error:
    raise ImportError(
        "The pipeline needs Apache Beam: pip install vqvae_tf[beam]. "
        f"Received: {error}."
    ) from error

from vqvae_tf.encoding import beam_files as files
from vqvae_tf.encoding.dataset import place_metadata
from vqvae_tf.encoding.job import Job
from vqvae_tf.encoding.plan import LAST, PLAN, Plan, check_empty
from vqvae_tf.encoding.shards import (
    DATASET,
    FORMATS,
    UNFINISHED,
    Content,
    Shard,
)
from vqvae_tf.encoding.sources import check_apart
from vqvae_tf.utils.errors import explain

_PROGRAM = "python -m vqvae_tf.encoding.beam"


class EncodeShard(beam.DoFn):
    """Makes a shard, unless it exists and is complete.

    The model is loaded once per worker process and shared by its threads.

    Elements: `Shard`. Outputs: (`Shard`, its `Content`).
    """

    def __init__(self, job: Job, code_shapes: dict[str, tuple]) -> None:
        self._job, self._shapes = job, code_shapes
        self._handle = shared.Shared()

    def setup(self) -> None:
        self._opened = self._handle.acquire(self._job.open)

    def process(self, shard: Shard) -> Iterator[tuple[Shard, Content]]:
        found = files.whole(self._job.output, shard)
        if found is None:
            files.remove(self._job.output, LAST)  # no longer complete
            batches = self._opened.batches([shard], self._shapes)
            with contextlib.closing(batches):
                rows = iter(lambda: next(batches), None)
                found = files.write(self._job.output, shard, rows)
        yield shard, found


def build(pipeline: beam.Pipeline, job: Job, plan: Plan) -> beam.PCollection:
    """Adds the steps to a pipeline.

    Args:
        pipeline: of Beam.
        job: a `Job`.
        plan: its `Plan`.

    Returns:
        A PCollection of one element, the number of examples in the data set.
    """
    return (
        pipeline
        | "Shards" >> beam.Create(plan.shards)
        | "Spread" >> beam.Reshuffle()
        | "Encode" >> beam.ParDo(EncodeShard(job, plan.code_shapes))
        | "Gather" >> beam.combiners.ToList()
        | "Metadata" >> beam.Map(_place_metadata, plan=plan, output=job.output)
    )


def run(job: Job, options: PipelineOptions | None = None) -> PipelineResult:
    """Encodes a data set; called again, it continues where it stopped.

    Args:
        job: a `Job`, whose preset, source and output must be accessible to
            every worker: on a shared disk or, if the runner has one, in its
            object store.
        options: Beam's `PipelineOptions`, or None for Beam's defaults.

    Returns:
        The runner's result, once the pipeline has finished.

    Raises:
        ValueError, FileNotFoundError: as `encoding.dataset.encode_dataset`.
    """
    if FileSystems.get_scheme(job.output) is None:  # no bucket
        check_apart(job.source, job.output, job.data_dir)
    plan = Plan(job.open())
    _place_plan(plan, job.output)
    with beam.Pipeline(options=options) as pipeline:
        build(pipeline, job, plan)
    return pipeline.result


def _place_plan(plan, output):
    path = FileSystems.join(output, PLAN)
    if FileSystems.exists(path):
        with FileSystems.open(path) as file:
            found = file.read().decode()
        shards = FileSystems.join(output, f"{DATASET}-*")
        begun = bool(FileSystems.match([shards])[0].metadata_list)
        if plan.go_on(found, output, begun):
            files.place_text(plan.text(), output, PLAN)
        return
    there = FileSystems.match([FileSystems.join(output, "*")])[0]
    paths = [FileSystems.split(found.path) for found in there.metadata_list]
    check_empty([name for _, name in paths], output)
    files.place_text(plan.text(), output, PLAN)


def _place_metadata(found, plan, output):
    contents = dict(found)
    place_metadata(
        plan, contents, lambda file: files.place(file, output, file.name)
    )
    # Left behind by workers that were killed.
    files.remove(output, UNFINISHED)
    return sum(content.examples for content in contents.values())


# The command ----------------------------------------------------------------


def _parser():
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        allow_abbrev=False,
        description="Encodes a data set by an Apache Beam pipeline.",
        epilog="Other arguments go to Beam, such as --runner=DataflowRunner.",
    )
    parser.add_argument("--preset", required=True, type=os.path.expanduser)
    parser.add_argument("--source", required=True, help="as vqvae-tf encode's")
    parser.add_argument(
        "--output", required=True, type=os.path.expanduser, help="a folder"
    )
    parser.add_argument("--split", default="all")
    parser.add_argument("--data_dir", type=os.path.expanduser)
    parser.add_argument(
        "--format", dest="file_format", default="tfrecord", choices=FORMATS
    )
    parser.add_argument("--num_shards", type=int)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument(
        "--on_corrupt", default="error", choices=("error", "skip")
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Runs the command line."""
    logging.getLogger().setLevel(logging.INFO)
    known, rest = _parser().parse_known_args(argv)
    try:
        job = Job(**vars(known))
        run(job, _beam_options(rest, vars(known)))
    except Exception as error:
        message = _explained(error)
        if message is None:
            raise
        print(f"{_PROGRAM}: {message}", file=sys.stderr)
        sys.exit(1)
    print(f"The codes are in {job.output}.")


def _beam_options(words, own):
    """Returns Beam's options; refuses flags that neither it nor we have."""
    options = PipelineOptions(words)
    known = options.get_all_options()
    asked = options.get_all_options(retain_unknown_options=True)
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    # The job servers of other runners have options that Beam does not list.
    all_known = runner.startswith(("Direct", "Dataflow"))
    for name in sorted(set(asked) - set(known)):
        if all_known or difflib.get_close_matches(name, own):
            raise ValueError(
                f"Neither this command nor Beam has the flag --{name}. --help "
                "lists those of this command."
            )
    return options


def _explained(error):
    message = explain(error)
    if message is None:  # a worker's error is passed on as text
        kinds = r"(?:ValueError|OSError|\w+(?:NotFound|Permission)\w*Error)"
        lines = re.findall(rf"^(?:\w+\.)*{kinds}: (.*)$", str(error), re.M)
        message = lines[-1] if lines else None
    return message and re.sub(r" \[while running '.*?'\]", "", message)


if __name__ == "__main__":
    # Workers import this module by its name, not as __main__.
    from vqvae_tf.encoding import beam as by_name

    by_name.main()
