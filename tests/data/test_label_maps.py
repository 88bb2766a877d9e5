"""Sets with a class for every pixel, in the layouts of their publishers."""

import shutil

import numpy as np
import PIL.Image
import pytest
import scipy.io

from dpjax import errors
from dpjax.data import (
    builders,
    label_files,
    label_health,
    preparation,
    sources,
)
from dpjax.data.builders import camvid, label_maps, layouts
from tests import made_sets

SEGNET = {number: number for number in range(11)}


@pytest.mark.parametrize("inside", ["", "CamVid"])
def test_camvid_in_the_layout_of_segnet(street, tmp_path, inside):
    found = made_sets.prepared("camvid", street / inside, tmp_path)
    assert {split: sorted(records) for split, records in found.items()} == {
        split: [f"{split}_0", f"{split}_1"] for split in ("train", "val", "test")
    }
    stored = np.asarray(PIL.Image.open(street / "CamVid/valannot/val_1.png"))
    made_sets.check_labels(found["val"], "val_1", stored, SEGNET)
    part = sources.open_sources(["camvid:val"], directory=tmp_path / "records").parts[0]
    assert part.classes[:3] == ("sky", "building", "pole")
    assert len(part.classes) == 11
    assert any(
        "train is published with 367 images, this copy has 2" in line
        for line in made_sets.notes("camvid", tmp_path)
    )


def test_a_split_without_labels_is_left_out_and_told(street, tmp_path):
    shutil.rmtree(street / "CamVid" / "testannot")
    assert set(made_sets.prepared("camvid", street, tmp_path)) == {"train", "val"}
    assert "camvid:test is left out, there is no CamVid/testannot" in made_sets.notes(
        "camvid", tmp_path
    )


def large_camvid(root, names, colours, seed=0):
    rng = np.random.default_rng(seed)
    for name in names:
        made_sets.picture(root / "701_StillsRaw_full" / f"{name}.png", seed)
        path = root / "LabeledApproved_full" / f"{name}_L.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = np.array(colours, np.uint8)[
            rng.integers(0, len(colours), made_sets.SIZE)
        ]
        PIL.Image.fromarray(chosen).save(path)


def test_camvid_in_its_original_size_has_the_same_classes_and_splits(tmp_path):
    names = {
        "train": ["0001TP_008520", "0006R0_f00930", "0016E5_00390", "0016E5_08160"],
        "val": ["0016E5_07959", "0016E5_08159"],
        "test": ["0001TP_008550", "Seq05VD_f00000"],
    }
    colours = [(0, 0, 0), (128, 128, 128), (64, 0, 64), (192, 0, 192), (0, 64, 64)]
    for many in names.values():
        large_camvid(tmp_path / "c", many, colours)
    found = made_sets.prepared("camvid", tmp_path / "c", tmp_path)
    assert {split: sorted(records) for split, records in found.items()} == names
    stored = PIL.Image.open(tmp_path / "c/LabeledApproved_full/0016E5_07959_L.png")
    by_colour = dict(zip(colours, (255, 0, 1, 10, 6), strict=True))
    wanted = np.apply_along_axis(
        lambda colour: by_colour[tuple(colour.tolist())], -1, np.asarray(stored)
    )
    np.testing.assert_array_equal(found["val"]["0016E5_07959"]["labels"], wanted)


def test_smoothed_borders_of_camvid_are_counted_and_have_no_class(tmp_path):
    large_camvid(tmp_path / "c", ["0016E5_00390"], [(0, 0, 192)])
    path = tmp_path / "c/LabeledApproved_full/0016E5_00390_L.png"
    labels = np.array(PIL.Image.open(path))
    labels[3, 4] = (1, 2, 3)
    PIL.Image.fromarray(labels).save(path)
    found = made_sets.prepared("camvid", tmp_path / "c", tmp_path)["train"]
    labels = found["0016E5_00390"]["labels"]
    assert labels[3, 4] == 255
    assert (labels == 4).sum() == labels.size - 1
    assert any(
        "0016E5_00390_L.png: 1 pixels have a colour of no class" in line
        for line in made_sets.notes("camvid", tmp_path)
    )


VOC = {number: number for number in range(21)}


def test_voc_by_its_lists(voc, tmp_path):
    for folder in (voc.parents[1], voc.parent, voc):
        found = made_sets.prepared("voc2012", folder, tmp_path)
        assert {split: sorted(records) for split, records in found.items()} == {
            "train": ["2007_1", "2007_2"],
            "val": ["2008_3"],
        }
    stored = np.asarray(PIL.Image.open(voc / "SegmentationClass" / "2008_3.png"))
    made_sets.check_labels(found["val"], "2008_3", stored, VOC)
    assert any(
        "test are not published" in line
        for line in made_sets.notes("voc2012", tmp_path)
    )


@pytest.mark.parametrize("form", ["png", "mat"])
@pytest.mark.parametrize("listing", ["train_aug.txt", "trainaug.txt"])
def test_voc_with_the_labels_of_sbd(voc, tmp_path, form, listing):
    listed = ["2007_1", "2007_2", "2009_4", "2009_5"]
    made_sets.text(
        voc / "ImageSets" / "Segmentation" / listing,
        *(f"/JPEGImages/{n}.jpg /SegmentationClassAug/{n}.png" for n in listed),
    )
    stored = {}
    for i, name in enumerate(("2009_4", "2009_5")):
        if form == "png":
            path = voc / "SegmentationClassAug" / f"{name}.png"
            stored[name] = made_sets.numbers(path, range(21), i)
        else:
            path = voc.parents[1] / "benchmark_RELEASE/dataset/cls" / f"{name}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            stored[name] = np.random.default_rng(i).integers(
                0, 21, made_sets.SIZE, np.uint8
            )
            scipy.io.savemat(path, {"GTcls": {"Segmentation": stored[name]}})
    # SBD labels some of VOC's own images again, without borders.
    made_sets.numbers(voc / "SegmentationClassAug" / "2007_1.png", range(21), 7)
    found = made_sets.prepared("voc2012", voc.parents[1], tmp_path)
    assert list(found["train_aug"]) == listed
    for name, values in stored.items():
        made_sets.check_labels(found["train_aug"], name, values, VOC)
    own = np.asarray(PIL.Image.open(voc / "SegmentationClass" / "2007_1.png"))
    made_sets.check_labels(found["train_aug"], "2007_1", own, VOC)


@pytest.mark.parametrize(
    "place", ["pascal_person_part_trainval_list/{}.txt", "list/{}_id.txt"]
)
def test_person_part_in_the_layout_of_deeplab(tmp_path, place):
    root = tmp_path / "p"
    own = root / "pascal_person_part"
    stored = {}
    for i, name in enumerate(("2008_1", "2008_2", "2010_3")):
        made_sets.picture(root / "VOCdevkit/VOC2010/JPEGImages" / f"{name}.jpg", i)
        stored[name] = made_sets.numbers(
            own / "pascal_person_part_gt" / f"{name}.png", [0, 3, 6, 255], i
        )
    made_sets.text(own / place.format("train"), "2008_1", "2010_3")
    made_sets.text(own / place.format("val"), "2008_2")
    found = made_sets.prepared("person_part", root, tmp_path)
    assert [list(found[split]) for split in ("train", "val")] == [
        ["2008_1", "2010_3"],
        ["2008_2"],
    ]
    made_sets.check_labels(
        found["val"], "2008_2", stored["2008_2"], {n: n for n in range(7)}
    )


def context(root, labels, lists):
    voc = root / "VOCdevkit" / "VOC2010"
    stored = {}
    for i, name in enumerate(("2008_1", "2008_2")):
        made_sets.picture(voc / "JPEGImages" / f"{name}.jpg", i)
        path = root / labels.format(name)
        values = range(60) if path.suffix == ".png" else (0, 1, 2, 23, 347, 459)
        stored[name] = made_sets.numbers(path, values, i)
    made_sets.text(voc / "ImageSets" / lists / "train.txt", "2008_1")
    made_sets.text(voc / "ImageSets" / lists / "val.txt", "2008_2")
    return stored


# Positions of the 59 classes among the 459, as public converters list them.
CONTEXT = sorted(
    [
        *(2, 259, 260, 415, 324, 9, 258, 144, 18, 19, 22, 23, 397, 25, 284, 158, 159),
        *(416, 33, 162, 420, 454, 295, 296, 427, 44, 45, 46, 308, 59, 440, 445, 31),
        *(232, 65, 354, 424, 68, 326, 72, 458, 34, 207, 80, 355, 85, 347, 220, 349),
        *(360, 98, 187, 104, 105, 366, 189, 368, 113, 115),
    ]
)


def test_pascal_context_as_published_keeps_59_of_459_classes(tmp_path):
    stored = context(tmp_path / "p", "trainval/{}.mat", "Main")
    found = made_sets.prepared("pascal_context", tmp_path / "p", tmp_path)
    meaning = dict.fromkeys(range(460), 0)
    meaning |= {number: i for i, number in enumerate(CONTEXT, 1)}
    made_sets.check_labels(found["train"], "2008_1", stored["2008_1"], meaning)
    coding = builders.find("pascal_context").published[0].coding
    assert coding.meaning == meaning
    # Both lists are alphabetical, which is how numbers and names came together.
    names = builders.find("pascal_context").classes[1:]
    assert list(names) == sorted(names)


def test_pascal_context_converted_to_pictures(tmp_path):
    stored = context(
        tmp_path / "p",
        "VOCdevkit/VOC2010/SegmentationClassContext/{}.png",
        "SegmentationContext",
    )
    found = made_sets.prepared("pascal_context", tmp_path / "p", tmp_path)
    made_sets.check_labels(
        found["val"], "2008_2", stored["2008_2"], {n: n for n in range(60)}
    )


# The official table of cityscapesScripts: id and trainId of each scored label.
CITY = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def test_cityscapes_in_folders_of_cities(tmp_path):
    root, stored = tmp_path / "c", {}
    for i, (split, city) in enumerate(
        (("train", "aachen"), ("train", "ulm"), ("val", "lindau"), ("test", "bonn"))
    ):
        name = f"{city}/{city}_000000_00000{i}"
        made_sets.picture(root / "leftImg8bit" / split / f"{name}_leftImg8bit.png", i)
        stored[name] = made_sets.numbers(
            root / "gtFine" / split / f"{name}_gtFine_labelIds.png", range(34), i
        )
        # The others of the archive are colours, instances and polygons.
        made_sets.picture(root / "gtFine" / split / f"{name}_gtFine_color.png", i)
    found = made_sets.prepared("cityscapes", root, tmp_path)
    assert {split: list(records) for split, records in found.items()} == {
        "train": ["aachen/aachen_000000_000000", "ulm/ulm_000000_000001"],
        "val": ["lindau/lindau_000000_000002"],
    }
    name = "lindau/lindau_000000_000002"
    made_sets.check_labels(found["val"], name, stored[name], CITY)
    assert any(
        "test are not published" in n for n in made_sets.notes("cityscapes", tmp_path)
    )


@pytest.mark.parametrize("inside", ["", "ADEChallengeData2016"])
def test_ade20k_with_its_list_of_names(tmp_path, inside):
    root = tmp_path / "a" / inside
    stored = {}
    for i, split in enumerate(("training", "validation")):
        name = f"ADE_{split[:-3]}_0000000{i}"
        made_sets.picture(root / "images" / split / f"{name}.jpg", i)
        path = root / "annotations" / split / f"{name}.png"
        stored[name] = made_sets.numbers(path, range(151), i)
    lines = [f"{i}\t0.1\t1\t1\t0\tname {i}, synonym" for i in range(1, 151)]
    made_sets.text(
        root / "objectInfo150.txt", "Idx\tRatio\tTrain\tVal\tStuff\tName", *lines
    )
    found = made_sets.prepared("ade20k", tmp_path / "a", tmp_path)
    assert set(found) == {"train", "val"}
    (name,) = found["val"]
    made_sets.check_labels(
        found["val"], name, stored[name], {n: n - 1 for n in range(1, 151)}
    )
    source = sources.open_sources(["ade20k:val"], directory=tmp_path / "records")
    assert source.parts[0].classes == tuple(f"name {i}" for i in range(1, 151))
    made_sets.text(root / "objectInfo150.txt", "Name", *lines[:100])
    with pytest.raises(errors.DataError, match="names 100 classes, wanted 150"):
        made_sets.prepared("ade20k", tmp_path / "a", tmp_path)
    (root / "objectInfo150.txt").unlink()
    with pytest.raises(errors.DataError, match=r"Cannot read .*objectInfo150\.txt"):
        made_sets.prepared("ade20k", tmp_path / "a", tmp_path)


@pytest.mark.parametrize("name", ["camvid", "voc2012", "nyudv2"])
def test_plain_folders_must_name_the_classes_of_the_set(tmp_path, name):
    made_sets.picture(tmp_path / "p" / "train" / "images" / "a.png")
    made_sets.numbers(tmp_path / "p" / "train" / "labels" / "a.png", range(3))
    with pytest.raises(errors.DataError, match=r"Cannot read .*classes\.txt"):
        made_sets.prepared(name, tmp_path / "p", tmp_path)
    made_sets.text(tmp_path / "p" / "classes.txt", "road", "sky", "tree")
    with pytest.raises(
        errors.DataError, match=rf"names other classes than {name} .* mask_folder"
    ):
        made_sets.prepared(name, tmp_path / "p", tmp_path)
    made_sets.text(tmp_path / "p" / "classes.txt", *builders.find(name).classes)
    assert list(made_sets.prepared(name, tmp_path / "p", tmp_path)["train"]) == ["a"]


def test_every_labelled_set_declares_layouts_that_fit_together():
    for name in builders.TABLE:
        kind = builders.find(name)
        if not issubclass(kind, label_maps.LabelMaps):
            continue
        for layout in kind.published:
            assert kind.counts.keys() <= layout.splits.keys() | {"train_aug", "test"}
            for place in layout.splits.values():
                for pattern in (place.images, *place.targets):
                    assert pattern.count(layouts.ID) == 1
            numbers = set(layout.coding.meaning.values()) - {label_files.IGNORE}
            count = len(kind.classes) or 150  # ADE20K reads its names
            assert numbers == set(range(count))


# Share of the pixels in percent, and last of the unlabelled ones: published facts of
# the 360x480 release.
CAMVID_WEIGHTS = [0.2793, 0.2017, 4.7865, 0.1490, 1, 0.4217]
CAMVID_WEIGHTS += [3.8467, 1.9736, 0.7889, 6.3747, 8.8587]
CAMVID_TRAIN = [16.85, 23.26, 0.98, 31.66, 4.49, 9.72, 1.17, 1.13, 5.87, 0.64, 0.29]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "counts"),
    [
        ("camvid", "camvid", {"train": 367, "val": 101}),
        ("voc2012", "voc2012", {"train": 120, "val": 45}),
        ("nyudv2", "nyu", {"train": 686, "val": 109}),
    ],
)
def test_real_sets_hold_the_labels_of_their_files(
    data_root, tmp_path, name, folder, counts
):
    folder = data_root / folder
    if not folder.is_dir():
        pytest.skip(f"DPJAX_DATA has no {folder.name}")
    preparation.prepare(name, folder=folder, directory=tmp_path)
    assert sources.inspect(name, directory=tmp_path).counts == counts
    for split in counts:
        source = sources.open_sources([f"{name}:{split}"], directory=tmp_path)
        for i in (0, len(source) // 2, len(source) - 1):
            path = folder / split / "labels" / f"{source[i]['id']}.png"
            stored = np.asarray(PIL.Image.open(path))
            unlabelled = 11 if name == "camvid" else 255
            wanted = np.where(stored == unlabelled, 255, stored)
            if name == "nyudv2":  # pictures that come with RefineNet lie there
                wanted = wanted[6 : 6 + 468, 7 : 7 + 625]
            np.testing.assert_array_equal(source[i]["labels"], wanted)
    if name == "camvid":
        source = sources.open_sources(["camvid:train"], directory=tmp_path)
        counter = label_health.Counter(source.parts[0].classes)
        assert not any(map(counter.add, source))
        census = counter.census()
        np.testing.assert_allclose(
            100 * census.shares, [*CAMVID_TRAIN, 3.95], atol=0.006
        )
        np.testing.assert_allclose(census.weights, CAMVID_WEIGHTS, atol=6e-5)


def test_weights_of_classes_are_balanced_by_the_median_of_their_frequencies():
    counter = label_health.Counter(("a", "b", "c", "d"))
    for labels in ([[0, 0, 0, 1]], [[0, 0, 2, 255]], [[0, 0, 0, 0]]):
        record = {"labels": np.array(labels, np.uint8), "image": np.zeros((1, 4, 3))}
        assert counter.add({**record, "id": "x", "source": "y"}) is None
    # 9 of 12, 1 of 4, 1 of 4 pixels, and none
    np.testing.assert_allclose(counter.census().weights, [1 / 3, 1, 1, 0])


def test_the_frames_of_camvid_belong_to_their_splits(data_root):
    for split in ("train", "val"):
        folder = data_root / "camvid" / split / "images"
        if not folder.is_dir():
            pytest.skip("DPJAX_DATA has no camvid")
        assert {camvid.split_of(path.stem) for path in folder.iterdir()} == {split}
