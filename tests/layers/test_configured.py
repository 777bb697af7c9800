import keras
import tensorflow as tf

from vqvae_tf.layers.configured import Configured
from vqvae_tf.runtime.step import StepModel


class Affine(Configured):
    def __init__(self, scale, shift=0.0, hint="unused", **kwargs):
        super().__init__(**kwargs)
        self.scale, self.shift = scale, shift


class Offset(Affine):
    def __init__(self, *args, offset=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.offset = offset


class Holder(Configured, StepModel):
    parts = ("part",)

    def __init__(self, part, size, **kwargs):
        super().__init__(**kwargs)
        self.part, self.size = part, size


def test_config_has_the_arguments_of_all_constructors():
    config = Offset(2.0, offset=3, name="x").get_config()
    own = {"scale": 2.0, "shift": 0.0, "offset": 3, "name": "x"}
    assert config == {**config, **own} and "hint" not in config
    assert Offset.from_config(config).get_config() == config


def test_an_override_decides():
    class Named(Affine):
        def get_config(self):
            return {**super().get_config(), "scale": "two"}

    assert Named(2.0).get_config()["scale"] == "two"


def test_parts_of_models_stay_serialized():
    config = Holder(keras.layers.ReLU(), size=2).get_config()
    assert config["part"]["class_name"] == "ReLU"
    copy = Holder.from_config(config)
    assert isinstance(copy.part, keras.layers.ReLU) and copy.size == 2
    assert tf.reduce_sum(copy.part(tf.constant([-1.0, 2.0]))) == 2.0
