"""Classes of rooms, NYUv2 and SUN RGB-D, in the folders that people make of them."""

import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.data import (
    builders,
    identity,
    sources,
)
from tests import made_sets

FROM_ONE = {number: number - 1 for number in range(1, 41)}
ROOMS = [
    # name, pictures and labels by split, lists, numbers, meaning
    ("nyudv2", "{}/rgb/{:04d}.png", "{}/labels_40/{:04d}.png", False, range(41)),
    ("nyudv2", "RGB/{1}.jpg", "Label/{1}.png", True, range(41)),
    ("nyudv2", "data/images/img_{1}.png", "segmentation/img_{1}.mat", True, range(41)),
    (
        "sun_rgbd",
        "{}/images/img-{:06d}.jpg",
        "{}/labels/img-{:06d}.png",
        False,
        range(38),
    ),
    (
        "sun_rgbd",
        "images/{}/img-{:06d}.jpg",
        "labels/{}/img-{:06d}.png",
        False,
        range(38),
    ),
    ("sun_rgbd", "RGB/{1}.jpg", "Label/{1}.png", True, range(38)),
]


@pytest.mark.parametrize(("name", "images", "labels", "listed", "values"), ROOMS)
def test_rooms_in_the_folders_that_people_make(
    tmp_path, name, images, labels, listed, values
):
    root, stored = tmp_path / "r", {}
    for i, split in enumerate(("train", "test", "train"), 1):
        made_sets.picture(root / images.format(split, i), i)
        path = root / labels.format(split, i)
        stored[i] = made_sets.numbers(path, values, i)
    if listed:
        made_sets.text(
            root / "train.txt", "1", "RGB/3.jpg" if name == "sun_rgbd" else "3"
        )
        made_sets.text(root / "test.txt", "2")
    found = made_sets.prepared(name, root, tmp_path)
    assert {split: len(records) for split, records in found.items()} == {
        "train": 2,
        "test": 1,
    }
    (record,) = found["test"]
    assert record.endswith("2")
    made_sets.check_labels(found["test"], record, stored[2], FROM_ONE)


def test_nyu_in_plain_folders_counts_from_zero(tmp_path):
    names = [name.title() for name in builders.find("nyudv2").classes]
    made_sets.text(tmp_path / "n" / "classes.txt", *names, "Void")
    for i, split in enumerate(("train", "val")):
        made_sets.picture(tmp_path / "n" / split / "images" / f"000{i}.jpg", i)
        stored = made_sets.numbers(
            tmp_path / "n" / split / "labels" / f"000{i}.png", [*range(39), 255], i
        )
    found = made_sets.prepared("nyudv2", tmp_path / "n", tmp_path)
    made_sets.check_labels(found["val"], "0001", stored, {n: n for n in range(40)})


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_pictures_of_nyu_lose_their_white_frame_and_cut_ones_stay(tmp_path, ending):
    root = tmp_path / "n"
    sizes = {"framed": (480, 640), "cut": (468, 625), "fcn": (425, 560)}
    stored = {}
    for i, (name, size) in enumerate(sizes.items()):
        made_sets.picture(root / "train" / "rgb" / f"{name}.{ending}", i, size)
        path = root / "train" / "labels_40" / f"{name}.png"
        stored[name] = made_sets.numbers(path, range(41), i, size)
    found = made_sets.prepared("nyudv2", root, tmp_path)["train"]
    top, left = (480 - 468) // 2, (640 - 625) // 2  # it is as wide on all sides
    stored["framed"] = stored["framed"][top : top + 468, left : left + 625]
    for name, labels in stored.items():
        made_sets.check_labels(found, name, labels, FROM_ONE)
        pixels = np.asarray(PIL.Image.open(root / "train" / "rgb" / f"{name}.{ending}"))
        if name == "framed":
            pixels = pixels[top : top + 468, left : left + 625]
        assert found[name]["image"].shape == (*labels.shape, 3)
        # Decoders of JPEG may round differently.
        np.testing.assert_allclose(found[name]["image"], pixels.astype(int), atol=3)
    source = sources.open_sources(["nyudv2:train"], directory=tmp_path / "records")
    assert {tuple(size) for size in source.sizes()} == {(468, 625), (425, 560)}
    framed = source.ids().index("framed")
    code = identity.fingerprint(found["framed"]["image"])
    assert source.fingerprints()[framed].tobytes() == code


def test_labels_that_were_cut_fit_a_picture_that_was_not_and_no_others(tmp_path):
    root = tmp_path / "n"
    made_sets.picture(root / "train" / "rgb" / "1.png", size=(480, 640))
    labels = root / "train" / "labels_40" / "1.png"
    stored = made_sets.numbers(labels, range(41), size=(468, 625))
    made_sets.check_labels(
        made_sets.prepared("nyudv2", root, tmp_path)["train"], "1", stored, FROM_ONE
    )
    made_sets.numbers(labels, range(41), size=(425, 560))
    with pytest.raises(errors.DataError, match=r"1\.png is 425x560, .* is 468x625"):
        made_sets.prepared("nyudv2", root, tmp_path)


def test_scoring_sun_rgbd_after_training_on_nyu_is_refused(tmp_path):
    for name, values in (("nyudv2", range(40)), ("sun_rgbd", range(38))):
        for i, split in enumerate(("train", "test"), len(values)):
            made_sets.picture(tmp_path / name / split / "images" / "1.png", i)
            made_sets.numbers(tmp_path / name / split / "labels" / "1.png", values, i)
        made_sets.text(tmp_path / name / "classes.txt", *builders.find(name).classes)
        made_sets.prepared(name, tmp_path / name, tmp_path)
    for train, test in (("nyudv2", "sun_rgbd"), ("sun_rgbd", "nyudv2")):
        data = config.Data(
            (f"{train}:train",), (f"{test}:test",), directory=str(tmp_path / "records")
        )
        with pytest.raises(errors.DataError, match="holds crops of NYU Depth v2"):
            identity.check_disjoint(data)
