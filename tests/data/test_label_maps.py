"""Sets with a class for every pixel, in the layouts of their publishers."""

import json
import shutil

import numpy as np
import PIL.Image
import pytest
import scipy.io

from dpjax import config, errors
from dpjax.data import (
    builders,
    identity,
    label_files,
    label_health,
    preparation,
    sources,
)
from dpjax.data.builders import camvid, label_maps, layouts

SIZE = (12, 16)


def picture(path, value=0, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (*size, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def numbers(path, values, seed=0, size=SIZE):
    """Writes a label file of some of the values; returns what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.random.default_rng(seed).choice(np.array(values), size)
    if path.suffix == ".mat":
        scipy.io.savemat(path, {"LabelMap": stored.astype(np.uint16)})
    else:
        PIL.Image.fromarray(stored.astype(np.uint8)).save(path)
    return stored


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def prepared(name, folder, tmp_path, **options):
    """Prepares a set; returns the records of each split by id."""
    preparation.prepare(
        name, folder=folder, directory=tmp_path / "records", replace=True, **options
    )
    counts = sources.inspect(name, directory=tmp_path / "records").counts
    return {split: opened(f"{name}:{split}", tmp_path) for split in counts}


def opened(reference, tmp_path):
    source = sources.open_sources([reference], directory=tmp_path / "records")
    return {record["id"]: record for record in source}


def notes(name, tmp_path):
    return sources.inspect(name, directory=tmp_path / "records").notes


def check(records, name, stored, meaning):
    """The record has the classes that the numbers of its file mean."""
    labels = records[name]["labels"]
    assert labels.dtype == np.uint8
    wanted = np.vectorize(lambda number: meaning.get(int(number), 255))(stored)
    np.testing.assert_array_equal(labels, wanted)


SEGNET = {number: number for number in range(11)}


@pytest.fixture
def street(tmp_path):
    """CamVid as SegNet publishes it, two frames a split."""
    for split in ("train", "val", "test"):
        for i in range(2):
            name = f"{split}_{i}.png"
            picture(tmp_path / "c" / "CamVid" / split / name, i)
            numbers(tmp_path / "c" / "CamVid" / f"{split}annot" / name, range(12), i)
    return tmp_path / "c"


@pytest.mark.parametrize("inside", ["", "CamVid"])
def test_camvid_in_the_layout_of_segnet(street, tmp_path, inside):
    found = prepared("camvid", street / inside, tmp_path)
    assert {split: sorted(records) for split, records in found.items()} == {
        split: [f"{split}_0", f"{split}_1"] for split in ("train", "val", "test")
    }
    stored = np.asarray(PIL.Image.open(street / "CamVid/valannot/val_1.png"))
    check(found["val"], "val_1", stored, SEGNET)
    part = sources.open_sources(["camvid:val"], directory=tmp_path / "records").parts[0]
    assert part.classes[:3] == ("sky", "building", "pole")
    assert len(part.classes) == 11
    assert any(
        "train is published with 367 images, this copy has 2" in line
        for line in notes("camvid", tmp_path)
    )


def test_a_split_without_labels_is_left_out_and_told(street, tmp_path):
    shutil.rmtree(street / "CamVid" / "testannot")
    assert set(prepared("camvid", street, tmp_path)) == {"train", "val"}
    assert "camvid:test is left out, there is no CamVid/testannot" in notes(
        "camvid", tmp_path
    )


def large_camvid(root, names, colours, seed=0):
    rng = np.random.default_rng(seed)
    for name in names:
        picture(root / "701_StillsRaw_full" / f"{name}.png", seed)
        path = root / "LabeledApproved_full" / f"{name}_L.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = np.array(colours, np.uint8)[rng.integers(0, len(colours), SIZE)]
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
    found = prepared("camvid", tmp_path / "c", tmp_path)
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
    found = prepared("camvid", tmp_path / "c", tmp_path)["train"]
    labels = found["0016E5_00390"]["labels"]
    assert labels[3, 4] == 255
    assert (labels == 4).sum() == labels.size - 1
    assert any(
        "0016E5_00390_L.png: 1 pixels have a colour of no class" in line
        for line in notes("camvid", tmp_path)
    )


@pytest.fixture
def voc(tmp_path):
    """Two training images, one to validate, and two that only SBD labels."""
    root = tmp_path / "v" / "VOCdevkit" / "VOC2012"
    lists = root / "ImageSets" / "Segmentation"
    for i, name in enumerate(("2007_1", "2007_2", "2008_3", "2009_4", "2009_5")):
        picture(root / "JPEGImages" / f"{name}.jpg", i)
    for name in ("2007_1", "2007_2", "2008_3"):
        numbers(root / "SegmentationClass" / f"{name}.png", [0, 5, 20, 255])
    text(lists / "train.txt", "2007_1", "2007_2")
    text(lists / "val.txt", "2008_3")
    text(lists / "trainval.txt", "2007_1", "2007_2", "2008_3")
    text(lists / "test.txt", "2010_9")
    return root


VOC = {number: number for number in range(21)}


def test_voc_by_its_lists(voc, tmp_path):
    for folder in (voc.parents[1], voc.parent, voc):
        found = prepared("voc2012", folder, tmp_path)
        assert {split: sorted(records) for split, records in found.items()} == {
            "train": ["2007_1", "2007_2"],
            "val": ["2008_3"],
        }
    stored = np.asarray(PIL.Image.open(voc / "SegmentationClass" / "2008_3.png"))
    check(found["val"], "2008_3", stored, VOC)
    assert any("test are not published" in line for line in notes("voc2012", tmp_path))


@pytest.mark.parametrize("form", ["png", "mat"])
@pytest.mark.parametrize("listing", ["train_aug.txt", "trainaug.txt"])
def test_voc_with_the_labels_of_sbd(voc, tmp_path, form, listing):
    listed = ["2007_1", "2007_2", "2009_4", "2009_5"]
    text(
        voc / "ImageSets" / "Segmentation" / listing,
        *(f"/JPEGImages/{n}.jpg /SegmentationClassAug/{n}.png" for n in listed),
    )
    stored = {}
    for i, name in enumerate(("2009_4", "2009_5")):
        if form == "png":
            path = voc / "SegmentationClassAug" / f"{name}.png"
            stored[name] = numbers(path, range(21), i)
        else:
            path = voc.parents[1] / "benchmark_RELEASE/dataset/cls" / f"{name}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            stored[name] = np.random.default_rng(i).integers(0, 21, SIZE, np.uint8)
            scipy.io.savemat(path, {"GTcls": {"Segmentation": stored[name]}})
    # SBD labels some of VOC's own images again, without borders.
    numbers(voc / "SegmentationClassAug" / "2007_1.png", range(21), 7)
    found = prepared("voc2012", voc.parents[1], tmp_path)
    assert list(found["train_aug"]) == listed
    for name, values in stored.items():
        check(found["train_aug"], name, values, VOC)
    own = np.asarray(PIL.Image.open(voc / "SegmentationClass" / "2007_1.png"))
    check(found["train_aug"], "2007_1", own, VOC)


@pytest.mark.parametrize(
    "place", ["pascal_person_part_trainval_list/{}.txt", "list/{}_id.txt"]
)
def test_person_part_in_the_layout_of_deeplab(tmp_path, place):
    root = tmp_path / "p"
    own = root / "pascal_person_part"
    stored = {}
    for i, name in enumerate(("2008_1", "2008_2", "2010_3")):
        picture(root / "VOCdevkit/VOC2010/JPEGImages" / f"{name}.jpg", i)
        stored[name] = numbers(
            own / "pascal_person_part_gt" / f"{name}.png", [0, 3, 6, 255], i
        )
    text(own / place.format("train"), "2008_1", "2010_3")
    text(own / place.format("val"), "2008_2")
    found = prepared("person_part", root, tmp_path)
    assert [list(found[split]) for split in ("train", "val")] == [
        ["2008_1", "2010_3"],
        ["2008_2"],
    ]
    check(found["val"], "2008_2", stored["2008_2"], {n: n for n in range(7)})


def context(root, labels, lists):
    voc = root / "VOCdevkit" / "VOC2010"
    stored = {}
    for i, name in enumerate(("2008_1", "2008_2")):
        picture(voc / "JPEGImages" / f"{name}.jpg", i)
        path = root / labels.format(name)
        values = range(60) if path.suffix == ".png" else (0, 1, 2, 23, 347, 459)
        stored[name] = numbers(path, values, i)
    text(voc / "ImageSets" / lists / "train.txt", "2008_1")
    text(voc / "ImageSets" / lists / "val.txt", "2008_2")
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
    found = prepared("pascal_context", tmp_path / "p", tmp_path)
    meaning = dict.fromkeys(range(460), 0)
    meaning |= {number: i for i, number in enumerate(CONTEXT, 1)}
    check(found["train"], "2008_1", stored["2008_1"], meaning)
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
    found = prepared("pascal_context", tmp_path / "p", tmp_path)
    check(found["val"], "2008_2", stored["2008_2"], {n: n for n in range(60)})


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
        picture(root / "leftImg8bit" / split / f"{name}_leftImg8bit.png", i)
        stored[name] = numbers(
            root / "gtFine" / split / f"{name}_gtFine_labelIds.png", range(34), i
        )
        # The others of the archive are colours, instances and polygons.
        picture(root / "gtFine" / split / f"{name}_gtFine_color.png", i)
    found = prepared("cityscapes", root, tmp_path)
    assert {split: list(records) for split, records in found.items()} == {
        "train": ["aachen/aachen_000000_000000", "ulm/ulm_000000_000001"],
        "val": ["lindau/lindau_000000_000002"],
    }
    name = "lindau/lindau_000000_000002"
    check(found["val"], name, stored[name], CITY)
    assert any("test are not published" in n for n in notes("cityscapes", tmp_path))


@pytest.mark.parametrize("inside", ["", "ADEChallengeData2016"])
def test_ade20k_with_its_list_of_names(tmp_path, inside):
    root = tmp_path / "a" / inside
    stored = {}
    for i, split in enumerate(("training", "validation")):
        name = f"ADE_{split[:-3]}_0000000{i}"
        picture(root / "images" / split / f"{name}.jpg", i)
        path = root / "annotations" / split / f"{name}.png"
        stored[name] = numbers(path, range(151), i)
    lines = [f"{i}\t0.1\t1\t1\t0\tname {i}, synonym" for i in range(1, 151)]
    text(root / "objectInfo150.txt", "Idx\tRatio\tTrain\tVal\tStuff\tName", *lines)
    found = prepared("ade20k", tmp_path / "a", tmp_path)
    assert set(found) == {"train", "val"}
    (name,) = found["val"]
    check(found["val"], name, stored[name], {n: n - 1 for n in range(1, 151)})
    source = sources.open_sources(["ade20k:val"], directory=tmp_path / "records")
    assert source.parts[0].classes == tuple(f"name {i}" for i in range(1, 151))
    text(root / "objectInfo150.txt", "Name", *lines[:100])
    with pytest.raises(errors.DataError, match="names 100 classes, wanted 150"):
        prepared("ade20k", tmp_path / "a", tmp_path)
    (root / "objectInfo150.txt").unlink()
    with pytest.raises(errors.DataError, match=r"Cannot read .*objectInfo150\.txt"):
        prepared("ade20k", tmp_path / "a", tmp_path)


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
        picture(root / images.format(split, i), i)
        path = root / labels.format(split, i)
        stored[i] = numbers(path, values, i)
    if listed:
        text(root / "train.txt", "1", "RGB/3.jpg" if name == "sun_rgbd" else "3")
        text(root / "test.txt", "2")
    found = prepared(name, root, tmp_path)
    assert {split: len(records) for split, records in found.items()} == {
        "train": 2,
        "test": 1,
    }
    (record,) = found["test"]
    assert record.endswith("2")
    check(found["test"], record, stored[2], FROM_ONE)


def test_nyu_in_plain_folders_counts_from_zero(tmp_path):
    names = [name.title() for name in builders.find("nyudv2").classes]
    text(tmp_path / "n" / "classes.txt", *names, "Void")
    for i, split in enumerate(("train", "val")):
        picture(tmp_path / "n" / split / "images" / f"000{i}.jpg", i)
        stored = numbers(
            tmp_path / "n" / split / "labels" / f"000{i}.png", [*range(39), 255], i
        )
    found = prepared("nyudv2", tmp_path / "n", tmp_path)
    check(found["val"], "0001", stored, {n: n for n in range(40)})


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_pictures_of_nyu_lose_their_white_frame_and_cut_ones_stay(tmp_path, ending):
    root = tmp_path / "n"
    sizes = {"framed": (480, 640), "cut": (468, 625), "fcn": (425, 560)}
    stored = {}
    for i, (name, size) in enumerate(sizes.items()):
        picture(root / "train" / "rgb" / f"{name}.{ending}", i, size)
        path = root / "train" / "labels_40" / f"{name}.png"
        stored[name] = numbers(path, range(41), i, size)
    found = prepared("nyudv2", root, tmp_path)["train"]
    top, left = (480 - 468) // 2, (640 - 625) // 2  # it is as wide on all sides
    stored["framed"] = stored["framed"][top : top + 468, left : left + 625]
    for name, labels in stored.items():
        check(found, name, labels, FROM_ONE)
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
    picture(root / "train" / "rgb" / "1.png", size=(480, 640))
    labels = root / "train" / "labels_40" / "1.png"
    stored = numbers(labels, range(41), size=(468, 625))
    check(prepared("nyudv2", root, tmp_path)["train"], "1", stored, FROM_ONE)
    numbers(labels, range(41), size=(425, 560))
    with pytest.raises(errors.DataError, match=r"1\.png is 425x560, .* is 468x625"):
        prepared("nyudv2", root, tmp_path)


@pytest.mark.parametrize("name", ["camvid", "voc2012", "nyudv2"])
def test_plain_folders_must_name_the_classes_of_the_set(tmp_path, name):
    picture(tmp_path / "p" / "train" / "images" / "a.png")
    numbers(tmp_path / "p" / "train" / "labels" / "a.png", range(3))
    with pytest.raises(errors.DataError, match=r"Cannot read .*classes\.txt"):
        prepared(name, tmp_path / "p", tmp_path)
    text(tmp_path / "p" / "classes.txt", "road", "sky", "tree")
    with pytest.raises(
        errors.DataError, match=rf"names other classes than {name} .* mask_folder"
    ):
        prepared(name, tmp_path / "p", tmp_path)
    text(tmp_path / "p" / "classes.txt", *builders.find(name).classes)
    assert list(prepared(name, tmp_path / "p", tmp_path)["train"]) == ["a"]


def test_scoring_sun_rgbd_after_training_on_nyu_is_refused(tmp_path):
    for name, values in (("nyudv2", range(40)), ("sun_rgbd", range(38))):
        for i, split in enumerate(("train", "test"), len(values)):
            picture(tmp_path / name / split / "images" / "1.png", i)
            numbers(tmp_path / name / split / "labels" / "1.png", values, i)
        text(tmp_path / name / "classes.txt", *builders.find(name).classes)
        prepared(name, tmp_path / name, tmp_path)
    for train, test in (("nyudv2", "sun_rgbd"), ("sun_rgbd", "nyudv2")):
        data = config.Data(
            (f"{train}:train",), (f"{test}:test",), directory=str(tmp_path / "records")
        )
        with pytest.raises(errors.DataError, match="holds crops of NYU Depth v2"):
            identity.check_disjoint(data)


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


def spoil(root, what):
    """Does one thing wrong to the training split of SegNet's CamVid."""
    images, labels = root / "CamVid" / "train", root / "CamVid" / "trainannot"
    if what == "no labels":
        (labels / "train_1.png").unlink()
        return r"1 pictures have no label file: .*train/train_1\.png\. Wanted .*annot\."
    if what == "no picture":
        (images / "train_0.png").unlink()
        return r"1 label files have no picture: .*trainannot/train_0\.png"
    if what == "size":
        numbers(labels / "train_1.png", range(12), size=(16, 12))
        return r"labels in .*train_1\.png is 16x12, .*train_1\.png is 12x16"
    if what == "colours":
        picture(labels / "train_1.png")
        return r"trainannot/train_1\.png is a colour picture"
    if what == "range":
        numbers(labels / "train_1.png", [3, 12])
        return r"trainannot/train_1\.png holds 12 \(\d+ pixels\); wanted 0 to 10, or 11"
    if what == "damaged":
        path = labels / "train_1.png"
        path.write_bytes(path.read_bytes()[:60])
        return r"Cannot decode .*trainannot/train_1\.png"
    if what == "lossy":
        (labels / "train_1.png").rename(labels / "train_1.jpg")
        return r"1 pictures have no label file: .*train_1\.png"
    raise AssertionError(what)


FAULTS = ["no labels", "no picture", "size", "colours", "range", "damaged", "lossy"]


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_wrong_is_named_and_nothing_stays_behind(street, tmp_path, what):
    message = spoil(street, what)
    with pytest.raises(errors.DataError, match=message):
        prepared("camvid", street, tmp_path)
    left = [p.name for p in (tmp_path / "records").rglob("*") if p.is_file()]
    assert left == [".lock"]


@pytest.mark.parametrize("what", FAULTS)
def test_bad_files_can_be_skipped_and_are_listed(street, tmp_path, what):
    message = spoil(street, what)
    found = prepared("camvid", street, tmp_path, skip_bad=True)
    assert [len(records) for records in found.values()] == [1, 2, 2]
    (skipped,) = sources.inspect("camvid", directory=tmp_path / "records").skipped
    assert message.split(".*")[0].replace("\\", "")[:20] in skipped


def test_a_split_whose_files_are_all_bad_is_refused(street, tmp_path):
    shutil.rmtree(street / "CamVid" / "valannot")
    (street / "CamVid" / "valannot").mkdir()
    with pytest.raises(errors.DataError, match=r"No picture has labels in .*valannot"):
        prepared("camvid", street, tmp_path, skip_bad=True)


def test_what_a_folder_lacks_is_told(voc, street, tmp_path):
    (voc / "SegmentationClass").rename(voc / "SegmentationObject")
    with pytest.raises(
        errors.DataError,
        match=r"not hold voc2012 .* is no VOCdevkit/VOC2012/SegmentationClass\. It",
    ):
        prepared("voc2012", voc.parents[1], tmp_path)
    with pytest.raises(errors.DataError, match=r"It has CamVid\. .* mask_folder"):
        prepared("voc2012", street, tmp_path)
    with pytest.raises(errors.DataError, match="does not exist"):
        prepared("camvid", tmp_path / "none", tmp_path)


def test_lists_must_name_what_is_there(voc, tmp_path):
    listing = voc / "ImageSets" / "Segmentation" / "train.txt"
    text(listing, "2007_1", "2007_7")
    with pytest.raises(
        errors.DataError,
        match=r"1 listed pictures of voc2012:train are not there: .*JPEGImages/2007_7",
    ):
        prepared("voc2012", voc, tmp_path)
    assert list(prepared("voc2012", voc, tmp_path, skip_bad=True)["train"]) == [
        "2007_1"
    ]
    text(listing, "")
    with pytest.raises(errors.DataError, match=r"train\.txt lists nothing"):
        prepared("voc2012", voc, tmp_path)


def test_two_pictures_of_one_name_are_refused(street, tmp_path):
    picture(street / "CamVid" / "train" / "train_0.jpg")
    with pytest.raises(errors.DataError, match=r"train_0\.png and train_0\.jpg have"):
        prepared("camvid", street, tmp_path)


def test_records_of_older_versions_have_no_notes(street, tmp_path):
    prepared("camvid", street, tmp_path)
    (path,) = (tmp_path / "records").glob("camvid/*/metadata.json")
    metadata = json.loads(path.read_text())
    assert metadata.pop("notes")
    path.write_text(json.dumps(metadata))
    assert notes("camvid", tmp_path) == []


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
