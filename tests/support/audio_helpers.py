"""Small recordings for the tests of folders of audio files."""

import numpy as np

from vqvae_tf import data


def tone(time=1000, rate=8000, hertz=300, peak=0.5):
    return peak * np.sin(2 * np.pi * hertz * np.arange(time) / rate)


def write(path, samples, rate=8000, subtype="PCM_16"):
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def opened(data_dir, source="folder", split="train", rate=8000, **options):
    return data.open_audio(
        source, split, rate, str(data_dir), progress=False, **options
    )


def examples(audio):
    return list(audio.dataset().as_numpy_iterator())
