"""Two logical CPU devices for all tests, and what keeps the fast ones fast."""

import functools
import gc
import os
import pathlib
import random
import signal
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import hypothesis  # noqa: E402
import keras  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402
from _pytest import runner  # noqa: E402
from tensorflow.python.eager import context  # noqa: E402
from tensorflow.python.util import tf_stack  # noqa: E402

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell leaves it to what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TESTS = pathlib.Path(__file__).parent
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration()] * 2
)
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many workers as cores: more threads would only wait for each other.
    tf.config.threading.set_intra_op_parallelism_threads(1)

# Tracing makes many objects. To look for garbage among all of them, as often as
# Python does, took 5 to 15 % of the time of those tests where it was measured.
gc.set_threshold(500_000, 10, 10)


# The state of TensorFlow's seeds before any of its random operations.
_UNUSED = random.Random(0).getstate()

# A busy machine is slow, which is no fault.
hypothesis.settings.register_profile(
    "no time limits",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# The suite tries the same inputs each time: only a change makes it fail.
# `make test-slow`, and a test that is run by itself, try others.
hypothesis.settings.register_profile(
    "the same inputs",
    hypothesis.settings.get_profile("no time limits"),
    derandomize=True,
)
hypothesis.settings.load_profile("no time limits")


def _with_room(function, *arguments):
    return function(*arguments)


# Python keeps frames in chunks of 16 kB, and maps and unmaps memory at each
# call that crosses from one to the next. Some of TensorFlow's innermost calls
# always do, which took 10 % of the time. This frame asks for a chunk in which
# all deeper ones find room.
_with_room.__code__ = _with_room.__code__.replace(co_stacksize=2**17)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    return _with_room(runner.pytest_runtest_protocol, item, nextitem)


@pytest.fixture(autouse=True, scope="module")
def _no_garbage_from_module_to_module():
    yield
    keras.utils.set_random_seed(0)  # makes TensorFlow forget its kernels
    gc.collect()
    gc.freeze()  # what is left stays


def pytest_configure(config):
    if config.option.markexpr == "not slow":
        hypothesis.settings.load_profile("the same inputs")
        # To optimise a graph takes longer than it saves where it runs once or
        # twice. The slow tests do, and the processes that others start.
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": True}
        )
        # Each operation of a graph keeps the Python stack that made it, deep
        # under pytest, for messages of errors: 6 % of the time.
        tf_stack.extract_stack = functools.cache(tf_stack.extract_stack)
        flags = "--xla_backend_optimization_level=0"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"


# They come first, the longest of all before the others: a worker that begins
# one of them last keeps the other one waiting (--no-loadscope-reorder).
_LONG = (
    "commands/test_pictures.py",
    "tasks/speech/test_training.py",
    "models/test_vqvae.py",
    "utils/test_folders.py",
    "runtime/test_strategies.py",
    "training/test_resume.py",
    "presets/test_outputs.py",
    "models/test_speech_vqvae.py",
    "tasks/test_training.py",
    "quantizers/test_vector_quantizer.py",
    "test_readme.py",
    "training/test_faults.py",
)


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.relative_to(_TESTS).as_posix()
        return _LONG.index(name) if name in _LONG else len(_LONG)

    items.sort(key=place)


@pytest.fixture(autouse=True, scope="session")
def _plain_processor():
    """Has "auto" become float32, whatever this machine could do."""
    from vqvae_tf.runtime import dtype_policies

    dtype_policies._CPU_INFO = pathlib.Path(os.devnull)


@pytest.fixture(autouse=True)
def _same_seed():
    seeds = getattr(context.context(), "_rng", None)
    if seeds is None or seeds.getstate() != _UNUSED:
        keras.utils.set_random_seed(0)
        return
    # TensorFlow's seed is as it was set before, and none of its random
    # operations was called since. To set it again makes it forget all kernels,
    # and graphs made ready to run, which take a twentieth of a second to make.
    with mock.patch.object(tf.random, "set_seed"):
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _float32_afterwards():
    yield
    keras.config.set_dtype_policy("float32")
