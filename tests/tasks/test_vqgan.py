"""Recipes of VQGANs: trained, stopped, published, drawn, exported."""

import numpy as np
import pytest
import tensorflow as tf

from support import small
from support.command_line import refused, run
from vqvae_tf import VQGAN, presets, recipes
from vqvae_tf.tasks import publish, run as training
from vqvae_tf.training import fitting
from vqvae_tf.training.history import read_history


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vqgan")
    small.write_data(path)
    return path


@pytest.fixture(scope="module")
def trained(folder):
    model = training.train(
        recipes.check_recipe(small.vqgan_recipe()),
        folder / "whole",
        str(folder),
    )
    return model


def test_the_model_of_a_recipe(trained):
    assert isinstance(trained, VQGAN)
    assert trained.adversarial_start == 2 and trained.squared_weight == 0.5
    rates = [optimizer.learning_rate for optimizer, _ in trained.optimized()]
    np.testing.assert_array_equal(*rates)
    assert trained.optimizer.use_ema
    assert not trained.discriminator_optimizer.use_ema
    assert trained.optimizer.beta_1 == 0.5


def test_a_stopped_run_goes_on_to_the_same_result(trained, folder, monkeypatch):
    keep = fitting.Keeper.on_train_batch_end
    config = recipes.check_recipe(small.vqgan_recipe())

    def stop(self, batch, logs=None):
        keep(self, batch, logs)
        if self.step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fitting.Keeper, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(config, folder / "stopped", str(folder))
    again = training.train(config, folder / "stopped", str(folder))
    for a, b in zip(again.variables, trained.variables):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    for (one, _), (other, _) in zip(again.optimized(), trained.optimized()):
        for a, b in zip(one.variables, other.variables):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
    rows = [
        read_history(folder / name / "logs/autoencoder/history.jsonl")
        for name in ("whole", "stopped")
    ]
    assert rows[0] == rows[1]
    assert rows[0][0]["adversarial_weight"] != rows[0][-1]["adversarial_weight"]


def test_figures_card_and_preset(trained, folder):
    config = recipes.check_recipe(small.vqgan_recipe())
    publish.publish(config, trained, folder / "preset", str(folder))
    metadata = presets.verify(folder / "preset")
    assert metadata["class"] == "VQGAN"
    text = (folder / "preset" / "README.md").read_text()
    assert "A VQGAN of 16x16 pictures with K=8 codes" in text
    assert "from vqvae_tf import VQGAN" in text
    figures = metadata["metrics"]
    x = small.pictures(12)[8:]
    model = VQGAN.from_preset(folder / "preset")
    y = model.reconstruct(x).numpy().astype(np.float64)
    mse = ((y - x) ** 2).mean((1, 2, 3))
    psnr = 10 * np.log10(255**2 / mse.mean())
    assert figures["psnr"] == pytest.approx(psnr, rel=1e-4)


def test_sample_on_a_canvas_and_export(trained, folder, tmp_path, capsys):
    from vqvae_tf import LatentGenerator

    prior = small.prior(event_shape=(8, 8))
    prior.build()
    generator = LatentGenerator(trained, prior)
    generator.save_to_preset(tmp_path / "preset")
    output = tmp_path / "wide.png"
    words = ["sample", tmp_path / "preset", f"--output={output}", "--num=2"]
    assert run(*words, "--canvas=16,32") == 0
    assert output.exists()
    capsys.readouterr()
    error = refused(capsys, *words, "--canvas=16,33")
    assert "--canvas must be multiples of 2" in error
    error = refused(capsys, *words, "--canvas=8,32")
    assert "at least the model's 16,16" in error
    assert run("export", tmp_path / "preset", tmp_path / "served") == 0
    served = tf.saved_model.load(str(tmp_path / "served" / "1"))
    x = small.pictures(2)
    found = served.signatures["encode"](tf.constant(x))
    np.testing.assert_array_equal(next(iter(found.values())), trained.encode(x))


def test_recipes_that_do_not_fit():
    config = small.vqgan_recipe()
    config.bottleneck.name = "Identity"
    with pytest.raises(ValueError, match="A VQGAN has codes"):
        recipes.check_recipe(config)
    config = small.recipe()
    config.adversarial.pixel_weight = 0.5
    with pytest.raises(ValueError, match="adversarial.pixel_weight is for a"):
        recipes.check_recipe(config)
    config = small.vqgan_recipe()
    config.adversarial.adversarial_loss = "wgan"
    with pytest.raises(ValueError, match="must be one of 'hinge'"):
        recipes.check_recipe(config)


def test_a_network_that_is_not_there_leaves_no_run(folder, tmp_path):
    config = small.vqgan_recipe()
    config.perceptual = dict(
        name="PerceptualDistance", network=str(tmp_path / "none")
    )
    with pytest.raises(presets.PresetError):
        training.train(
            recipes.check_recipe(config), tmp_path / "work", str(folder)
        )
    assert not list(tmp_path.glob("work/*"))


def test_the_small_variant_has_both_players_from_the_start():
    for name in ("vqgan_grocery128", "vqgan_imagenet_f16"):
        config = recipes.load_recipe(f"{name}:small").adversarial
        assert config.adversarial_start == config.adversarial_ramp == 0
        assert config.discriminator_start == 0
