"""A user's own images and masks."""

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import builders, preparation, sources

SIZE = (16, 20)


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (*SIZE, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def mask(path, values, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = np.random.default_rng(seed).choice(np.array(values, np.uint8), SIZE)
    PIL.Image.fromarray(stored).save(path)
    return stored


@pytest.fixture
def folder(tmp_path):
    """Ten images, one of them in a folder of its own, with masks of three classes."""
    for i in range(10):
        name = f"deep/{i}" if i == 9 else f"{i}"
        picture(tmp_path / "m" / "images" / f"{name}.jpg", i)
        mask(tmp_path / "m" / "masks" / f"{name}.png", [0, 1, 2], i)
    return tmp_path / "m"


def prepare(folder, tmp_path, **options):
    preparation.prepare(
        "mask_folder",
        folder=folder,
        directory=tmp_path / "records",
        config="mine",
        replace=True,
        **options,
    )
    counts = sources.inspect("mask_folder/mine", directory=tmp_path / "records").counts
    return {
        split: sources.open_sources(
            [f"mask_folder/mine:{split}"], directory=tmp_path / "records"
        )
        for split in counts
    }


def splits_of(folder, tmp_path, **options):
    kind = builders.find("mask_folder")
    builder = kind(folder=folder, data_dir=tmp_path / "r", **options)
    return {s: list(files) for s, files in builder.find(folder).items()}


def test_masks_follow_their_images_into_the_splits(folder, tmp_path):
    found = prepare(folder, tmp_path, ratio=0.5)
    assert sum(map(len, found.values())) == 10
    for source in found.values():
        assert source.parts[0].classes == ("0", "1", "2")
        for record in source:
            path = (folder / "masks" / record["id"]).with_suffix(".png")
            np.testing.assert_array_equal(record["labels"], PIL.Image.open(path))
            truth = PIL.Image.open(folder / "images" / record["id"])
            assert np.abs(record["image"].astype(int) - truth).max() <= 1


def test_the_sides_of_a_ratio_are_those_of_image_folder(folder, tmp_path):
    kind = builders.find("image_folder")
    images = folder / "images"
    builder = kind(folder=images, data_dir=tmp_path / "r", ratio=0.6)
    wanted = {split: list(files) for split, files in builder.find(images).items()}
    assert splits_of(folder, tmp_path, ratio=0.6) == wanted


def test_copies_of_a_picture_stay_together(tmp_path, photo):
    for i in range(8):
        part = PIL.Image.fromarray(photo[:, 30 * i : 30 * i + 150])
        for name, image in ((f"{i}", part), (f"{i}_small", part.resize((75, 150)))):
            for kind in ("images", "masks"):
                (tmp_path / "m" / kind).mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / "m" / "images" / f"{name}.png")
            labels = (np.arange(image.height)[:, None] > 40) * np.ones(image.width)
            labels = PIL.Image.fromarray(labels.astype(np.uint8))
            labels.save(tmp_path / "m" / "masks" / f"{name}.png")
    found = splits_of(tmp_path / "m", tmp_path, ratio=0.5)
    assert len(found) == 2
    for names in map(set, found.values()):
        originals = {name for name in names if "small" not in name}
        assert {n.replace(".png", "_small.png") for n in originals} <= names


def test_a_list_names_the_test_images(folder, tmp_path):
    listing = tmp_path / "test.txt"
    listing.write_text("3.jpg\ndeep/9.jpg\n")
    found = splits_of(folder, tmp_path, test_list=listing)
    assert found["test"] == ["3.jpg", "deep/9.jpg"]


@pytest.mark.parametrize("masks", ["masks", "labels"])
def test_folders_of_splits(tmp_path, masks):
    for i, split in enumerate(("train", "valid", "test")):
        picture(tmp_path / "m" / split / "images" / "a.png", i)
        mask(tmp_path / "m" / split / masks / "a.png", [0, 1], i)
    found = prepare(tmp_path / "m", tmp_path)
    assert {split: source.ids() for split, source in found.items()} == {
        "train": ["train/a.png"],
        "val": ["valid/a.png"],
        "test": ["test/a.png"],
    }
    stored = PIL.Image.open(tmp_path / "m" / "valid" / masks / "a.png")
    np.testing.assert_array_equal(found["val"][0]["labels"], stored)
    with pytest.raises(errors.UserError, match="split already, into train, valid, te"):
        splits_of(tmp_path / "m", tmp_path, ratio=0.5)
    (tmp_path / "m" / "test").rename(tmp_path / "m" / "validation")
    with pytest.raises(errors.DataError, match="two folders of one split: train, val"):
        splits_of(tmp_path / "m", tmp_path)


def test_pixels_without_a_class(folder, tmp_path):
    stored = mask(folder / "masks" / "0.png", [0, 2, 200])
    (folder / "classes.txt").write_text("a\nb\nc\n")
    with pytest.raises(errors.DataError, match=r"0\.png holds 200 .* wanted 0 to 2\."):
        prepare(folder, tmp_path)
    source = prepare(folder, tmp_path, ignore=200, ratio=1.0)["train"]
    assert source.parts[0].classes == ("a", "b", "c")
    wanted = np.where(stored == 200, 255, stored)
    np.testing.assert_array_equal(source[0]["labels"], wanted)
    (folder / "classes.txt").unlink()
    source = prepare(folder, tmp_path, ignore=200, ratio=1.0)["train"]
    assert source.parts[0].classes == ("0", "1", "2")
    np.testing.assert_array_equal(source[0]["labels"], wanted)
    with pytest.raises(errors.UserError, match="0 to 65535, got -1"):
        prepare(folder, tmp_path, ignore=-1)


def test_a_number_below_the_largest_can_be_ignored(folder, tmp_path):
    source = prepare(folder, tmp_path, ignore=1, ratio=1.0)["train"]
    assert source.parts[0].classes == ("0", "2")
    for record in source:
        path = (folder / "masks" / record["id"]).with_suffix(".png")
        stored = np.asarray(PIL.Image.open(path))
        wanted = np.select([stored == 1, stored == 2], [255, 1], 0)
        np.testing.assert_array_equal(record["labels"], wanted)


def test_black_and_white_masks_say_how_to_go_on(folder, tmp_path):
    white = (mask(folder / "masks" / "3.png", [0, 255], 3) == 255).sum()
    with pytest.raises(
        errors.DataError,
        match=rf"is 255, in \S+masks/3\.png \({white} pixels\); wanted 1 to 254\. "
        ".*--ignore 255.*255 object",
    ):
        prepare(folder, tmp_path)
    for i in range(10):
        mask(folder / "masks" / (f"deep/{i}.png" if i == 9 else f"{i}.png"), [0, 255])
    with pytest.raises(
        errors.DataError, match=r"in \S+0\.png \(\d+ pixels\) and 9 more files; wanted"
    ):
        prepare(folder, tmp_path)
    (folder / "classes.txt").write_text("0 background\n255 object\n")
    source = prepare(folder, tmp_path, ratio=1.0)["train"]
    stored = np.asarray(PIL.Image.open(folder / "masks" / "0.png"))
    np.testing.assert_array_equal(source[0]["labels"], stored // 255)


def test_masks_in_colours(folder, tmp_path):
    for path in folder.glob("masks/**/*.png"):
        numbers = np.asarray(PIL.Image.open(path))
        colours = np.array([(0, 0, 0), (9, 200, 9), (250, 0, 0)], np.uint8)
        PIL.Image.fromarray(colours[numbers]).save(path)
    with pytest.raises(
        errors.DataError,
        match=r"0\.png is a colour picture; .*classes\.txt .*`R G B NAME` for each of "
        r"them; here these are (?=.*0 0 0 \()(?=.*9 200 9 \()(?=.*250 0 0 \(\d+ pix)",
    ) as told:
        prepare(folder, tmp_path)
    assert "prepare the files as" not in str(told.value)
    (folder / "classes.txt").write_text("0 0 0 void\n9 200 9 tree\n250 0 0 sky\n")
    source = prepare(folder, tmp_path, ratio=1.0)["train"]
    assert source.parts[0].classes == ("tree", "sky")
    np.testing.assert_array_equal(
        source[0]["labels"] == 255,
        np.asarray(PIL.Image.open(folder / "masks" / "0.png")).max(-1) == 0,
    )
    (folder / "classes.txt").write_text("0 0 0 void\n9 200 9 tree\n250 0 1 sky\n")
    with pytest.raises(errors.DataError, match=r"colours of no class: 250 0 0 \("):
        prepare(folder, tmp_path)


def test_masks_with_a_palette_of_the_listed_colours(folder, tmp_path):
    """In another order than the list, so that the numbers mean something else."""
    for path in folder.glob("masks/**/*.png"):
        image = PIL.Image.open(path)
        image.putpalette([0, 0, 0, 9, 200, 9, 250, 0, 0])
        image.save(path)
    (folder / "classes.txt").write_text("250 0 0 sky\n9 200 9 tree\n0 0 0 void\n")
    source = prepare(folder, tmp_path, ratio=1.0)["train"]
    assert source.parts[0].classes == ("sky", "tree")
    for record in source:
        path = (folder / "masks" / record["id"]).with_suffix(".png")
        wanted = np.array([255, 1, 0])[np.asarray(PIL.Image.open(path))]
        np.testing.assert_array_equal(record["labels"], wanted)
    (folder / "classes.txt").write_text("250 0 0 sky\n9 200 9 tree\n1 1 1 void\n")
    with pytest.raises(
        errors.DataError, match=r"0\.png has colours of no class: 0 0 0"
    ):
        prepare(folder, tmp_path)


def test_what_is_wrong_is_named(folder, tmp_path):
    mask(folder / "masks" / "extra.png", [0, 1])
    with pytest.raises(errors.DataError, match=r"masks/extra\.png has no picture\."):
        prepare(folder, tmp_path)
    (folder / "masks" / "extra.png").rename(folder / "masks" / "0.tif")
    with pytest.raises(errors.DataError, match=r"0\.tif and 0\.png have the same"):
        prepare(folder, tmp_path)
    (folder / "masks" / "0.tif").unlink()
    (folder / "masks" / "0.png").unlink()
    mask(folder / "masks" / "0.jpg", [0, 1])
    with pytest.raises(errors.DataError, match=r"0\.jpg is compressed with loss"):
        prepare(folder, tmp_path)
    found = prepare(folder, tmp_path, skip_bad=True, ratio=1.0)
    assert len(found["train"]) == 9
    (folder / "masks").rename(folder / "truth")
    with pytest.raises(
        errors.DataError, match=r"images and masks or labels in .*found images, truth\."
    ):
        prepare(folder, tmp_path)


@pytest.mark.parametrize("has_list", [False, True])
def test_a_bad_mask_says_how_to_do_without_it(folder, tmp_path, has_list):
    if has_list:
        (folder / "classes.txt").write_text("a\nb\nc\n")
    (folder / "masks" / "3.png").write_bytes(b"nothing")
    with pytest.raises(errors.DataError, match=r"3\.png.*pass --skip-bad\."):
        prepare(folder, tmp_path)
    assert len(prepare(folder, tmp_path, skip_bad=True, ratio=1.0)["train"]) == 9


def test_a_folder_without_any_usable_mask_says_why(folder, tmp_path):
    for path in folder.glob("masks/**/*.png"):
        PIL.Image.new("RGB", SIZE[::-1], "red").save(path)
    with pytest.raises(errors.DataError, match=r"0\.png is a colour picture"):
        prepare(folder, tmp_path, skip_bad=True)


def test_a_mask_of_another_size_is_named_beside_its_image(folder, tmp_path):
    stored = PIL.Image.open(folder / "masks" / "7.png").rotate(90, expand=True)
    stored.save(folder / "masks" / "7.png")
    with pytest.raises(
        errors.DataError,
        match=r"The size of the labels in \S+masks/7\.png is 20x16, that of the image "
        r"\S+images/7\.jpg is 16x20 \(height x width\)\. Both must",
    ):
        prepare(folder, tmp_path)


def test_masks_of_a_single_value_are_no_classes(tmp_path):
    picture(tmp_path / "m" / "images" / "a.png")
    mask(tmp_path / "m" / "masks" / "a.png", [0])
    with pytest.raises(errors.DataError, match=r"largest number in the masks .* is 0"):
        prepare(tmp_path / "m", tmp_path)


def notes_of(tmp_path):
    return sources.inspect("mask_folder/mine", directory=tmp_path / "records").notes


def stray(folder, name, number):
    """Gives one pixel of a mask another number."""
    stored = np.array(PIL.Image.open(folder / "masks" / name))
    stored[3, 4] = number
    PIL.Image.fromarray(stored).save(folder / "masks" / name)


def test_numbers_that_no_mask_holds_are_told_with_the_mask_of_the_largest(
    folder, tmp_path
):
    prepare(folder, tmp_path)
    assert notes_of(tmp_path) == []
    stray(folder, "4.png", 9)
    stray(folder, "5.png", 4)
    source = prepare(folder, tmp_path, ratio=1.0)["train"]
    assert len(source.parts[0].classes) == 10
    (note,) = notes_of(tmp_path)
    assert f"9 is the largest number in the masks, in {folder}/masks/4.png (1 p" in note
    assert "no mask holds 3, 5 to 8; these count" in note
    assert f"In doubt are 4 in {folder}/masks/5.png (1 pixel); 9 in " in note
    prepare(folder, tmp_path, ignore=9)
    assert "holds 3;" in notes_of(tmp_path)[0]
    (folder / "classes.txt").write_text("\n".join("abcdefghij"))
    prepare(folder, tmp_path)
    assert notes_of(tmp_path) == []


def test_an_ignored_number_is_no_gap(folder, tmp_path):
    for i in range(3):
        mask(folder / "masks" / f"{i}.png", [0, 2, 3, 4])
    stray(folder, "0.png", 6)
    prepare(folder, tmp_path, ignore=5)
    assert notes_of(tmp_path) == []


def test_a_wide_gap_is_refused(folder, tmp_path):
    stray(folder, "4.png", 200)
    with pytest.raises(
        errors.DataError,
        match=r"200 is the largest .*masks/4\.png \(1 pixel\), and no mask holds 3 to "
        r"199: 4 numbers would make 201 classes\. .*--ignore 200\. .*`NUMBER NAME`",
    ):
        prepare(folder, tmp_path)
    source = prepare(folder, tmp_path, ignore=200, ratio=1.0)["train"]
    assert source.parts[0].classes == ("0", "1", "2")
    (folder / "classes.txt").write_text("0 a\n1 b\n2 c\n200 d\n")
    source = prepare(folder, tmp_path, ratio=1.0)["train"]
    assert (source[4]["labels"] == 3).sum() == 1


def test_several_strays_are_named_with_their_files(folder, tmp_path):
    """Two gaps, each narrow beside the thirteen numbers that there are."""
    for i in range(10):
        name = f"deep/{i}" if i == 9 else f"{i}"
        mask(folder / "masks" / f"{name}.png", range(13), i)
    stray(folder, "4.png", 40)
    stray(folder, "5.png", 77)
    stray(folder, "6.png", 77)
    with pytest.raises(
        errors.DataError,
        match=r"77 is .*no mask holds 13 to 39, 41 to 76: 15 numbers would make 78 cl.*"
        r" In doubt are 40 in \S+masks/4\.png \(1 pixel\); 77 in \S+masks/5\.png "
        r"\(1 pixel\) and 1 more file\. ",
    ):
        prepare(folder, tmp_path)
    (folder / "classes.txt").write_text("\n".join(map(str, range(13))))
    with pytest.raises(errors.DataError, match=r"values of no class, 3:\n") as told:
        prepare(folder, tmp_path)
    for name, number in (("4", 40), ("5", 77), ("6", 77)):
        assert f"masks/{name}.png holds {number} (1 pixels)" in str(told.value)


@pytest.mark.parametrize(
    ("numbers", "is_refused"),
    [
        ([0, 2, 3, 4, 5], False),
        ([0, 1, 2, 3, 4, 9], False),  # 5 to 8
        ([0, 1, 2, 3, 4, 10], True),
        ([0, 3], False),
        ([0, 4], True),  # more absent than there are
    ],
)
def test_gaps_of_more_than_four_numbers_are_wide(folder, tmp_path, numbers, is_refused):
    for i in range(10):
        name = f"deep/{i}" if i == 9 else f"{i}"
        mask(folder / "masks" / f"{name}.png", numbers, i)
    if is_refused:
        with pytest.raises(errors.DataError, match="is the largest number"):
            splits_of(folder, tmp_path)
    else:
        assert splits_of(folder, tmp_path)


def spoil(folder):
    """A mask missing, one in colours, one of half the size, and one with 255."""
    (folder / "masks" / "1.png").unlink()
    PIL.Image.new("RGB", SIZE[::-1], "red").save(folder / "masks" / "2.png")
    half = PIL.Image.open(folder / "masks" / "3.png").resize((SIZE[1] // 2, 8))
    half.save(folder / "masks" / "3.png")
    stray(folder, "4.png", 255)


@pytest.mark.parametrize("has_list", [False, True])
def test_faults_of_all_kinds_are_told_at_once(folder, tmp_path, has_list):
    spoil(folder)
    (folder / "images" / "5.jpg").write_bytes(b"nothing")
    mask(folder / "masks" / "extra.png", [0, 1])
    if has_list:
        (folder / "classes.txt").write_text("a\nb\nc\n")
    with pytest.raises(errors.DataError) as raised:
        prepare(folder, tmp_path)
    told = str(raised.value).splitlines()
    at = {line.rpartition(", ")[0]: i for i, line in enumerate(told)}
    for kind, wanted in {
        "Pictures without a mask": f"{folder}/images/1.jpg has no mask",
        "Masks without a picture": f"{folder}/masks/extra.png has no picture",
        "Masks in colours, where numbers are wanted": "masks/2.png is a colour picture",
        "Masks of another size than their picture": "masks/3.png is 8x10, that of the",
        "Pictures that cannot be used": f"Cannot decode {folder}/images/5.jpg",
        **(
            {"Masks with values of no class": "masks/4.png holds 255 (1 pixels); want"}
            if has_list
            else {"Numbers that cannot be those of classes": "masks/4.png (1 pixel)"}
        ),
    }.items():
        assert told[at[kind]] == f"{kind}, 1:"
        assert wanted in told[at[kind] + 1]
    assert len(told) == 14
    assert told[0] == "6 faults:"
    assert told[-1].endswith("leave such files out with --skip-bad.")
    with pytest.raises(errors.DataError):  # nothing that looks like a set was left
        sources.inspect("mask_folder/mine", directory=tmp_path / "records")


def test_numbers_that_fit_no_class_do_not_hide_other_faults(folder, tmp_path):
    half = PIL.Image.open(folder / "masks" / "3.png").resize((SIZE[1] // 2, 8))
    half.save(folder / "masks" / "3.png")
    stray(folder, "4.png", 90)
    with pytest.raises(errors.DataError, match=r"^2 faults:") as told:
        prepare(folder, tmp_path)
    assert "masks/3.png is 8x10" in str(told.value)
    assert "90 is the largest number" in str(told.value)


def test_a_mask_with_two_faults_is_told_with_both(folder, tmp_path):
    half = np.full((8, 10), 9, np.uint8)
    PIL.Image.fromarray(half).save(folder / "masks" / "3.png")
    (folder / "classes.txt").write_text("a\nb\nc\n")
    with pytest.raises(errors.DataError, match=r"^2 faults:") as told:
        prepare(folder, tmp_path)
    assert "masks/3.png holds 9 (80 pixels)" in str(told.value)
    assert "masks/3.png is 8x10" in str(told.value)


def test_a_picture_that_is_found_bad_when_it_is_written_tells_the_others(
    folder, tmp_path
):
    for i in (2, 6):
        (folder / "images" / f"{i}.jpg").write_bytes(b"nothing")
    with pytest.raises(errors.DataError, match="cannot be used, 2:") as told:
        prepare(folder, tmp_path, ratio=1.0)
    assert "images/6.jpg" in str(told.value)
