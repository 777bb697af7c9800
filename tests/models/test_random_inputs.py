"""5,000 random inputs: an answer without NaN, or an error that explains.

VQVAE_TF_RANDOM_INPUTS is the seed, 0 by default.
"""

import pytest

from support import file_subjects, odd_inputs, subjects

COUNTS = {
    subjects.quantizers: 1000,
    subjects.likelihoods: 1000,
    subjects.priors: 600,
    subjects.pictures: 500,
    subjects.clips: 200,
    subjects.recordings: 200,
    file_subjects.picture_files: 400,
    file_subjects.recording_files: 200,
    file_subjects.npz_files: 300,
    file_subjects.preset_folders: 300,
    file_subjects.flags: 300,
}
assert sum(COUNTS.values()) == 5000


@pytest.mark.slow
@pytest.mark.parametrize("subject", COUNTS, ids=lambda f: f.__name__)
def test_random_inputs_are_answered_or_refused_with_a_reason(
    subject, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with capsys.disabled():
        print()
        odd_inputs.run(subject.__name__, subject, COUNTS[subject])
