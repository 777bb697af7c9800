"""Presets that are changed by hand, with hashes that fit."""

import copy
import hashlib
import json

from vqvae_tf import presets


def read(folder, name="config.json"):
    return json.loads((folder / name).read_text())


def write(folder, name, value):
    """Replaces a file by bytes or JSON, and its entry in metadata.json."""
    if not isinstance(value, bytes):
        value = json.dumps(value).encode()
    (folder / name).write_bytes(value)
    if name != presets.METADATA:
        trust(folder, name)


def trust(folder, name):
    """Gives metadata.json the sha256 and the size of a file as it is."""
    content = (folder / name).read_bytes()
    metadata = read(folder, presets.METADATA)
    metadata["files"][name] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    write(folder, presets.METADATA, metadata)


def leaves(value, path=()):
    """Yields the paths of all values in JSON, containers too, and values."""
    if path:
        yield path, value
    items = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from leaves(item, (*path, key))


def changed(value, path, new):
    """Returns a copy of JSON with another value, or without it for `...`."""
    result = copy.deepcopy(value)
    parent = result
    for key in path[:-1]:
        parent = parent[key]
    if new is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = new
    return result
