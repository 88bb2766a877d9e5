"""Pictures that a task cannot use are named before it begins, with the way out."""

import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import preparation, sizes, sources


@pytest.fixture
def opened(tmp_path, photo):
    """Opens sources of four train pictures and two test pictures of known sizes."""
    for name, height, width in (
        ("train/a.png", 12, 9),
        ("train/b.png", 8, 30),
        ("train/c.png", 20, 20),
        ("train/d.png", 11, 10),
        ("test/e.png", 40, 8),
        ("test/f.png", 40, 50),
    ):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(photo[:height, :width]).save(path)
    preparation.prepare(
        "image_folder", folder=tmp_path / "images", directory=tmp_path, config="m"
    )
    return lambda *names: sources.open_sources(names, directory=tmp_path)


def test_small_pictures_are_named_with_what_is_wanted_and_the_way_out(opened):
    train, test = "image_folder/m:train", "image_folder/m:test"
    with pytest.raises(errors.DataError) as caught:
        sizes.check(opened(train, test), 10, "trained on")
    assert str(caught.value) == (
        f"Pictures of {train} are too small to be trained on: 'train/a.png' (9x12), "
        "'train/b.png' (30x8); at least 10x10 pixels are needed. Leave them out: "
        f"write the source '{train}-train/a.png,train/b.png'. "
        f"Pictures of {test} are too small to be trained on: 'test/e.png' (8x40); at "
        "least 10x10 pixels are needed. Leave them out: write the source "
        f"'{test}-test/e.png'."
    )
    sizes.check(opened(f"{train}-train/a.png,train/b.png"), 10, "trained on")
    with pytest.raises(errors.DataError, match=r"'image_folder/m:train-train/a\.png,"):
        sizes.check(opened(f"{train}-train/a.png"), 10, "trained on")


def test_the_least_size_itself_is_large_enough(opened):
    sizes.check(opened("image_folder/m:train"), 8, "scored")
    with pytest.raises(errors.DataError, match=r"'train/b\.png'"):
        sizes.check(opened("image_folder/m:train"), 9, "scored")


def test_pictures_beyond_the_limit_do_not_matter(opened):
    source = opened("image_folder/m:train")
    sizes.check(source, 9, "scored", limit=1)
    with pytest.raises(errors.DataError, match=r"scored: 'train/b\.png' \(30x8\);"):
        sizes.check(source, 9, "scored", limit=2)


def test_many_small_pictures_are_counted(opened):
    with pytest.raises(errors.DataError, match=r"'train/c\.png' \(20x20\) and 1 more"):
        sizes.check(opened("image_folder/m:train"), 50, "scored")
