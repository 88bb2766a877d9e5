"""Public sets that several files of tests want, small."""

import pytest

from tests import made_sets


@pytest.fixture
def street(tmp_path):
    """CamVid as SegNet publishes it, two frames a split."""
    for split in ("train", "val", "test"):
        for i in range(2):
            name = f"{split}_{i}.png"
            made_sets.picture(tmp_path / "c" / "CamVid" / split / name, i)
            made_sets.numbers(
                tmp_path / "c" / "CamVid" / f"{split}annot" / name, range(12), i
            )
    return tmp_path / "c"


@pytest.fixture
def voc(tmp_path):
    """Two training images, one to validate, and two that only SBD labels."""
    root = tmp_path / "v" / "VOCdevkit" / "VOC2012"
    lists = root / "ImageSets" / "Segmentation"
    for i, name in enumerate(("2007_1", "2007_2", "2008_3", "2009_4", "2009_5")):
        made_sets.picture(root / "JPEGImages" / f"{name}.jpg", i)
    for name in ("2007_1", "2007_2", "2008_3"):
        made_sets.numbers(root / "SegmentationClass" / f"{name}.png", [0, 5, 20, 255])
    made_sets.text(lists / "train.txt", "2007_1", "2007_2")
    made_sets.text(lists / "val.txt", "2008_3")
    made_sets.text(lists / "trainval.txt", "2007_1", "2007_2", "2008_3")
    made_sets.text(lists / "test.txt", "2010_9")
    return root
