"""A user's stereo pairs in both forms, their scales, and what is wrong with a copy."""

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import preparation, sources
from tests import random_dots

SIZE = (18, 24)


def picture(path, seed, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path)
    return pixels


def disparity(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.arange(size[0] * size[1], dtype=np.uint16).reshape(size)
    PIL.Image.fromarray(levels).save(path)
    return levels


def flat(path):
    PIL.Image.fromarray(np.full((*SIZE, 3), 99, np.uint8)).save(path)


def swap(root):
    views = random_dots.pair()[:2]
    for view, side in zip(views, ("right", "left"), strict=True):
        PIL.Image.fromarray(view).save(root / "a" / f"{side}.png")


def records(folder, tmp_path, split="train", **options):
    where = tmp_path / "r"
    preparation.prepare(
        "stereo_pairs", folder=folder, directory=where, config="mine", **options
    )
    source = sources.open_sources([f"stereo_pairs/mine:{split}"], directory=where)
    return [source[i] for i in range(len(source))]


@pytest.fixture
def scenes(tmp_path):
    """A folder for each scene, one of which has its truth."""
    root = tmp_path / "scenes"
    for i, name in enumerate("ab"):
        picture(root / name / "left.png", 2 * i)
        picture(root / name / "right.png", 2 * i + 1)
    disparity(root / "b" / "disp_left.png")
    (root / "scales.csv").write_text("name,disparity_scale,width\na,4,24\nb,16,24\n")
    return root


def test_scenes_keep_both_views_and_their_truth_in_baselines(scenes, tmp_path):
    found = records(scenes, tmp_path, ratio=1.0)
    assert [record["id"] for record in found] == ["a", "b"]
    for i, record in enumerate(found):
        for k, view in enumerate(("image", "right")):
            wanted = picture(tmp_path / "again.png", 2 * i + k)
            np.testing.assert_array_equal(record[view], wanted)
        # Nobody tells focal length and baseline.
        assert record["focal_baseline"] == SIZE[1]
    assert not np.any(found[0]["depth"])
    levels = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    wanted = np.where(levels > 0, SIZE[1] * 16 / np.maximum(levels, 1), 0)
    np.testing.assert_allclose(found[1]["depth"], wanted, rtol=1e-6)
    notes = sources.inspect("stereo_pairs/mine", directory=tmp_path / "r").notes
    assert any("in baselines" in note for note in notes)


def test_folders_of_views_are_splits_and_tell_metres(tmp_path):
    root = tmp_path / "kitti"
    for split in ("train", "val"):
        for i in range(2):
            for view in ("left", "right"):
                picture(root / split / view / "drive" / f"{i}.png", i)
    disparity(root / "val" / "disparity" / "drive" / "1.png")
    (root / "scales.csv").write_text(
        "name,disparity_scale,focal_baseline\n*,256,386\n0,,200\n"
    )
    found = records(root, tmp_path)
    names = [record["id"] for record in found]
    assert names == ["train/drive/0", "train/drive/1"]
    assert [record["focal_baseline"] for record in found] == [200, 386]
    source = sources.open_sources(["stereo_pairs/mine:val"], directory=tmp_path / "r")
    depth = source[1]["depth"]
    assert depth[0, 1] == pytest.approx(386 * 256)
    assert depth[-1, -1] == pytest.approx(386 * 256 / (SIZE[0] * SIZE[1] - 1))


def test_a_view_without_the_other_is_told_or_left_out(scenes, tmp_path):
    (scenes / "a" / "right.png").unlink()
    with pytest.raises(errors.DataError, match=r"1 pairs in .* lack a view: a"):
        records(scenes, tmp_path, ratio=1.0)
    found = records(scenes, tmp_path, ratio=1.0, skip_bad=True)
    assert [record["id"] for record in found] == ["b"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda r: picture(r / "a" / "right.png", 1, (9, 9)),
            r"a/left.png and .*a/right.png: the left view is 18x24, the right one",
        ),
        (
            lambda r: flat(r / "a" / "left.png"),
            r"a/right.png: the left view has one colour",
        ),
        (swap, r"a/right.png: 100% of \d+ points .* further right .*; exchange left"),
        (lambda r: disparity(r / "b" / "disp_left.png", (9, 9)), "has 9x9 numbers"),
        (lambda r: (r / "scales.csv").unlink(), "What do the numbers in .*disp_left"),
        (lambda r: (r / "scales.csv").write_text("x\n1\n"), r"\(its first line is x\)"),
        (lambda r: (r / "scales.csv").write_text("*,4\n"), "columns name,disparity_sc"),
        (
            lambda r: (r / "scales.csv").write_text("name,disparity_scale\nb,-1\n"),
            "b has a number that is not above 0",
        ),
    ],
)
def test_what_does_not_fit_is_told(scenes, tmp_path, spoil, message):
    spoil(scenes)
    with pytest.raises(errors.DataError, match=message):
        records(scenes, tmp_path, ratio=1.0)


def test_other_folders_are_refused(tmp_path):
    picture(tmp_path / "x" / "left" / "1.png", 0)
    picture(tmp_path / "y" / "1.png", 0)
    with pytest.raises(errors.DataError, match=r"1 pairs in .* lack a view"):
        records(tmp_path / "x", tmp_path)
    with pytest.raises(errors.DataError, match="Wanted the folders left and right"):
        records(tmp_path / "y", tmp_path)
