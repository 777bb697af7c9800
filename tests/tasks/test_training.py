"""What recipes make of codes and of video, from data to a preset."""

import re

import numpy as np
import pytest

from support import small, video as videos
from support.tfds_sets import write_clips
from vqvae_tf import (
    LatentGenerator,
    VideoGenerator,
    data,
    presets,
    recipes,
    tasks,
)
from vqvae_tf.evaluation import figures as figure_table
from vqvae_tf.evaluation.neighbour_bound import neighbour_bound
from vqvae_tf.tasks import (
    base_model,
    card as cards,
    publish as publishing,
    run as training,
)
from vqvae_tf.tasks.pictures import figures as measured, recipe as pictures
from vqvae_tf.tasks.video import recipe as video, training as video_stages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Episodes of 16x16 pictures, and a preset `base` of 4x4 codes."""
    path = tmp_path_factory.mktemp("systems")
    small.write_data(path)
    write_clips(path, "clips", small.SIZE)
    small.autoencoder().save_to_preset(
        path / "base", metadata={"data": {"image_size": small.SIZE}}
    )
    return path


def recipe_of_codes(folder):
    config = small.recipe()
    config.name = "small_global"
    config.base = str(folder / "base")
    config.preprocess.update(
        name="CodeEmbedding", num_embeddings=8, embedding_dim=4
    )
    config.encoder = recipes.defaults().encoder
    config.encoder.update(
        name="GlobalEncoder",
        grid_size=4,
        output_channels=12,
        hidden_channels=8,
    )
    config.quantizer.num_codebooks = 3
    config.decoder = recipes.defaults().decoder
    config.decoder.update(
        name="PixelCNN",
        num_embeddings=8,
        event_shape=(4, 4),
        hidden_channels=8,
        num_layers=2,
        first_kernel_size=3,
        head_channels=8,
        local_upsampling=4,
    )
    config.prior.event_shape = (1, 1)
    return config


def recipe_of_video(folder):
    config = small.recipe()
    config.name = "small_video"
    config.base = str(folder / "base")
    config.data.source = "tfds:clips"
    config.marginals.channels = 8
    config.context.update(
        name="PastFrames",
        num_embeddings=8,
        num_past=2,
        num_actions=9,
        embedding_dim=4,
        hidden_channels=8,
        num_residual_layers=1,
    )
    return config


RECIPES = {"codes": recipe_of_codes, "video": recipe_of_video}


@pytest.fixture(scope="module", params=["codes", "video"])
def run(request, folder):
    config = RECIPES[request.param](folder)
    work = folder / request.param
    model = training.train(config, work, str(folder))
    return request.param, config, model, work


def test_kind_and_class(run):
    kind, config, model, _ = run
    assert recipes.kind(config) == kind
    cls = {"codes": LatentGenerator, "video": VideoGenerator}[kind]
    assert type(model) is cls
    prior = model.prior if kind == "video" else model.prior.prior
    assert int(prior.optimizer.iterations) == 4


def test_the_base_is_left_alone(run, folder):
    _, _, model, _ = run
    base = presets.load(folder / "base")
    for a, b in zip(model.autoencoder.get_weights(), base.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_the_same_command_finds_all_done(run, folder):
    _, config, model, work = run
    again = training.train(config, work, str(folder))
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_preset(run, folder, tmp_path):
    """Whatever the frames and actions, a card shows some."""
    kind, config, model, _ = run
    preset = tmp_path / "preset"
    publishing.publish(config, model, preset, str(folder))
    metadata = presets.verify(preset)
    files = {path.name for path in preset.iterdir()}
    card = (preset / "README.md").read_text()
    shown = set(re.findall(r"!\[.*?\]\((.*?)\)", card))
    assert shown and shown <= files
    loaded = presets.load(preset)
    assert type(loaded) is type(model)
    assert f"{type(model).__name__}.from_preset" in card
    figures = tasks.measure(loaded, metadata["data"], str(folder), False)
    assert figure_table.compare(figures, metadata["metrics"]) == []
    expected = {
        "codes": {"map_bits", "infonce_bits", "global_usage"},
        "video": {"next_frame_bits", "next_frame_bits_wrong", "greedy_psnr"},
    }
    assert expected[kind] <= set(figures)


@pytest.mark.parametrize(
    "kind", [pytest.param("codes", marks=pytest.mark.slow), "video"]
)
def test_a_base_of_several_codebooks(kind, folder, tmp_path):
    videos.autoencoder("residual").save_to_preset(
        tmp_path / "base", metadata={"data": {"image_size": small.SIZE}}
    )
    config = RECIPES[kind](folder)
    config.base = str(tmp_path / "base")
    sizes = {"num_embeddings": [8, 4]}
    with config.unlocked(), config.ignore_type():
        if kind == "video":
            config.context.update(sizes)
        else:
            config.preprocess.update(sizes)
            config.decoder.update(sizes, num_codebooks=2)
    model = training.train(config, tmp_path / "run", str(folder))
    codes = model.prior if kind == "video" else model.prior.autoencoder.decoder
    assert codes.num_codes == (8, 4)
    publishing.publish(config, model, tmp_path / "preset", str(folder))
    metadata = presets.verify(tmp_path / "preset")
    assert all(np.isfinite(v) for v in metadata["metrics"].values())
    assert type(presets.load(tmp_path / "preset")) is type(model)


def test_a_base_of_other_codes_is_refused(folder, tmp_path):
    config = recipe_of_codes(folder)
    config.decoder.num_embeddings = 16
    message = "num_embeddings=8. Received: .*num_embeddings=16"
    with pytest.raises(ValueError, match=message):
        training.train(config, tmp_path / "a", str(folder))
    config = recipe_of_video(folder)
    config.prior.event_shape = (5, 5)
    with pytest.raises(ValueError, match=r"code maps of event_shape=\(4, 4\)"):
        training.train(config, tmp_path / "b", str(folder))
    assert not list(tmp_path.iterdir())


def test_a_base_of_more_codebooks_is_refused():
    message = (
        r"num_codes=\(8, 8\). Received: .*num_codes=\(8,\). A network .*"
        r"needs num_embeddings=\[8, 8\]; a density .* num_codebooks=2"
    )
    with pytest.raises(ValueError, match=message):
        base_model.check_base(small.autoencoder(2), small.prior())


def test_a_recipe_of_codes_needs_a_base(folder):
    config = recipe_of_codes(folder)
    config.base = None
    with pytest.raises(ValueError, match="needs `base`, .* base=None"):
        recipes.check_recipe(config)
    config = small.recipe()
    config.base = str(folder / "base")
    with pytest.raises(ValueError, match="needs `base`, .*ess.name=None"):
        recipes.check_recipe(config)


# Episodes that a model is not for ---------------------------------------------


def episodes(frames=None, actions=None, lengths=(6,)):
    frames = small.pictures(6) if frames is None else frames
    return data.Episodes("mine", frames, actions, lengths)


def test_suited_episodes():
    whole = np.array([4, 0, 1, 2, 3, -1])  # the last means nothing
    found = video.suited(small.video(), episodes(actions=whole))
    np.testing.assert_array_equal(found.actions, whole)
    vectors = np.ones([6, 3])
    model = small.video(num_actions=None, action_size=3)
    assert video.suited(model, episodes(actions=vectors)).action_size == 3
    model = small.video(num_actions=None)
    for actions in (whole, vectors, None):
        assert video.suited(model, episodes(actions=actions)).actions is None


@pytest.mark.parametrize(
    "given, message",
    [
        ({"actions": np.array([5, 0, 0, 0, 0, 0])}, "0..4. Received: .* 0..5"),
        ({"actions": np.array([0, -2, 0, 0, 0, 0])}, r"Received: .* -2..0"),
        ({"actions": np.ones([6, 2])}, "Received: .* vectors of 2"),
        ({}, "Received: .* no actions"),
        (
            {"frames": np.zeros([6, 20, 16, 3], np.uint8)},
            r"frames of \(16, 16, 3\). Received: .* \(20, 16, 3\)",
        ),
        ({"lengths": (2, 2, 2)}, "3 steps of a clip. Received"),
    ],
)
def test_other_episodes(given, message):
    with pytest.raises(ValueError, match=message):
        video.suited(small.video(), episodes(**given))


def test_short_episodes_are_rolled_out_to_their_end():
    model = small.video()
    actions = np.zeros(6, np.int32)
    assert video.future(model, episodes(actions=actions)) == 4
    sheet = video_stages.rollout_sheet(model, episodes(actions=actions))
    # Four clips of two rows, of which each is the same here.
    assert sheet.shape[0] // 18 == 8 and sheet.shape[1] // 18 == 4


@pytest.mark.parametrize("make", [small.autoencoder, small.generator])
def test_measure_adds_what_neighbouring_codes_do(folder, make):
    config = small.recipe()
    config.data.neighbour_pictures = 3
    description = cards.describe(config)
    model = make()
    figures = measured.measure(model, description, folder, progress=False)
    images = np.concatenate([x for x, *_ in eval_images(config, folder)])[:3]
    found = neighbour_bound(model, images)
    nats = (found["neighbours"] - found["codes"]).mean()
    expected = nats / (images[0].size * np.log(2))
    assert figures["neighbour_gain"] == pytest.approx(expected, rel=1e-4)
    assert figures["neighbour_pictures"] == 3
    if make is small.generator:
        found = neighbour_bound(model.autoencoder, images)
        nats = (found["neighbours"] - found["codes"]).mean()
        expected = nats / (images[0].size * np.log(2))
        gain = figures["neighbour_gain_uniform"]
        assert gain == pytest.approx(expected, rel=1e-4)
    rows = dict(figure_table.table(figures))
    assert rows["pictures of which neighbouring codes were added"] == "3"


def eval_images(config, folder):
    description = cards.describe(config)
    return pictures.eval_batches(description, config.data.eval_split, folder)
