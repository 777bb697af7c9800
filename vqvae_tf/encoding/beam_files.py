"""Files of coded data sets, wherever Apache Beam can write."""

import contextlib
import os
import pathlib
import shutil
import tempfile
import uuid
from collections.abc import Iterable

try:
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems
except ImportError as error:
    raise ImportError(
        f"These files need Apache Beam: pip install vqvae_tf[beam] ({error})."
    ) from error

from vqvae_tf.encoding import shards
from vqvae_tf.encoding.shards import UNFINISHED, Content, Shard


def place_text(text: str, output: str, name: str) -> None:
    """Writes a text to a file of the output; see `place`."""
    with tempfile.TemporaryDirectory() as temporary:
        file = pathlib.Path(temporary) / name
        file.write_text(text)
        place(file, output, name)


def write(output: str, shard: Shard, batches: Iterable[dict]) -> Content:
    """Writes a shard on the worker's disk, then moves it to the output."""
    with tempfile.TemporaryDirectory() as temporary:
        content = shards.write_shard(temporary, shard, batches)
        if whole(output, shard) == content:
            return content  # another worker was faster; it may be in use
        # The note comes last, since it marks the shard as complete.
        for name in (shard.file, shard.note):
            place(pathlib.Path(temporary) / name, output, name)
    return content


def whole(output: str, shard: Shard) -> Content | None:
    """Returns the content of a complete shard; None if it is not complete."""
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
        return shards.whole(temporary, shard)


def place(file: str | os.PathLike, output: str, name: str) -> None:
    """Copies a local file to the output, where it appears once complete."""
    target = FileSystems.join(output, *name.split("/"))
    # A unique name, since a runner may try a shard in two places at once.
    temporary = FileSystems.join(output, UNFINISHED, uuid.uuid4().hex)
    for path in (target, temporary):
        # Object stores have no folders, and another worker may make it first.
        with contextlib.suppress(OSError):
            FileSystems.mkdirs(FileSystems.split(path)[0])
    # Otherwise the name's ending would decide about compression.
    kind = dict(
        mime_type="application/octet-stream",
        compression_type=CompressionTypes.UNCOMPRESSED,
    )
    with open(file, "rb") as source:
        with FileSystems.create(temporary, **kind) as copy:
            shutil.copyfileobj(source, copy)
    try:
        FileSystems.rename([temporary], [target])
    except OSError:  # some file systems cannot replace a file
        FileSystems.delete([target])
        FileSystems.rename([temporary], [target])


def remove(output: str, name: str) -> None:
    """Removes a file or folder of the output, if it is there."""
    with contextlib.suppress(OSError):
        FileSystems.delete([FileSystems.join(output, name)])
