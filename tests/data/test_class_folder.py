"""A folder for each class: labels, names, stratified splits, and what is wrong."""

import json

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import builders, preparation, sources


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    PIL.Image.fromarray(rng.integers(0, 256, (16, 20, 3), np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two splits of three classes; "Zebra" sorts before "ant" as bytes do."""
    count = iter(range(100))
    for split, each in (("train", 3), ("val", 1)):
        for name in ("ant", "Zebra", "bee"):
            for i in range(each):
                picture(tmp_path / "c" / split / name / f"{i}.png", next(count))
    return tmp_path / "c"


def splits_of(folder, tmp_path, **options):
    kind = builders.find("class_folder")
    builder = kind(folder=folder, data_dir=tmp_path / "r", **options)
    return {s: list(files) for s, files in builder.find(folder).items()}


def test_records_hold_the_number_of_their_class(folder, tmp_path):
    picture(folder / "train" / "bee" / "deep" / "3.png", 50)
    where = preparation.prepare(
        "class_folder", folder=folder, directory=tmp_path, config="zoo"
    )
    metadata = json.loads((where / "metadata.json").read_text())
    assert metadata["classes"] == ["Zebra", "ant", "bee"]
    source = sources.open_sources(["class_folder/zoo:train"], directory=tmp_path)
    assert source.parts[0].classes == ("Zebra", "ant", "bee")
    assert len(source) == 10
    for record in (source[i] for i in range(10)):
        name = record["id"].split("/")[1]
        assert record["label"] == ("Zebra", "ant", "bee").index(name)
        truth = np.asarray(PIL.Image.open(folder / record["id"]))
        np.testing.assert_array_equal(record["image"], truth)
    # Classes in turn: the first records, as panels and limits take them, are of many.
    assert [source[i]["label"] for i in range(10)] == [0, 1, 2] * 3 + [2]
    assert source.ids()[-1] == "train/bee/deep/3.png"
    val = sources.open_sources(["class_folder/zoo:val"], directory=tmp_path)
    assert [val[i]["label"] for i in range(3)] == [0, 1, 2]


def test_sets_without_classes_have_no_names():
    assert sources.open_sources(["photos"]).parts[0].classes == ()


@pytest.mark.parametrize("ratio", [0.5, 0.8])
def test_every_class_is_split_by_the_ratio(tmp_path, ratio):
    sizes = {"a": 40, "b": 10, "c": 5, "d": 2, "e": 1}
    value = iter(range(1000))
    for name, count in sizes.items():
        for i in range(count):
            picture(tmp_path / "c" / name / f"{i}.png", next(value))
    found = splits_of(tmp_path / "c", tmp_path, ratio=ratio)
    train = [name.split("/")[0] for name in found["train"]]
    for name, count in sizes.items():
        wanted = max(1, min(round(ratio * count), count - 1))
        assert train.count(name) == wanted
    assert len(found["train"]) + len(found["test"]) == 58
    assert not set(found["train"]) & set(found["test"])
    assert found == splits_of(tmp_path / "c", tmp_path, ratio=ratio)
    firsts = [name for name in found["train"] if name.startswith("a/")]
    assert firsts != [f"a/{i}.png" for i in range(len(firsts))]  # no camera's order


def test_a_ratio_of_one_trains_on_everything(folder, tmp_path):
    assert set(splits_of(folder / "train", tmp_path, ratio=1)) == {"train"}
    assert set(splits_of(folder / "train", tmp_path, ratio=0)) == {"test"}


def test_copies_of_a_picture_stay_together_even_across_classes(tmp_path, photo):
    root = tmp_path / "c"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i in range(8):
            first = 20 * i + (200 if name == "b" else 0)
            part = PIL.Image.fromarray(photo[:, first : first + 100])
            part.save(root / name / f"{i}.png")
            part.resize((50, 150)).save(root / name / f"{i}_small.jpg")
    stray = PIL.Image.open(root / "a" / "0.png")
    stray.save(root / "b" / "of_a.png")
    for ratio in (0.3, 0.5, 0.8):
        found = splits_of(root, tmp_path, ratio=ratio)
        for names in map(set, found.values()):
            originals = {n for n in names if n.endswith(".png") and "of_a" not in n}
            assert {n.replace(".png", "_small.jpg") for n in originals} <= names
            assert ("b/of_a.png" in names) == ("a/0.png" in names)


def test_a_list_names_the_test_images(folder, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text("ant/0.png\nbee/2.png\n")
    found = splits_of(folder / "train", tmp_path, test_list=listing)
    assert found["test"] == ["ant/0.png", "bee/2.png"]


def spoil(folder, what):
    if what == "empty":
        (folder / "train" / "bee").rename(folder.parent / "away")
        (folder / "train" / "bee").mkdir()
        return r"class 'bee' is empty: .*train/bee holds no images"
    if what == "missing in val":
        (folder / "val" / "bee" / "0.png").unlink()
        (folder / "val" / "bee").rmdir()
        return "1 classes of train are not in val: bee"
    if what == "only in val":
        picture(folder / "val" / "cat" / "0.png")
        return "1 classes of val are not in train: cat"
    if what == "beside":
        picture(folder / "train" / "stray.png")
        return r"train/stray\.png lies beside the folders of the classes"
    if what == "no image":
        (folder / "train" / "ant" / "notes.txt").write_text("hello")
        return r"ant/notes\.txt is no image"
    if what == "damaged":
        (folder / "val" / "ant" / "1.jpg").write_bytes(b"\xff\xd8\xff no more")
        return r"Cannot decode .*val/ant/1\.jpg"
    if what == "twice":
        (folder / "val").rename(folder / "valid")
        picture(folder / "validation" / "ant" / "0.png")
        return "two folders of the split 'val', validation is the second"
    if what == "class beside splits":
        picture(folder / "unused" / "0.png")
        return r"named like splits \(train, val\) beside others \(unused\)"
    if what == "capitals":
        for name in ("train", "val"):
            (folder / name).rename(folder / name.capitalize())
        return r"named like splits \(Train, Val\)"
    if what == "no train":
        (folder / "train").rename(folder / "test")
        return r"named like splits \(test, val\)\. Wanted train"
    raise AssertionError(what)


@pytest.mark.parametrize(
    "what",
    [
        "empty",
        "missing in val",
        "only in val",
        "beside",
        "no image",
        "damaged",
        "twice",
        "class beside splits",
        "capitals",
        "no train",
    ],
)
def test_what_is_wrong_with_a_folder_is_named(folder, tmp_path, what):
    message = spoil(folder, what)
    with pytest.raises(errors.DataError, match=message):
        preparation.prepare("class_folder", folder=folder, directory=tmp_path)


def test_hidden_files_are_no_fault_and_bad_ones_can_be_skipped(folder, tmp_path):
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "train" / "ant" / ".thumbs").write_bytes(b"x")
    spoil(folder, "no image")
    spoil(folder, "damaged")
    preparation.prepare(
        "class_folder", folder=folder, directory=tmp_path, skip_bad=True
    )
    found = sources.inspect("class_folder/default", directory=tmp_path)
    assert found.counts == {"train": 9, "val": 3}
    said = " ".join(found.skipped)
    assert "notes.txt" in said
    assert "1.jpg" in said
    assert len(found.skipped) == 2


def test_contradictions_and_missing_classes_are_refused(folder, tmp_path):
    with pytest.raises(errors.UserError, match="split already, into train, val"):
        splits_of(folder, tmp_path, ratio=0.5)
    picture(tmp_path / "one" / "cat" / "0.png")
    with pytest.raises(errors.DataError, match=r"two or more classes in .*, found 1"):
        splits_of(tmp_path / "one", tmp_path)
    with pytest.raises(errors.DataError, match="nowhere, which does not exist"):
        splits_of(tmp_path / "nowhere", tmp_path)


def test_imagenet_is_recognised_by_its_counts(folder, tmp_path, monkeypatch):
    kind = builders.find("imagenet2012")
    with pytest.raises(errors.DataError, match=r"1000 classes.*found 3 classes"):
        kind(folder=folder, data_dir=tmp_path).find(folder)
    monkeypatch.setattr(kind, "class_count", 3)
    with pytest.raises(errors.DataError, match="train has 1,281,167 images, found 9"):
        kind(folder=folder, data_dir=tmp_path).find(folder)
    monkeypatch.setattr(kind, "counts", {"train": 9, "validation": 3})
    preparation.prepare("imagenet2012", folder=folder, directory=tmp_path / "r")
    source = sources.open_sources(
        ["imagenet2012:validation"], role="evaluate", directory=tmp_path / "r"
    )
    assert [source[i]["label"] for i in range(3)] == [0, 1, 2]
