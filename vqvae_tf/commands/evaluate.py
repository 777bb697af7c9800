"""`vqvae-tf evaluate`: measures presets again, and compares them."""

import dataclasses

from absl import flags

from vqvae_tf import presets, tasks
from vqvae_tf.commands.data_dir import check_data_dir
from vqvae_tf.evaluation import comparison, statistics
from vqvae_tf.evaluation.figures import compare, table, title
from vqvae_tf.tasks.card import resizing

FLAGS = flags.FLAGS

# What presets must have in common to be compared, with the value of those that
# do not say.
_SAME_DATA = {
    "kind": "pictures",
    "source": None,
    "eval_split": None,
    "image_size": None,
    "channels": 3,
}


def evaluate(*names: str) -> int:
    """Measures presets and compares them with their cards and each other."""
    against = FLAGS.against or []
    if against and len(against) != len(names):
        raise ValueError(
            "--against needs as many presets as are measured: pairs. Received: "
            f"{len(names)} and {len(against)}."
        )
    runs = [_describe(name) for name in names]
    others = [_describe(name) for name in against]
    _check_same_data(*runs, *others)
    # A card that does not agree fails the command, but only at the end.
    code = max(map(_measure, runs + others))
    _check_draws(runs + others)
    if len(runs) > 1:
        _print_intervals("Mean", comparison.by_run([r.figures for r in runs]))
    if len(others) > 1:
        figures = [r.figures for r in others]
        _print_intervals("Mean of --against", comparison.by_run(figures))
        differences = comparison.by_run([r.figures for r in runs], figures)
        _print_intervals("Difference, pair by pair", differences)
    elif others:
        _print_by_example(runs[0], others[0])
    return code


@dataclasses.dataclass
class _Run:
    """A preset and its measurements.

    Attributes:
        name: as given.
        metrics: the card's figures.
        data: a description of the data that it is measured on.
        changes: entries of `data` that differ from the card's.
        figures: what was measured.
        rows: the bounds of each example.
    """

    name: str
    metrics: dict
    data: dict
    changes: dict
    figures: dict = dataclasses.field(default_factory=dict)
    rows: dict = dataclasses.field(default_factory=dict)


def _describe(name):
    metadata = presets.verify(presets.find_preset(name))
    data = _described_data(name, metadata)
    check_data_dir("evaluate", data)
    if FLAGS.on_corrupt == "skip":
        data = {**data, "on_corrupt": "skip"}
    changes = {
        key: FLAGS[key].value
        for key, unsaid in (("eval_split", None), ("bound_samples", 1))
        if FLAGS[key].value not in (None, data.get(key, unsaid))
    }
    data = {**data, **changes}
    return _Run(name, metadata.get("metrics", {}), data, changes)


def _described_data(preset, metadata):
    """Returns the description of the data of a preset's figures."""
    description = metadata.get("data")
    if not isinstance(description, dict):
        description = {}
    needed = tasks.of_description(description).data_keys
    missing = [key for key in needed if key not in description]
    if missing:
        raise ValueError(
            f"The preset {preset} does not say what to measure it on: its "
            f"metadata's `data` lacks {', '.join(missing)}. Save it with these "
            "(`vqvae-tf train` does), or call vqvae_tf.evaluation.evaluate "
            "with batches of your own."
        )
    return description


def _check_same_data(first, *others):
    for other in others:
        for key, unsaid in _SAME_DATA.items():
            a, b = first.data.get(key, unsaid), other.data.get(key, unsaid)
            if a != b:
                raise ValueError(
                    "Presets that are compared must be of the same data. "
                    f"Received: {first.name} with {key}={a!r}, {other.name} "
                    f"with {b!r}."
                )

    task = tasks.of_description(first.data)
    if len(others) == 1 and FLAGS.against and not task.has_rows:
        raise ValueError(
            "Two single presets are compared by the bounds of each picture, "
            f"which presets of {task.kind.name} do not have: give several runs "
            "of each."
        )


def _check_draws(runs):
    counts = {run.figures.get("bound_samples") for run in runs} - {None}
    if len(counts) > 1:
        raise ValueError(
            "Bounds must be of equally many draws: set --bound_samples. "
            f"Received: bounds of {', '.join(map(str, sorted(counts)))} draws."
        )


def _measure(run):
    """Prints a preset's figures; returns 1 if they differ from its card's."""
    print(f"{run.name} on {run.data['source']}, ", end="")
    resized = resizing(run.data)
    words = f", {resized}" if resized else ""
    print(f"split {run.data['eval_split']}{words}:")
    run.figures = tasks.measure(
        presets.load(run.name), run.data, FLAGS.data_dir, rows=run.rows
    )
    for name, value in table(run.figures):
        print(f"  {name:50} {value}", flush=True)
    if run.changes:
        said = ", ".join(f"{k}={v}" for k, v in run.changes.items())
        print(f"The card has no figures of {said}.")
        return 0
    differences = compare(run.figures, run.metrics)
    if differences:
        print("These do not agree with the card:")
        print("\n".join(f"  {line}" for line in differences))
        return 1
    print("All figures agree with the card.")
    return 0


def _print_intervals(heading, intervals):
    """Prints the intervals over runs, with each figure's digits.

    Figures that are themselves intervals or counts are left out.
    """
    intervals = {
        name: found
        for name, found in intervals.items()
        if not name.endswith(("_error", "_samples", "_pictures"))
    }
    print(f"{heading}, and half of its 95 % interval:")
    means = {name: found.mean for name, found in intervals.items()}
    halves = {name: found.half for name, found in intervals.items()}
    for (name, mean), (_, half) in zip(table(means), table(halves)):
        print(f"  {name:50} {mean} ± {half}")


def _print_by_example(run, other):
    differences = comparison.by_example(run.rows, other.rows)
    if not differences:
        print("No bounds of both to compare, example by example.")
        return
    for one in (run, other):
        print(f"{one.name}, bits/dim:")
        for name, bits in one.rows.items():
            words = title(name, one.figures)
            half = statistics.half_interval(bits)
            words = words.removesuffix(", bits/dim")
            print(f"  {words:50} {bits.mean():.4f} ± {half:.4f}")
    print(f"{run.name} less {other.name}, example by example, bits/dim:")
    for (name, of_other), found in differences.items():
        first = title(name, run.figures)
        second = title(of_other, other.figures)
        words = f"{first} less {second}".replace(", bits/dim", "")
        print(f"  {words:50} {found.mean:+.4f} ± {found.half:.4f}")
