"""Sets with labels of which something is missing or wrong: it is named, or left out."""

import json
import shutil

import pytest

from dpjax import errors
from dpjax.data import (
    sources,
)
from tests import made_sets


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
        made_sets.numbers(labels / "train_1.png", range(12), size=(16, 12))
        return r"labels in .*train_1\.png is 16x12, .*train_1\.png is 12x16"
    if what == "colours":
        made_sets.picture(labels / "train_1.png")
        return r"trainannot/train_1\.png is a colour picture"
    if what == "range":
        made_sets.numbers(labels / "train_1.png", [3, 12])
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
        made_sets.prepared("camvid", street, tmp_path)
    left = [p.name for p in (tmp_path / "records").rglob("*") if p.is_file()]
    assert left == [".lock"]


@pytest.mark.parametrize("what", FAULTS)
def test_bad_files_can_be_skipped_and_are_listed(street, tmp_path, what):
    message = spoil(street, what)
    found = made_sets.prepared("camvid", street, tmp_path, skip_bad=True)
    assert [len(records) for records in found.values()] == [1, 2, 2]
    (skipped,) = sources.inspect("camvid", directory=tmp_path / "records").skipped
    assert message.split(".*")[0].replace("\\", "")[:20] in skipped


def test_a_split_whose_files_are_all_bad_is_refused(street, tmp_path):
    shutil.rmtree(street / "CamVid" / "valannot")
    (street / "CamVid" / "valannot").mkdir()
    with pytest.raises(errors.DataError, match=r"No picture has labels in .*valannot"):
        made_sets.prepared("camvid", street, tmp_path, skip_bad=True)


def test_what_a_folder_lacks_is_told(voc, street, tmp_path):
    (voc / "SegmentationClass").rename(voc / "SegmentationObject")
    with pytest.raises(
        errors.DataError,
        match=r"not hold voc2012 .* is no VOCdevkit/VOC2012/SegmentationClass\. It",
    ):
        made_sets.prepared("voc2012", voc.parents[1], tmp_path)
    with pytest.raises(errors.DataError, match=r"It has CamVid\. .* mask_folder"):
        made_sets.prepared("voc2012", street, tmp_path)
    with pytest.raises(errors.DataError, match="does not exist"):
        made_sets.prepared("camvid", tmp_path / "none", tmp_path)


def test_lists_must_name_what_is_there(voc, tmp_path):
    listing = voc / "ImageSets" / "Segmentation" / "train.txt"
    made_sets.text(listing, "2007_1", "2007_7")
    with pytest.raises(
        errors.DataError,
        match=r"1 listed pictures of voc2012:train are not there: .*JPEGImages/2007_7",
    ):
        made_sets.prepared("voc2012", voc, tmp_path)
    assert list(
        made_sets.prepared("voc2012", voc, tmp_path, skip_bad=True)["train"]
    ) == ["2007_1"]
    made_sets.text(listing, "")
    with pytest.raises(errors.DataError, match=r"train\.txt lists nothing"):
        made_sets.prepared("voc2012", voc, tmp_path)


def test_two_pictures_of_one_name_are_refused(street, tmp_path):
    made_sets.picture(street / "CamVid" / "train" / "train_0.jpg")
    with pytest.raises(errors.DataError, match=r"train_0\.png and train_0\.jpg have"):
        made_sets.prepared("camvid", street, tmp_path)


def test_records_of_older_versions_have_no_notes(street, tmp_path):
    made_sets.prepared("camvid", street, tmp_path)
    (path,) = (tmp_path / "records").glob("camvid/*/metadata.json")
    metadata = json.loads(path.read_text())
    assert metadata.pop("notes")
    path.write_text(json.dumps(metadata))
    assert made_sets.notes("camvid", tmp_path) == []
