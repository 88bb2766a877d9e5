"""`prepare` on a command line: what it says and how it ends."""

import numpy as np
import PIL.Image
import pytest

from dpjax import cli, config, errors
from dpjax.cli import exits
from dpjax.data import identity


@pytest.fixture
def folder(tmp_path, photo):
    root = tmp_path / "images"
    root.mkdir()
    for i in range(4):
        PIL.Image.fromarray(photo[:, 60 * i : 60 * i + 80]).save(root / f"{i}.png")
    return root


def run(*words):
    return exits.run(lambda: cli.main(["prepare", *map(str, words)]))


def test_says_where_the_records_are_and_how_to_use_them(folder, tmp_path, capsys):
    records = tmp_path / "r"
    words = ("image_folder", "--from", folder, "--name", "cats", "--dir", records)
    assert run(*words, "--split-ratio", "0.5") == 0
    said = capsys.readouterr()
    assert f"images in {records}/image_folder/cats/1.0.0" in said.out
    assert "--data.train image_folder/cats:train" in said.out
    assert "--data.evaluate image_folder/cats:test" in said.out
    assert f"--data.directory {records}" in said.out
    assert "Downloading" not in said.out + said.err
    assert run(*words) == errors.UserError.exit_code
    assert "--replace" in capsys.readouterr().err
    assert run(*words, "--replace") == 0


def test_bad_files_end_with_3_and_are_listed_when_skipped(folder, tmp_path, capsys):
    (folder / "1.png").write_bytes(b"no image")
    words = ("image_folder", "--from", folder, "--dir", tmp_path / "r")
    assert run(*words) == errors.DataError.exit_code
    said = capsys.readouterr().err
    assert said.startswith("error: Cannot decode")
    assert "1.png" in said
    assert run(*words, "--skip-bad") == 0
    said = capsys.readouterr().out
    assert "skipped: Cannot decode" in said
    assert "image_folder/default:train" in said


def test_copies_across_the_splits_are_pointed_out(folder, tmp_path, capsys):
    small = PIL.Image.open(folder / "0.png").resize((60, 200))
    small.save(folder / "again.jpg", quality=70)
    listing = tmp_path / "list.txt"
    listing.write_text("again.jpg\n")
    words = ("image_folder", "--from", folder, "--dir", tmp_path / "r")
    assert run(*words, "--test-list", listing) == 0
    assert "0.png = again.jpg" in capsys.readouterr().err


def test_copies_do_not_meet_across_a_ratio(folder, tmp_path, capsys):
    for i in range(4):
        small = PIL.Image.open(folder / f"{i}.png").resize((60, 200))
        small.save(folder / f"again{i}.jpg", quality=70)
    words = ("image_folder", "--from", folder, "--dir", tmp_path / "r")
    assert run(*words, "--split-ratio", "0.5") == 0
    said = capsys.readouterr()
    assert "warning" not in said.err
    data = config.Data(
        ("image_folder/default",),
        ("image_folder/default:test",),
        directory=str(tmp_path / "r"),
    )
    identity.check_disjoint(data)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("set15", "--from", "."), "Did you mean set"),
        (("set5",), "prepare set5 --from DIR"),
        (("set5", "--from", ".", "--split-ratio", "0.5"), "no option --split-ratio"),
        (("set5", "--from", ".", "--name", "x"), "no option --name"),
        (("photos", "--split", "test"), "no option --split"),
        (("camvid", "--from", ".", "--ignore", "11"), "no option --ignore"),
        (("camvid", "--from", ".", "--name", "x"), "no option --name"),
        (("make3d", "--from", ".", "--unit", "mm"), "no option --unit"),
        (("photos", "--from", "."), "brings its own files"),
        (("image_folder", "--from", ".", "--name", "a b/c"), "got 'a b/c'. Change"),
        (("class_folder", "--from", ".", "--name", ".."), "got '..'. Change --name"),
    ],
)
def test_mistakes_end_with_2_and_say_what_to_do(words, message, tmp_path, capsys):
    assert run(*words, "--dir", tmp_path) == errors.UserError.exit_code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_masks_of_a_user_with_what_is_worth_knowing(tmp_path, photo, capsys):
    for split, shift in (("train", 0), ("val", 90)):
        for kind in ("images", "masks"):
            (tmp_path / "m" / split / kind).mkdir(parents=True)
        crop = PIL.Image.fromarray(photo[:, shift : shift + 150])
        crop.save(tmp_path / "m" / split / "images" / "a.png")
        labels = np.where(np.arange(150) < 40, 9, np.arange(150) % 3).astype(np.uint8)
        labels = PIL.Image.fromarray(np.tile(labels, (300, 1)))
        labels.save(tmp_path / "m" / split / "masks" / "a.png")
    words = ("mask_folder", "--from", tmp_path / "m", "--dir", tmp_path / "r")
    assert run(*words, "--name", "mine", "--ignore", "9") == 0
    said = capsys.readouterr().out
    assert "mask_folder/mine: 1 train, 1 val images in" in said
    assert "--data.evaluate mask_folder/mine:val" in said


def test_depth_of_a_user_wants_its_unit(tmp_path, photo, capsys):
    for kind in ("images", "depth"):
        (tmp_path / "m" / kind).mkdir(parents=True)
    for i in range(2):
        crop = PIL.Image.fromarray(photo[:, 90 * i : 90 * i + 150])
        crop.save(tmp_path / "m" / "images" / f"{i}.png")
        depth = np.tile(np.arange(700, 850, dtype=np.uint16), (300, 1))
        PIL.Image.fromarray(depth).save(tmp_path / "m" / "depth" / f"{i}.png")
    words = ("rgbd_folder", "--from", tmp_path / "m", "--dir", tmp_path / "r")
    assert run(*words, "--name", "mine") == errors.UserError.exit_code
    assert "Pass --unit millimetres, or write it" in capsys.readouterr().err
    assert run(*words, "--name", "mine", "--unit", "millimetres") == 0
    said = capsys.readouterr().out
    assert "note: depth is read as millimetres; 0 and NaN as not measured" in said
    assert "--data.train rgbd_folder/mine:train" in said


def test_parts_of_public_sets_and_splits_without_labels_are_noted(tmp_path, capsys):
    for name, kind, ending in (
        ("leftImg8bit", "RGB", ""),
        ("gtFine", "L", "_labelIds"),
    ):
        for split in ("train", "val"):
            path = tmp_path / "c" / name / split / "ulm" / f"{split}_{name}{ending}.png"
            path.parent.mkdir(parents=True)
            values = np.random.default_rng(len(split)).integers(0, 34, (16, 16, 3))
            PIL.Image.fromarray(values.astype(np.uint8)).convert(kind).save(path)
    assert run("cityscapes", "--from", tmp_path / "c", "--dir", tmp_path / "r") == 0
    said = capsys.readouterr().out
    assert "note: cityscapes:train is published with 2975 images, this copy" in said
    assert "note: cityscapes: the labels of test are not published" in said


def test_misspelt_options_are_corrected(capsys):
    with pytest.raises(SystemExit) as ended:
        run("image_folder", "--split-ratoi", "0.5")
    assert ended.value.code == errors.UserError.exit_code
    assert "--split-ratio" in capsys.readouterr().err


def test_without_words_the_data_sets_are_listed(capsys):
    assert run() == 0
    said = capsys.readouterr().out
    for name in ("photos", "image_folder", "bsds500", "train400"):
        assert f"  {name} " in said


def test_photos_need_no_folder(tmp_path, capsys):
    assert run("photos", "--dir", tmp_path) == 0
    assert "photos: 16 train, 3 test images" in capsys.readouterr().out
    assert np.all([run("photos", "--dir", tmp_path) == 0 for _ in range(2)])
