"""Pictures to codes and back, from the command line."""

import numpy as np
from PIL import Image

from support import small, tfds_sets
from support.command_line import refused, run
from vqvae_tf import VQVAE, presets
from vqvae_tf.commands import table as cli


def test_encode_and_decode(zoo, tmp_path):
    assert run("encode", zoo, zoo / "photos", tmp_path / "c.npz") == 0
    with np.load(tmp_path / "c.npz") as arrays:
        codes, names = arrays["codes"], arrays["names"]
    assert codes.shape == (3, 4, 4)
    assert list(names) == ["p0.png", "p1.png", "p2.png"]
    assert run("decode", zoo, tmp_path / "c.npz", tmp_path / "out") == 0
    model = presets.load(zoo)
    for i, picture in enumerate(model.decode(codes).numpy()):
        written = small.read_picture(tmp_path / "out" / f"p{i}.png")
        np.testing.assert_array_equal(written, picture)
    assert run("decode", zoo, tmp_path / "c.npz", tmp_path / "o.npz") == 0
    with np.load(tmp_path / "o.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], model.decode(codes))


def test_encode_npz(zoo, tmp_path):
    images = small.pictures(5)
    np.savez(tmp_path / "x.npz", images=images)
    assert run("encode", zoo, tmp_path / "x.npz", tmp_path / "c.npz") == 0
    with np.load(tmp_path / "c.npz") as arrays:
        expected = presets.load(zoo).encode(images)
        np.testing.assert_array_equal(arrays["codes"], expected)


def test_encode_and_decode_a_data_set(zoo, plain, tmp_path, capsys):
    words = ["encode", zoo, "npz:small.npz", tmp_path / "codes"]
    words += ["--num_shards=2", "--split=test", f"--data_dir={zoo}"]
    assert run(*words) == 0
    assert "codes of 4 pictures" in capsys.readouterr().out
    assert run(*words) == 0
    assert "0 shards made, 2 were there" in capsys.readouterr().out
    out = tmp_path / "out"
    assert run("decode", zoo, tmp_path / "codes", out) == 0
    model = presets.load(zoo)
    pictures = model.reconstruct(small.pictures(12)[8:]).numpy()
    for i, picture in enumerate(pictures):
        written = small.read_picture(out / "test" / f"{i}.png")
        np.testing.assert_array_equal(written, picture)
    some = ["decode", zoo, tmp_path / "codes", tmp_path / "two"]
    assert run(*some, "--split=test[1:3]") == 0
    written = sorted(p.name for p in (tmp_path / "two").rglob("*.png"))
    assert written == ["1.png", "2.png"]
    error = refused(capsys, "decode", plain, tmp_path / "codes", out)
    assert "with the model that made them" in error
    npz = tmp_path / "x.npz"
    error = refused(capsys, "decode", zoo, tmp_path / "codes", npz)
    assert "are written to a folder" in error


def test_decode_says_what_it_cannot_take(zoo, tmp_path, capsys):
    np.savez(tmp_path / "c.npz", codes=np.zeros([1, 4, 4], np.int32))
    words = ["decode", zoo, tmp_path / "c.npz", tmp_path / "out"]
    error = refused(capsys, *words, "--split=train")
    assert "--split is for data sets of codes" in error
    assert not (tmp_path / "out").exists()
    assert run(*words) == 0
    # A data set of tfds, but of pictures.
    features = {"image": tfds_sets.tfds.features.Image(shape=(None, None, 3))}
    rows = [{"image": picture} for picture in small.pictures(2)]
    tfds_sets.prepare(tmp_path, "album", features, {"train": rows})
    album = tmp_path / "album" / "1.0.0"
    error = refused(capsys, "decode", zoo, album, tmp_path / "out")
    assert "Expected a folder written by `vqvae-tf encode`. Received:" in error


def test_out_of_memory_names_the_flag_of_encode():
    message = cli.explain(MemoryError("too much"))
    assert "Encoding: use a smaller --batch_size" in message


def test_reconstruct(zoo, tmp_path, capsys):
    photo = zoo / "photos" / "p1.png"
    assert run("reconstruct", zoo, photo, f"--output={tmp_path}") == 0
    sheet = small.read_picture(tmp_path / "p1.png")
    assert sheet.shape == (2 * 18 + 2, 16 + 4, 3)
    assert "p1.png: " in capsys.readouterr().out
    arguments = [photo, f"--output={tmp_path}", "--size=native"]
    assert run("reconstruct", zoo, *arguments) == 0
    sheet = small.read_picture(tmp_path / "p1.png")
    assert sheet.shape == (2 * 22 + 2, 20 + 4, 3)


def test_folders_inside_folders_are_kept(zoo, albums, tmp_path):
    codes, out = tmp_path / "c.npz", tmp_path / "out"
    assert run("encode", zoo, albums, codes) == 0
    with np.load(codes) as arrays:
        assert list(arrays["names"]) == ["a/1.png", "b/1.png"]
    assert run("decode", zoo, codes, out / "decoded") == 0
    assert run("reconstruct", zoo, albums, f"--output={out / 'pairs'}") == 0
    written = {str(p.relative_to(out)) for p in out.rglob("*.png")}
    assert written == {
        "decoded/a/1.png",
        "decoded/b/1.png",
        "pairs/a/1.png",
        "pairs/b/1.png",
    }


def test_preset_without_data(plain, zoo, tmp_path):
    codes, photos = tmp_path / "c.npz", zoo / "photos"
    assert run("encode", plain, photos, codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (3, 4, 4)
    assert run("reconstruct", plain, photos, f"--output={tmp_path}") == 0
    assert small.read_picture(tmp_path / "p1.png").shape == (38, 20, 3)


def test_preset_of_any_size(plain, albums, tmp_path):
    parts = presets.load(plain)
    model = VQVAE(parts.encoder, parts.quantizer, parts.decoder)
    model.save_to_preset(tmp_path / "open")
    codes = tmp_path / "c.npz"
    assert run("encode", tmp_path / "open", albums, codes) == 0
    with np.load(codes) as arrays:
        assert arrays["codes"].shape == (2, 16 // 4, 20 // 4)
    images = small.pictures(2, 18)
    np.savez(tmp_path / "x.npz", images=images)
    assert run("encode", tmp_path / "open", tmp_path / "x.npz", codes) == 0
    with np.load(codes) as arrays:
        expected = model.encode(images[:, 1:17, 1:17])
        np.testing.assert_array_equal(arrays["codes"], expected)


def test_sample(zoo, tmp_path):
    sheets = []
    for i, extra in enumerate(([], [], ["--seed=7"], ["--label=1"])):
        path = tmp_path / f"{i}.png"
        assert run("sample", zoo, f"--output={path}", "--num=4", *extra) == 0
        sheets.append(small.read_picture(path))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


def test_corrupt_picture(zoo, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "bad.jpg").write_bytes(b"no picture")
    Image.fromarray(small.pictures(1)[0]).save(folder / "good.png")
    target = tmp_path / "c.npz"
    error = refused(capsys, "encode", zoo, folder, target)
    assert "bad.jpg" in error and error.endswith("use --on_corrupt=skip.")
    assert not target.exists()
    assert run("encode", zoo, folder, target, "--on_corrupt=skip") == 0
    with np.load(target) as arrays:
        assert arrays["codes"].shape == (1, 4, 4)


def test_files_of_one_name(zoo, albums, tmp_path, capsys):
    files, out = [albums / "a" / "1.png", albums / "b" / "1.png"], tmp_path
    error = refused(capsys, "reconstruct", zoo, *files, f"--output={out}")
    assert f"{files[0]} and {files[1]} would both be written to 1.png" in error
    assert not (tmp_path / "1.png").exists()


def test_reconstruction_beside_its_picture(zoo, albums, capsys):
    path = albums / "a" / "1.png"
    before = path.read_bytes()
    error = refused(capsys, "reconstruct", zoo, albums, f"--output={albums}")
    assert f"the input {albums}." in error
    assert path.read_bytes() == before


def test_endings_in_capitals(zoo, film, tmp_path):
    given, codes = tmp_path / "X.NPZ", tmp_path / "C.NPZ"
    with open(given, "wb") as file:
        np.savez(file, images=small.pictures(2))
    assert run("encode", zoo, given, codes) == 0
    assert run("decode", zoo, codes, tmp_path / "IMAGES.NPZ") == 0
    with np.load(tmp_path / "IMAGES.NPZ") as arrays:
        assert arrays["images"].shape == (2, 16, 16, 3)
    assert run("encode", zoo, given, tmp_path / "folder") == 0
    clip, output = film / "clip.npz", tmp_path / "FILM.GIF"
    assert run("rollout", film, clip, f"--output={output}") == 0
    with Image.open(output) as animation:
        assert animation.n_frames == 5


def test_npz_with_too_few_names(zoo, tmp_path, capsys):
    codes = np.zeros([2, 4, 4], np.int32)
    np.savez(tmp_path / "c.npz", codes=codes, names=["a"])
    error = refused(capsys, "decode", zoo, tmp_path / "c.npz", tmp_path / "o")
    assert "Received: 1 and 2" in error


def test_label_out_of_range(zoo, capsys, tmp_path):
    error = refused(
        capsys, "sample", zoo, "--label=2", f"--output={tmp_path / 'a.png'}"
    )
    assert "--label must be in 0..1" in error


def test_endings_of_outputs(zoo, tmp_path, capsys):
    photos, target = zoo / "photos", tmp_path / "codes.npz"
    error = refused(capsys, "encode", zoo, photos, target, "--num_shards=2")
    assert "--num_shards is for data sets" in error
    photo = photos / "p1.png"
    error = refused(capsys, "encode", zoo, photo, tmp_path / "codes")
    assert 'Expected "tfds:NAME", a folder of pictures or an npz' in error
    error = refused(capsys, "sample", zoo, f"--output={tmp_path / 'dir'}")
    assert "must be a picture file (.jpg, " in error
