"""Progress bars, and Keras' verbosity."""

import pytest
import tqdm

from vqvae_tf.utils import progress


def test_a_bar_goes_through_all_items():
    for shown in (True, False):
        assert list(progress.bar([1, 2, 3], shown)) == [1, 2, 3]
    bar = progress.bar([1])
    assert isinstance(bar, tqdm.tqdm)
    assert bar.disable  # stderr is no terminal here


@pytest.mark.parametrize(
    "chief, terminal, expected",
    [(True, True, 1), (True, False, 2), (False, True, 0)],
)
def test_verbosity(chief, terminal, expected, monkeypatch):
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: terminal)
    assert progress.verbosity(chief) == expected
