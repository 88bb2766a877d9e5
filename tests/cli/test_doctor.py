"""`doctor` finds what was broken on purpose, and nothing where all is well."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pytest

from dpjax import cli, errors
from dpjax.cli import exits
from dpjax.data import disparity_health, health, label_health, preparation, sources

_CONFIG = """
from dpjax import config
from dpjax.tasks import restoration
from dpjax.data import degradations
def get_config():
    return config.Experiment(
        task=restoration.Restoration(
            degradations=(degradations.GaussianNoise((25.0, 25.0)),)
        ),
        model=config.Model("rednet10"),
        data=config.Data({train}, {test}, directory={directory!r}),
        optim=config.Optim(),
        evaluation=config.Evaluation("red"),
        total_steps=1,
    )
"""


def run(*words):
    return exits.run(lambda: cli.main(["doctor", *map(str, words)]))


def damage(folder, split):
    """Flips a bit in the records of a split; returns the file."""
    file = next(folder.glob(f"image_folder/mine/*/*-{split}.array_record*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return file


@pytest.fixture
def folder(tmp_path, photo):
    root = tmp_path / "images"
    root.mkdir()
    for i in range(3):
        PIL.Image.fromarray(photo[:, 90 * i : 90 * i + 150]).save(root / f"{i}.png")
    PIL.Image.fromarray(photo[..., 0]).save(root / "grey.png")
    PIL.Image.new("RGB", (30, 40), "red").save(root / "red.png")
    PIL.Image.open(root / "1.png").resize((100, 200)).save(root / "copy.jpg")
    preparation.prepare(
        "image_folder", folder=root, directory=tmp_path, config="mine", ratio=1.0
    )
    return tmp_path


def test_the_machine_alone(capsys):
    assert run() == 0
    said = capsys.readouterr().out
    for word in ("jax ", "grain ", "cores", "GiB free", "devices", "prepared"):
        assert word in said


def test_a_sound_set_with_its_peculiarities(folder, capsys):
    assert run("image_folder/mine", "--dir", folder) == 0
    said = capsys.readouterr().out
    assert "6 images, 1 of them grey" in said
    assert "smallest 40x30, median 300x150, largest 300x451" in said
    assert "equal pictures, 1 pairs: 1.png = copy.jpg" in said
    assert "1 images of one colour: red.png" in said
    assert "Everything is sound." in said


def test_damage_is_counted_and_ends_with_3(folder, capsys):
    file = damage(folder, "train")
    assert run("image_folder/mine:train", "--dir", folder) == 3
    said = capsys.readouterr().out
    assert "!! Record" in said
    assert str(file) in said
    assert "See the lines marked !!." in said


def test_overlap_between_sets_is_shown(folder, capsys):
    assert (
        run("image_folder/mine:train", "image_folder/mine:train-0.png", "--dir", folder)
        == 0
    )
    assert "share pictures: 1.png = 1.png" in capsys.readouterr().out


@pytest.mark.parametrize("leaks", [False, True])
def test_an_experiment_is_checked_for_leakage(folder, tmp_path, capsys, leaks):
    test = "image_folder/mine:train" if leaks else "photos:test"
    train = "image_folder/mine:train" if leaks else "photos:train"
    path = tmp_path / "experiment.py"
    path.write_text(_CONFIG.format(train=(train,), test=(test,), directory=str(folder)))
    assert run("--config", path) == (errors.DataError.exit_code if leaks else 0)
    said = capsys.readouterr().out
    assert ("would be scored on pictures" if leaks else "share no picture") in said


def test_records_of_an_older_version_are_told(folder, capsys):
    assert run("image_folder/mine", "--dir", folder) == 0
    assert "version" not in capsys.readouterr().out
    (written,) = (folder / "image_folder" / "mine").glob("[0-9]*")
    written.rename(written.with_name("0.9.0"))
    assert run("image_folder/mine", "--dir", folder) == 0
    said = capsys.readouterr().out
    assert f"have version 0.9.0, this dpjax writes {written.name}" in said
    assert "Prepare image_folder again, with --replace" in said


def test_what_is_not_prepared_is_said_and_the_rest_is_still_read(folder, capsys):
    assert run("urban100", "image_folder/mine:train", "--dir", folder) == 3
    said = capsys.readouterr().out
    assert "prepare urban100 --from DIR" in said
    assert "6 images" in said
    assert run("urban10", "--dir", folder) == 2


def test_another_picture_under_the_same_id_is_noticed(folder):
    """The index remembers what each record showed."""
    source = sources.open_sources(["image_folder/mine:train"], directory=folder)
    codes = source.fingerprints().copy()
    codes[0] = ~codes[0] ^ np.arange(32, dtype=np.uint8)
    part = source.parts[0]
    part.index = dataclasses.replace(part.index, fingerprints=codes)
    found = health.examine(source)
    assert len(found.damaged) == 1
    assert "'0.png'" in found.damaged[0]
    assert "another picture" in found.damaged[0]
    assert not found.is_sound


@pytest.fixture
def masks(tmp_path, photo):
    """Two images of three classes, and one without a single labelled pixel."""
    root = tmp_path / "masks"
    labels = np.zeros((100, 150), np.uint8)
    labels[:25], labels[90:] = 2, 9
    for i, values in enumerate((labels, np.where(labels == 9, 9, 0), labels * 0 + 9)):
        for kind in ("images", "masks"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        crop = photo[100 * i : 100 * i + 100, 150:300]
        PIL.Image.fromarray(crop).save(root / "images" / f"{i}.png")
        values = PIL.Image.fromarray(values.astype(np.uint8))
        values.save(root / "masks" / f"{i}.png")
    (root / "classes.txt").write_text("floor\ncat\nwall\n")
    preparation.prepare(
        "mask_folder",
        folder=root,
        directory=tmp_path,
        config="mine",
        ratio=1.0,
        ignore=9,
    )
    return tmp_path


def test_labels_are_counted_by_class(masks, capsys):
    assert run("mask_folder/mine", "--dir", masks) == 0
    said = capsys.readouterr().out
    assert "?  only 0.png shows class wall, in 3750 pixels" in said  # 25 rows of 150
    assert "Everything can be read; see the lines marked ?." in said
    assert "sound" not in said
    rows = [line.split() for line in said.splitlines()]
    assert ["floor", "51.67", "2", "0.661"] in rows  # 65 and 90 rows of 300
    assert ["cat", "0.00", "0", "0.000"] in rows
    assert ["wall", "8.33", "1", "2.050"] in rows
    assert ["(not", "labelled)", "40.00"] in rows
    assert ["?", "1", "classes", "absent:", "cat"] in rows
    assert ["?", "1", "images", "without", "a", "labelled", "pixel:", "2.png"] in rows


def test_labels_that_are_no_class_are_named(masks, capsys):
    """As records would hold that another program wrote."""
    (index,) = masks.glob("mask_folder/mine/*/metadata.json")
    metadata = json.loads(index.read_text())
    index.write_text(json.dumps({**metadata, "classes": ["floor", "cat"]}))
    assert run("mask_folder/mine:train", "--dir", masks) == errors.DataError.exit_code
    said = capsys.readouterr().out
    assert "!! Record '0.png' of mask_folder/mine:train has the labels 2; the" in said
    assert "set has 2 classes" in said


def test_what_was_left_out_is_told(tmp_path, folder, capsys):
    root = tmp_path / "images"
    for i in range(7):
        (root / f"bad{i}.png").write_bytes(b"nothing")
    preparation.prepare(
        "image_folder",
        folder=root,
        directory=folder,
        config="mine",
        skip_bad=True,
        replace=True,
        ratio=1.0,
    )
    assert run("image_folder/mine", "--dir", folder) == 0
    said = capsys.readouterr().out
    assert "?  left out when image_folder was prepared:\n" in said
    for i in range(5):
        assert f"bad{i}.png" in said
    assert "... 7 in all" in said
    assert "Everything can be read; see the lines marked ?." in said
    assert "sound" not in said


def census_of(classes, *maps):
    counter = label_health.Counter(classes)
    for i, labels in enumerate(maps):
        image = np.zeros((*labels.shape, 3), np.uint8)
        record = {"labels": labels, "image": image, "id": f"{i}", "source": "s:train"}
        assert counter.add(record) is None
    return counter.census()


def test_classes_of_one_image_are_named_with_it():
    maps = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    maps[2, 1, 1:3] = 4
    census = census_of("abcde", *maps)
    assert census.lonely == [("e", "2", 2)]
    assert census.absent == ["d"]
    assert census_of("abcde", maps[2]).lonely == []  # one image has every class alone


def test_many_absent_classes_are_not_all_listed(masks, capsys):
    (index,) = masks.glob("mask_folder/mine/*/metadata.json")
    metadata = json.loads(index.read_text())
    names = ["floor", "cat", "wall", *(f"more{i}" for i in range(20))]
    index.write_text(json.dumps({**metadata, "classes": names}))
    assert run("mask_folder/mine", "--dir", masks) == 0
    said = capsys.readouterr().out
    assert "21 classes absent: cat, more0, more1, more2, more3, ...\n" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["floor", "51.67", "2", "0.661"] in rows
    assert ["(21", "absent)", "0.00", "0", "0.000"] in rows
    assert not any(row[:1] in (["cat"], ["more0"], ["more19"]) for row in rows)


def test_strays_are_labels_of_one_image_above_labels_of_none():
    maps = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    maps[1, 0, 0], maps[2, 1, 1:3], maps[3, 4, 4] = 4, 5, 8
    census = census_of("012345678", *maps)
    assert [name for name, _, _ in census.lonely] == ["4", "5", "8"]
    assert census.strays == [("4", "1", 1), ("8", "3", 1)]
    assert census_of("abcdefghi", *maps).strays == []  # somebody has listed them
    maps[0, 0, 0] = 8
    assert census_of("012345678", *maps).strays == [("4", "1", 1)]


def test_censuses_add_up():
    maps = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    maps[1], maps[3, 4, 4] = 255, 7
    whole = census_of("01234567", *maps)
    found = label_health.merged(
        [census_of("01234567", *maps[:3]), census_of("01234567", maps[3])]
    )
    for field in ("pixels", "images", "around"):
        np.testing.assert_array_equal(getattr(found, field), getattr(whole, field))
    assert found.first == (*whole.first[:7], "0")  # as the second census calls it
    assert (found.unlabelled, found.empty) == (30, ["1"])
    assert (found.records, found.strays) == (4, [("7", "0", 1)])


@pytest.fixture
def numbered(tmp_path, photo):
    """Two splits of two images with labels 0 to 4, one pixel of label 9 in one."""
    root = tmp_path / "masks"
    for i, split in enumerate(("train", "train", "val", "val")):
        labels = np.arange(100)[:, None] % (5 if i else 2) * np.ones(150, np.uint8)
        labels[50, 50] = 9 if i == 2 else 0
        for kind, values in (
            ("images", photo[100 * (i % 2) :][:100, 150 * (i // 2) :][:, :150]),
            ("masks", labels.astype(np.uint8)),
        ):
            (root / split / kind).mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(values).save(root / split / kind / f"{i}.png")
    preparation.prepare("mask_folder", folder=root, directory=tmp_path, config="mine")
    return tmp_path


def test_stray_labels_end_with_3_and_name_the_file(numbered, capsys):
    assert run("mask_folder/mine", "--dir", numbered) == errors.DataError.exit_code
    said = capsys.readouterr().out
    assert "!! only val/2.png shows label 9, in 1 pixels, and no image shows" in said
    assert "1 stray labels in all. Correct the masks" in said
    assert said.endswith("\nSee the lines marked !!.\n")
    assert "Everything can be read" not in said
    assert "label 4" not in said  # in one image of train, and in both of val


def test_labels_of_a_split_alone_are_in_doubt_only(numbered, capsys):
    assert run("mask_folder/mine:val", "--dir", numbered) == 0
    said = capsys.readouterr().out
    assert "?  only val/2.png shows class 9, in 1 pixels" in said
    assert "!!" not in said


def test_labels_of_another_size_are_named():
    counter = label_health.Counter(("a", "b"))
    record = {
        "labels": np.zeros((4, 5), np.uint8),
        "image": np.zeros((5, 4, 3), np.uint8),
        "id": "x",
        "source": "s:train",
    }
    assert "Record 'x' of s:train has labels of shape (4, 5)" in counter.add(record)
    assert not counter.has_counted


@pytest.fixture
def depths(tmp_path, photo):
    """Two images, the depth of one in half of its pixels; 1, 2, 3 and 4 metres."""
    root = tmp_path / "rooms"
    for i, holes in enumerate((False, True)):
        for kind in ("images", "depth"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        crop = photo[100 * i : 100 * i + 100, 150:300]
        PIL.Image.fromarray(crop).save(root / "images" / f"{i}.png")
        values = np.full((100, 150), 2000, np.uint16)
        values[:10], values[50:] = 1000, 0 if holes else 4000
        PIL.Image.fromarray(values).save(root / "depth" / f"{i}.png")
    preparation.prepare(
        "rgbd_folder",
        folder=root,
        directory=tmp_path,
        config="mine",
        ratio=1.0,
        unit="mm",
    )
    return tmp_path


def test_depth_is_told_in_metres(depths, capsys):
    assert run("rgbd_folder/mine", "--dir", depths) == 0
    lines = capsys.readouterr().out.splitlines()
    (title,) = (i for i, line in enumerate(lines) if line.startswith("  depth (m)"))
    assert lines[title].split()[-3:] == ["pixels", "measured", "%"]
    values = list(map(float, lines[title + 1].split()))
    np.testing.assert_allclose(values, [1, 1, 2, 4, 4, 75], atol=1e-3)
    assert not any("hardly metres" in line for line in lines)


def test_depth_that_is_none_is_named_and_doubtful_units_are_told(depths, capsys):
    """As records would hold that another program wrote."""
    (index,) = depths.glob("rgbd_folder/mine/*/metadata.json")
    metadata = json.loads(index.read_text())
    index.write_text(json.dumps({**metadata, "units": {"depth": 1000.0}}))
    assert run("rgbd_folder/mine", "--dir", depths) == 0
    assert "?  hardly metres: were the files prepared" in capsys.readouterr().out
    index.write_text(json.dumps({**metadata, "units": {"depth": -1.0}}))
    assert run("rgbd_folder/mine", "--dir", depths) == errors.DataError.exit_code
    said = capsys.readouterr().out
    assert "!! Record '0.png' of rgbd_folder/mine:train has 15000 pixels of neg" in said
    assert "depth (m)" not in said


def with_disparity(name, disparity, **others):
    image = np.zeros((4, 5, 3), np.uint8)
    return {
        "image": image,
        "disparity": np.asarray(disparity, np.float32),
        "id": name,
        "source": "s:train",
        **others,
    }


def test_disparity_is_counted_where_it_was_matched():
    counter = disparity_health.Counter()
    ramp = np.linspace(-0.1, 1.3, 20).reshape(4, 5)
    confidence = np.full((4, 5), 255, np.uint8)
    confidence[:, 4] = 0  # the largest of each row, filled in
    assert counter.add(with_disparity("a", ramp, confidence=confidence)) is None
    holes = np.where(np.eye(4, 5, dtype=bool), np.nan, ramp + 0.05)
    assert counter.add(with_disparity("b", holes)) is None
    found = counter.survey()
    assert (found.pixels, found.matched) == (40, 16 + 16)
    assert found.share == 0.8
    np.testing.assert_allclose(found.ends, (-0.1, 1.35), rtol=1e-6)
    assert found.poorest == ("a", 0.8)
    confidence[:2] = 0
    assert counter.add(with_disparity("c", ramp, confidence=confidence)) is None
    assert counter.survey().poorest == ("c", 0.4)


def test_disparity_that_tells_nothing_is_named():
    counter = disparity_health.Counter()
    for wrong, words in (
        ({"disparity": np.zeros((5, 4))}, "has disparity of shape (5, 4) and an"),
        ({"confidence": np.zeros((2, 5))}, "has confidence of shape (2, 5) and an"),
        ({"confidence": np.zeros((4, 5))}, "has no pixel that was matched"),
        ({"disparity": np.full((4, 5), 0.5)}, "has the same disparity wherever"),
    ):
        record = {**with_disparity("x", np.arange(20.0).reshape(4, 5)), **wrong}
        assert f"Record 'x' of s:train {words}" in counter.add(record)
    assert not counter.has_counted


def test_a_set_without_a_split_is_looked_at_whole(tmp_path, photo, capsys):
    root = tmp_path / "images"
    for split, shift in (("train", 0), ("test", 90)):
        (root / split).mkdir(parents=True)
        own = PIL.Image.fromarray(photo[:, shift : shift + 150])
        own.save(root / split / "own.png")
        PIL.Image.fromarray(photo[:100, :100]).save(root / split / "shared.png")
    preparation.prepare("image_folder", folder=root, directory=tmp_path, config="mine")
    assert run("image_folder/mine", "--dir", tmp_path) == 0
    said = capsys.readouterr().out
    for split in ("train", "test"):
        assert f"image_folder/mine:{split}\n  2 images" in said
    assert "share pictures: test/shared.png = train/shared.png" in said
    damage(tmp_path, "test")
    assert run("image_folder/mine", "--dir", tmp_path) == 3
