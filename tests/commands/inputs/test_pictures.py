"""Which pictures a command reads, of what size, and what it names them."""

import numpy as np
import pytest
from PIL import Image

from support import small
from vqvae_tf.commands.inputs import pictures as picture_inputs
from vqvae_tf.commands.inputs.pictures import PictureFormat
from vqvae_tf.samples.photos import sample_pictures


def names(*inputs):
    return [name for _, name in picture_inputs.list_inputs(inputs)]


def test_folder_gives_its_pictures_alone():
    folder = sample_pictures()[0].parent
    assert names(folder) == [path.name for path in sample_pictures()]


def test_file_is_named_by_itself():
    path = sample_pictures()[0]
    assert picture_inputs.list_inputs([path]) == [(path, path.name)]


def test_missing_and_empty_inputs(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder .*none"):
        names(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(FileNotFoundError, match="no picture .*in or below"):
        names(tmp_path)


def outputs(*received):
    rows = [(f"in/{name}", name) for name in received]
    return list(picture_inputs.output_names(rows).values())


def test_output_names_keep_folders_and_dots():
    received = ["a/1.jpg", "b/1.JPG", "scan.001", "scan.002", "3"]
    expected = ["a/1", "b/1", "scan.001", "scan.002", "3"]
    assert outputs(*received) == [f"{name}.png" for name in expected]


def test_output_names_that_meet_are_refused():
    with pytest.raises(ValueError, match="in/1.jpg and in/1.png would both"):
        outputs("1.jpg", "1.png")


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png"])
def test_output_names_outside_are_refused(name):
    with pytest.raises(ValueError, match="must be relative paths"):
        outputs("a.png", name)


@pytest.mark.parametrize("name", ["", ".", "a/...", "a\0b"])
def test_output_names_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="must not be empty"):
        outputs("a.png", name)


def test_a_link_to_nothing_is_told_before_the_others_are_read(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").symlink_to("none")
    inputs = picture_inputs.list_inputs([tmp_path])
    with pytest.raises(ValueError, match="b.png is a link to nothing. Repair"):
        picture_inputs.check_links(inputs)
    picture_inputs.check_links(inputs, "skip")


def test_format_crops_the_centre():
    images = np.arange(2 * 7 * 9 * 3).reshape(2, 7, 9, 3)
    fitted = PictureFormat(None, stride=4).fit(images)
    np.testing.assert_array_equal(fitted, images[:, 1:5, :8])
    assert PictureFormat(16, stride=4).fit(images) is images
    with pytest.raises(ValueError, match="at least 8x8"):
        PictureFormat(None, stride=8).fit(images)


def test_format_of_a_model():
    model = small.generator()
    form = picture_inputs.picture_format
    assert form(model, {}) == PictureFormat(16, 3, 4)
    assert form(model, {"data": {"image_size": 24}}).size == 24
    assert form(model, {"data": "photos of mine"}).size == 16
    model.autoencoder.event_shape = (None, None, 1)
    assert form(model, {}) == PictureFormat(None, 1, 4)
    model.autoencoder.event_shape = (None, 1)
    with pytest.raises(ValueError, match="takes pictures"):
        form(model, {})


def test_batches_of_different_sizes_are_refused(tmp_path):
    for size in (16, 20):
        picture = small.pictures(1, size)[0]
        Image.fromarray(picture).save(tmp_path / f"{size}.png")
    batches = picture_inputs.picture_batches(
        str(tmp_path), PictureFormat(None, stride=4), batch_size=1
    )
    with pytest.raises(ValueError, match="16.png of shape .* and 20.png"):
        list(batches)
