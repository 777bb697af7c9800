"""The pictures that the codes of a coded data set stand for."""

from vqvae_tf import code_sets, picture_inputs, presets


def decoded(model, preset, folder, split, batch_size=16):
    """Yields the name of a PNG and its picture, for each example.

    Args:
        model: the preset's, with `decode`.
        preset: as for `presets.find_preset`; it must be that which made the
            codes.
        folder: what `code_sets.encode_dataset` wrote.
        split: as for `code_sets.open_codes`, or several joined by commas.
        batch_size: how many are decoded at once.

    Yields:
        A path such as `train/NAME.png`, or `train/EPISODE/STEP.png`, and uint8
        `[height, width, channels]`.

    Raises:
        ValueError: for codes of another preset, or an unknown split.
        FileNotFoundError: if the folder holds no complete coded data set.
    """
    plan = code_sets.read_plan(folder)
    _check_preset(preset, plan, folder)
    splits = list(plan["splits"]) if split == "all" else split.split(",")
    for spelled in splits:
        batches = code_sets.open_codes(folder, spelled, batch_size)
        for batch in batches.as_numpy_iterator():
            names = _names(spelled.partition("[")[0], batch)
            yield from zip(names, model.decode(batch["codes"]).numpy())


def _check_preset(preset, plan, folder):
    expected = plan["preset"]["files"][presets.WEIGHTS]
    metadata = presets.load_metadata(presets.find_preset(preset))
    received = metadata["files"][presets.WEIGHTS]["sha256"]
    if received != expected:
        raise ValueError(
            f"{folder} holds codes of {plan['preset']['name']}, of weights "
            f"with the sha256 {expected}. Received: {preset}, with {received}. "
            "Codes mean something to the model alone that made them."
        )


def _names(split, batch):
    """Returns the PNG of each row, a path inside the output."""
    if "name" in batch:
        names = [f"{split}/{name.decode()}" for name in batch["name"]]
    else:
        pairs = zip(batch["episode"], batch["step"])
        names = [f"{split}/{e:05}/{step:05}" for e, step in pairs]
    rows = [(name, name) for name in names]
    return list(picture_inputs.output_names(rows).values())
