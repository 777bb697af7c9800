"""Episodes that stock tensorflow_datasets prepared: small ones, made here."""

import io
import os

import numpy as np
import pytest

from support.data_helpers import noise
from support.tfds_sets import prepare
from vqvae_tf import data

tfds = pytest.importorskip("tensorflow_datasets")

LENGTHS = {"train": [4, 1, 5, 3], "test": [2, 3]}
BROKEN = {"misses_first": 0, "misses_middle": 2, "misses_last": -1}
TFDS_DATA_DIR = os.environ.get("TFDS_DATA_DIR", "")


def frames(split, channels=3):
    """Returns the pictures of each episode: noise, [0, 0, 0] their number."""
    pictures = noise(sum(LENGTHS[split]), 6, 5, channels, seed=len(split))
    pictures[:, 0, 0, 0] = np.arange(len(pictures))
    return np.split(pictures, np.cumsum(LENGTHS[split])[:-1])


def actions(split, size=None):
    """Returns the actions of each episode, integers or `size` floats."""
    rows = sum(LENGTHS[split])
    generator = np.random.default_rng(3)
    if size is None:
        values = (np.arange(rows) + generator.integers(0, 2, rows)) % 7
    else:
        values = generator.normal(size=[rows, size]).astype(np.float32)
    return np.split(values, np.cumsum(LENGTHS[split])[:-1])


def steps_of(pictures, taken, last_action, key):
    """Returns the steps of one episode as RLDS has them."""
    before = np.concatenate([np.zeros_like(taken[:1]), taken[:-1]])
    end = len(taken) - 1
    return [
        {
            "action": taken[t],
            "is_first": t == 0,
            "is_last": t == end,
            "reward": 0.5,
            "observation": {
                key: pictures[t],
                **({"last_action": before[t]} if last_action else {}),
            },
        }
        for t in range(len(taken))
    ]


def rlds_features(channels, size, last_action, key, **more):
    action = (
        tfds.features.Scalar(np.int64)
        if size is None
        else tfds.features.Tensor(shape=(size,), dtype=np.float32)
    )
    observation = {key: tfds.features.Image(shape=(6, 5, channels)), **more}
    if last_action:
        observation["last_action"] = action
    steps = {
        "action": action,
        "is_first": tfds.features.Scalar(np.bool_),
        "is_last": tfds.features.Scalar(np.bool_),
        "reward": tfds.features.Scalar(np.float32),
        "observation": tfds.features.FeaturesDict(observation),
    }
    return {
        "steps": tfds.features.Dataset(steps),
        "episode_id": tfds.features.Scalar(np.int64),
    }


def write_episodes(
    data_dir, name, channels=3, size=None, last_action=True, key="pixels"
):
    features = rlds_features(channels, size, last_action, key)
    rows = {
        split: [
            {"steps": steps_of(x, a, last_action, key), "episode_id": number}
            for number, (x, a) in enumerate(
                zip(frames(split, channels), actions(split, size))
            )
        ]
        for split in LENGTHS
    }
    prepare(data_dir, name, features, rows)
    return features, rows


def write_broken(data_dir, features, rows):
    """Writes sets whose third episode misses a step, one that has no steps."""
    for name, step in BROKEN.items():
        whole = rows["train"][2]["steps"]
        kept = list(whole)
        del kept[step]
        train = list(rows["train"])
        train[2] = {"steps": kept, "episode_id": 2}
        prepare(data_dir, name, features, {"train": train})
    train = [*rows["train"][:2], {"steps": [], "episode_id": 2}]
    prepare(data_dir, "one_is_empty", features, {"train": train})
    only = {"train": [{"steps": kept, "episode_id": 0}] * 2}
    prepare(data_dir, "all_broken", features, only)


def write_others(data_dir):
    """Writes sets that are no episodes of frames, or have no one action."""
    scalar = tfds.features.Scalar(np.int64)
    image = tfds.features.Image(shape=(6, 5, 3))

    def write(name, features, row):
        prepare(data_dir, name, features, {"train": [row] * 3})

    def write_steps(name, features, step):
        steps = tfds.features.Dataset(features)
        write(name, {"steps": steps}, {"steps": [step] * 2})

    x = noise(6, 5, 3)
    write("numbers", {"value": scalar}, {"value": 3})
    write_steps("blind", {"action": scalar}, {"action": 1})
    write_steps("two_views", {"a": image, "b": image}, {"a": x, "b": x})
    write_steps("passive", {"view": image}, {"view": x})
    write_steps("bare", image, x)
    both = {"arm": scalar, "leg": scalar}
    write_steps(
        "robot",
        {"image": image, "mask": image, "action": both},
        {"image": x, "mask": 255 - x, "action": {"arm": 1, "leg": 2}},
    )
    lab = {
        "image": tfds.features.Image(shape=(360, 480, 3)),
        "filename": tfds.features.Text(),
        "label": tfds.features.ClassLabel(num_classes=6),
    }
    rows = [
        {"image": x, "filename": f"{number}.png", "label": number % 6}
        for number, x in enumerate(noise(3, 360, 480, 3))
    ]
    prepare(data_dir, "lab", lab, {"train": rows})


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("rlds")
    features, rows = write_episodes(data_dir, "maze")
    write_broken(data_dir, features, rows)
    write_episodes(data_dir, "arm", size=2)
    write_episodes(data_dir, "grey", 1, last_action=False, key="image")
    write_others(data_dir)
    return data_dir


def opened(data_dir, name, split="train", **options):
    return data.open_episodes(
        f"tfds:{name}", split, str(data_dir), progress=False, **options
    )


def test_frames_and_actions_are_those_written(shared_dir):
    episodes = opened(shared_dir, "maze")
    assert episodes.name == "tfds:maze (train)"
    assert episodes.lengths.tolist() == LENGTHS["train"]
    assert episodes.values.dtype == np.uint8
    assert (episodes.values == np.concatenate(frames("train"))).all()
    expected = np.concatenate(actions("train"))
    assert episodes.actions.dtype == np.int64
    assert episodes.actions.tolist() == expected.tolist()
    taken = [a[:-1] for a in actions("train")]
    assert episodes.num_actions == np.concatenate(taken).max() + 1


def test_the_frames_last_action_is_the_action_of_its_clip(shared_dir):
    builder = tfds.builder("maze", data_dir=shared_dir)
    last_action = {}  # as tfds itself reads it, by the number in the frame
    for episode in builder.as_dataset(split="train"):
        for step in episode["steps"].as_numpy_iterator():
            seen = step["observation"]
            number = int(seen["pixels"][0, 0, 0])
            last_action[number] = int(seen["last_action"])
    assert len(last_action) == 13
    episodes = opened(shared_dir, "maze")
    seen = set()
    for x, context in data.clip_batches(episodes, 1, 9).take(3):
        numbers = x.numpy()[:, 0, 0, 0].tolist()
        expected = [last_action[number] for number in numbers]
        assert context["action"].numpy().tolist() == expected
        past = context["past"].numpy()[:, 0, 0, 0, 0]
        assert (past + 1).tolist() == numbers
        seen |= set(numbers)
    assert seen == {1, 2, 3, 6, 7, 8, 9, 11, 12}  # 0, 4, 5, 10 are first


def test_continuous_actions(shared_dir):
    episodes = opened(shared_dir, "arm")
    expected = np.concatenate(actions("train", 2))
    assert episodes.actions.dtype == np.float32
    assert episodes.actions.tolist() == expected.tolist()
    assert episodes.num_actions is None
    for x, context in data.clip_batches(episodes, 2, 3).take(2):
        before = x.numpy()[:, 0, 0, 0] - 1
        assert context["action"].numpy().tolist() == expected[before].tolist()


def test_grey_pictures_without_last_action(shared_dir):
    episodes = opened(shared_dir, "grey")
    expected = np.concatenate(frames("train", 1))
    assert episodes.values.shape == (13, 6, 5, 3)
    assert (episodes.values == expected).all()  # the same in all channels
    expected_actions = np.concatenate(actions("train"))
    assert episodes.actions.tolist() == expected_actions.tolist()
    grey = opened(shared_dir, "grey", channels=1)
    assert (grey.values == expected).all()
    assert grey.values.shape == (13, 6, 5, 1)


@pytest.mark.parametrize("name", ["passive", "robot"])
def test_sets_without_one_action(shared_dir, name):
    episodes = opened(shared_dir, name)
    assert episodes.actions is None and episodes.num_actions is None
    assert episodes.lengths.tolist() == [2, 2, 2]
    assert (episodes.values == noise(6, 5, 3)).all()  # the image, not the mask


@pytest.mark.parametrize(
    "split, chosen",
    [
        ("train[1:3]", slice(1, 3)),
        ("train[2:]", slice(2, 4)),
        ("train[:50%]", slice(0, 2)),
        ("train[-1:]", slice(3, 4)),
        ("train[1:99]", slice(1, 4)),  # as in Python
        ("train[-3:1_000]", slice(1, 4)),
    ],
)
def test_slices_are_of_episodes(shared_dir, split, chosen):
    episodes = opened(shared_dir, "maze", split)
    assert episodes.lengths.tolist() == LENGTHS["train"][chosen]
    expected = np.concatenate(frames("train")[chosen])
    assert (episodes.values == expected).all()
    expected = np.concatenate(actions("train")[chosen])
    assert episodes.actions.tolist() == expected.tolist()


def test_the_log_tells_of_a_slice_that_is_shorter(shared_dir, caplog):
    opened(shared_dir, "maze", "train[:3]")
    opened(shared_dir, "maze", "all")
    assert "train" not in caplog.text
    opened(shared_dir, "maze", "train[1:99]")
    assert "tfds:maze: train[1:99] is train[1:4]." in caplog.text


def test_all_splits(shared_dir):
    episodes = opened(shared_dir, "maze", "all")
    assert episodes.lengths.tolist() == LENGTHS["train"] + LENGTHS["test"]
    expected = np.concatenate(frames("train") + frames("test"))
    assert (episodes.values == expected).all()


def test_open_images_gives_the_frames_in_order(shared_dir):
    images = data.open_images("tfds:maze", "train", shared_dir, progress=False)
    assert images.num_examples == 13 and images.shape == (6, 5, 3)
    assert images.class_names is None
    found = [e["image"] for e in images.dataset().as_numpy_iterator()]
    assert (np.stack(found) == opened(shared_dir, "maze").values).all()


def test_a_set_of_single_pictures_opens_as_single_frames(shared_dir):
    images = data.open_images("tfds:lab", "train", shared_dir, progress=False)
    assert images.shape == (360, 480, 3) and images.num_classes == 6
    found = list(images.dataset().as_numpy_iterator())
    expected = noise(3, 360, 480, 3)
    assert (np.stack([e["image"] for e in found]) == expected).all()
    assert [e["label"] for e in found] == [0, 1, 2]
    message = r"RLDS, with `steps`\).*'tfds:lab' with.*\['filename', 'image', "
    with pytest.raises(ValueError, match=message):
        opened(shared_dir, "lab")


FAULTS = {
    "misses_first": r"must have one first step: is_first is .* \[\], exp",
    "misses_middle": "lacks a step: the action of step 1 .* step 2, as do 1 ",
    "misses_last": r"must have one last step: is_last .* \[\], exp.* \[3\]",
}


@pytest.mark.parametrize("name, message", FAULTS.items())
def test_a_missing_step_is_refused(shared_dir, name, message):
    message = rf"^Episode 2 of tfds:{name} \(train\) {message}"
    with pytest.raises(ValueError, match=message) as raised:
        opened(shared_dir, name)
    text = str(raised.value)
    assert text.count("Episode") == 1 and "on_corrupt" in text
    assert len(text) < 400
    with pytest.raises(ValueError, match=message):
        data.open_images(f"tfds:{name}", "train", shared_dir, progress=False)


@pytest.mark.parametrize("name, message", FAULTS.items())
def test_an_episode_with_a_missing_step_is_left_out(
    shared_dir, name, message, caplog
):
    episodes = opened(shared_dir, name, on_corrupt="skip")
    assert episodes.lengths.tolist() == [4, 1, 3]
    expected = [frames("train")[number] for number in (0, 1, 3)]
    assert (episodes.values == np.concatenate(expected)).all()
    expected = [actions("train")[number] for number in (0, 1, 3)]
    assert episodes.actions.tolist() == np.concatenate(expected).tolist()
    skipped = [m for m in caplog.messages if m.startswith("Skipped")]
    assert len(skipped) == 1 and "Episode 2" in skipped[0]


def test_an_episode_without_steps(shared_dir, caplog):
    with pytest.raises(ValueError, match="Episode 2 of .*cannot be read"):
        opened(shared_dir, "one_is_empty")
    episodes = opened(shared_dir, "one_is_empty", on_corrupt="skip")
    assert episodes.lengths.tolist() == [4, 1]
    assert "Skipped: Episode 2" in caplog.text


def test_nothing_is_left(shared_dir):
    with pytest.raises(ValueError, match="At least one whole episode.*none"):
        opened(shared_dir, "all_broken", on_corrupt="skip")


def test_a_bad_picture(tmp_path, caplog):
    features = rlds_features(3, None, True, "pixels")
    rows = [
        steps_of(x, a, True, "pixels")
        for x, a in zip(frames("train"), actions("train"))
    ]
    rows[2][1]["observation"]["pixels"] = io.BytesIO(b"no picture")
    rows = [{"steps": steps, "episode_id": 0} for steps in rows]
    prepare(tmp_path, "damaged", features, {"train": rows})
    with pytest.raises(ValueError, match="Episode 2 of .*cannot be read: "):
        opened(tmp_path, "damaged")
    episodes = opened(tmp_path, "damaged", on_corrupt="skip")
    assert episodes.lengths.tolist() == [4, 1, 3]
    assert "Skipped: Episode 2" in caplog.text


@pytest.mark.parametrize(
    "damage, fault",
    [
        (lambda content: content[:-1] + b"?", "corrupted"),  # the checksum
        (lambda content: content[:-20], "truncated"),
    ],
)
def test_damaged_files(tmp_path, damage, fault):
    write_episodes(tmp_path, "hit")
    (path,) = tmp_path.glob("hit/1.0.0/hit-train.*-00001-*")
    path.write_bytes(damage(path.read_bytes()))
    message = rf"again\. Received: tfds:hit \(train\), {fault} record at \d+\.$"
    for on_corrupt in ("error", "skip"):
        with pytest.raises(ValueError, match=message):
            opened(tmp_path, "hit", on_corrupt=on_corrupt)


FRAME = 6 * 5 * 3


@pytest.mark.parametrize(
    "split, kept, fit",
    [
        ("train", 9, "first 2 of its 4"),
        ("train", 4, "first 1 of its 4"),
        ("train", 3, "first 0 of its 4"),
        ("test", 2, "first 1 of its 2"),
        ("train[2:]", 7, "first 1 of its 2"),
    ],
)
def test_more_than_cache_bytes(shared_dir, split, kept, fit):
    message = f"frames of tfds:maze .* need about .* MiB, .*{fit} episodes fit"
    for open_set in (data.open_episodes, data.open_images):
        with pytest.raises(ValueError, match=message):
            open_set(
                "tfds:maze",
                split,
                shared_dir,
                progress=False,
                cache_bytes=kept * FRAME,
            )


def test_exactly_cache_bytes(shared_dir):
    episodes = opened(shared_dir, "maze", "test", cache_bytes=5 * FRAME)
    assert len(episodes.values) == 5


@pytest.mark.parametrize(
    "source, split, error, message",
    [
        ("maze", "train", ValueError, "must be \"tfds:NAME\".*'maze'"),
        ("folder:x", "train", ValueError, "must be .*'folder:x'"),
        ("tfds:", "train", ValueError, "must be .*'tfds:'"),
        ("tfds:maze", "dev", ValueError, "'train': 4, 'test': 2.*'dev'"),
        ("tfds:maze", "train[9:]", ValueError, "no examples for this split"),
        ("tfds:numbers", "train", ValueError, r"(?s)RLDS.*\['value'\]"),
        ("tfds:bare", "train", ValueError, "RLDS"),
        (
            "tfds:blind",
            "train",
            ValueError,
            r"one uint8 picture per step.*\[\]",
        ),
        ("tfds:two_views", "train", ValueError, r"per step.*\['a', 'b'\]"),
        ("tfds:unheard_of", "train", ValueError, "has no data set.*unheard"),
        ("tfds:mnist", "train", FileNotFoundError, "not prepared: .*download"),
    ],
)
def test_what_cannot_be_opened(shared_dir, source, split, error, message):
    with pytest.raises(error, match=message) as raised:
        data.open_episodes(source, split, shared_dir, progress=False)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("open_set", [data.open_episodes, data.open_images])
@pytest.mark.parametrize(
    "option, message",
    [
        ({"on_corrupt": "x"}, 'on_corrupt must be "error" or "skip".*\'x\''),
        ({"channels": 2}, "channels must be 1 or 3. Received: 2"),
    ],
)
def test_bad_options(shared_dir, open_set, option, message):
    with pytest.raises(ValueError, match=message):
        open_set("tfds:maze", "train", shared_dir, progress=False, **option)


@pytest.mark.skipif(
    not TFDS_DATA_DIR or not os.path.isdir(f"{TFDS_DATA_DIR}/dmlab_episodes"),
    reason="TFDS_DATA_DIR holds no dmlab_episodes",
)
def test_real_episodes():
    episodes = opened(TFDS_DATA_DIR, "dmlab_episodes", "test[:2]")
    assert episodes.values.shape == (256, 84, 84, 3)
    assert episodes.values.dtype == np.uint8
    assert set(episodes.actions.tolist()) <= set(range(9))
    assert episodes.lengths.tolist() == [128, 128]
    assert episodes.values.std() > 10
