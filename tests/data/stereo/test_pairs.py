"""How stereo pairs lie in folders."""

import PIL.Image
import pytest

from dpjax import errors
from dpjax.data.stereo import pairs


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (9, 9)).save(root / name)


def test_both_ways_to_lay_pairs_out_are_found(tmp_path):
    touch(tmp_path, "left/b.png", "right/b.jpg", "Left/d/a.png", "Right/d/a.png")
    touch(tmp_path, "x/left.png", "x/right.png", "x/disparity.png", "y/z/left.png")
    touch(tmp_path, "y/z/right.png")
    found = pairs.find(tmp_path)
    assert list(found) == ["b", "d/a", "x", "y/z"]
    assert found["b"] == (tmp_path / "left/b.png", tmp_path / "right/b.jpg")
    assert found["x"].right == tmp_path / "x/right.png"


def test_a_single_pair_has_a_name(tmp_path):
    touch(tmp_path, "left.png", "right.png")
    assert list(pairs.find(tmp_path)) == ["pair"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png"], "holds no stereo pair"),
        (
            ["left/a.png", "right/b.png"],
            r"2 views have no other view, such as .*a\.png",
        ),
        (["left/a.png", "left/a.jpg", "right/a.png"], "both the left view of 'a'"),
    ],
)
def test_what_is_no_pair_is_told(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(errors.DataError, match=message):
        pairs.find(tmp_path)


def test_views_without_the_other_are_left_out_if_asked(tmp_path):
    touch(tmp_path, "left/a.png", "left/b.png", "right/b.png", "c/right.png")
    with pytest.raises(errors.DataError, match=r"2 views .*--skip-bad"):
        pairs.find(tmp_path)
    told = []
    assert list(pairs.find(tmp_path, told.append)) == ["b"]
    assert told == [
        f"{tmp_path / name} has no other view."
        for name in ("left/a.png", "c/right.png")
    ]
    (tmp_path / "left" / "b.png").unlink()
    with pytest.raises(errors.DataError, match="holds no stereo pair"):
        pairs.find(tmp_path, told.append)
