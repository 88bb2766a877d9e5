"""What label files store, and which class it means; what has no meaning is told."""

import struct
import zlib

import numpy as np
import PIL.Image
import pytest
import scipy.io

from dpjax import errors
from dpjax.data import class_lists, label_files

NUMBERS = np.arange(24, dtype=np.uint8).reshape(4, 6) % 5


def save(path, values):
    PIL.Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "gif"])
def test_grey_files_are_numbers(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", NUMBERS)
    np.testing.assert_array_equal(label_files.read(path), NUMBERS)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_colours_of_a_palette_are_not_looked_at(tmp_path, bits):
    image = PIL.Image.fromarray(NUMBERS)
    colours = np.random.default_rng(0).integers(0, 256, (1 << bits, 3), np.uint8)
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", bits=bits)
    np.testing.assert_array_equal(label_files.read(tmp_path / "a.png"), NUMBERS)


def with_palette(path, numbers, colours):
    image = PIL.Image.fromarray(numbers)
    image.putpalette(np.asarray(colours, np.uint8).tobytes())
    image.save(path)
    return path


def png_with_palette(numbers, colours):
    """A palette as it is; Pillow fills short ones up when it saves."""
    height, width = numbers.shape
    rows = b"".join(b"\0" + row.tobytes() for row in numbers)  # filter 0, none
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": np.asarray(colours, np.uint8).tobytes(),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )


@pytest.mark.parametrize("ending", ["png", "gif", "tif", "bmp"])
def test_the_colours_of_a_palette_count_where_classes_are_colours(tmp_path, ending):
    colours = [(0, 0, 0), (128, 0, 0), (128, 128, 255), (0, 0, 128), (128, 0, 0)]
    path = with_palette(tmp_path / f"a.{ending}", NUMBERS, colours)
    labels, strays = label_files.load(path, label_files.Colours(COLOURS))
    np.testing.assert_array_equal(labels, np.array([255, 0, 2, 1, 0])[NUMBERS])
    assert strays == 0
    numbers, _ = label_files.load(path, label_files.Numbers.of(5))
    np.testing.assert_array_equal(numbers, NUMBERS)


def test_colours_and_entries_that_a_palette_should_not_have_are_named(tmp_path):
    coding = label_files.Colours(COLOURS)
    colours = [(0, 0, 0), (128, 0, 0), (9, 9, 9), (0, 0, 128), (0, 0, 0)]
    path = with_palette(tmp_path / "a.png", NUMBERS, colours)
    with pytest.raises(
        errors.DataError, match=r"a\.png has colours of no class: 9 9 9 \(5 pixels\);"
    ):
        label_files.load(path, coding)
    path = tmp_path / "b.png"
    path.write_bytes(png_with_palette(NUMBERS, colours[:2]))
    with pytest.raises(
        errors.DataError,
        match=r"b\.png has pixels of the palette entries 2 \(5 pixels\), 3 \(5 p.*, "
        r"4 \(4 pixels\); its palette ends with entry 1\.",
    ):
        label_files.load(path, coding)


def test_one_bit_is_black_and_white_where_classes_are_colours(tmp_path):
    PIL.Image.fromarray(NUMBERS > 2).save(tmp_path / "a.png")
    coding = label_files.Colours({(0, 0, 0): 1, (255, 255, 255): 0})
    labels, _ = label_files.load(tmp_path / "a.png", coding)
    np.testing.assert_array_equal(labels, NUMBERS <= 2)


def test_files_of_one_bit_and_of_sixteen_are_numbers(tmp_path):
    PIL.Image.fromarray(NUMBERS > 2).save(tmp_path / "a.png")
    stored = label_files.read(tmp_path / "a.png")
    np.testing.assert_array_equal(stored, NUMBERS > 2)
    assert stored.dtype == np.uint8
    deep = NUMBERS.astype(np.uint16) * 100
    np.testing.assert_array_equal(
        label_files.read(save(tmp_path / "b.png", deep)), deep
    )


@pytest.mark.parametrize("name", ["LabelMap", "segmentation", "GTcls"])
def test_matlab_files_in_the_forms_of_their_publishers(tmp_path, name):
    values = NUMBERS.astype(np.uint16) * 90
    held = {"Boundaries": 0, "Segmentation": values} if name == "GTcls" else values
    scipy.io.savemat(tmp_path / "a.mat", {name: held}, do_compression=True)
    np.testing.assert_array_equal(label_files.read(tmp_path / "a.mat"), values)


def test_matlab_files_that_are_damaged_or_hold_something_else(tmp_path):
    path = tmp_path / "a.mat"
    with pytest.raises(errors.DataError, match=r"Cannot read .*a\.mat"):
        label_files.read(path)
    scipy.io.savemat(path, {"boxes": NUMBERS})
    with pytest.raises(errors.DataError, match=r"a\.mat holds boxes; wanted whole"):
        label_files.read(path)
    scipy.io.savemat(path, {"LabelMap": NUMBERS - 0.5})
    with pytest.raises(errors.DataError, match="wanted whole numbers"):
        label_files.read(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + b"\0" * 300)
    with pytest.raises(errors.DataError, match=r"Cannot decode .*a\.mat.*version 7"):
        label_files.read(path)


def test_what_cannot_hold_labels_is_refused(tmp_path):
    path = save(tmp_path / "a.jpg", NUMBERS)
    with pytest.raises(errors.DataError, match=r"a\.jpg is compressed with loss.*PNG"):
        label_files.read(path)
    path = save(tmp_path / "a.tif", NUMBERS.astype(np.float32))
    with pytest.raises(errors.DataError, match=r"a\.tif has pixels of type F; wanted"):
        label_files.read(path)
    alpha = np.dstack([NUMBERS] * 4)
    with pytest.raises(errors.DataError, match="pixels of type RGBA"):
        label_files.read(save(tmp_path / "a.png", alpha))
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(errors.DataError, match=r"Cannot decode .*b\.png"):
        label_files.read(tmp_path / "b.png")


def test_opaque_alpha_is_no_obstacle(tmp_path):
    rgba = np.dstack([NUMBERS, NUMBERS, NUMBERS, np.full_like(NUMBERS, 255)])
    stored = label_files.read(save(tmp_path / "a.png", rgba))
    np.testing.assert_array_equal(stored, rgba[..., :3])


def test_numbers_become_classes(tmp_path):
    coding = label_files.Numbers.of(4, first=1, ignore=(0,))
    labels, strays = coding.decode(NUMBERS, tmp_path)
    wanted = np.array([255, 0, 1, 2, 3], np.uint8)[NUMBERS]
    np.testing.assert_array_equal(labels, wanted)
    assert (labels.dtype, strays) == (np.uint8, 0)
    coding = label_files.Numbers({0: 1, 400: 0, 65535: 255, 7: 2})
    stored = np.array([[0, 400], [65535, 7]], np.uint16)
    np.testing.assert_array_equal(
        coding.decode(stored, tmp_path)[0], [[1, 0], [255, 2]]
    )


def test_numbers_without_a_meaning_are_counted_and_named(tmp_path):
    stored = np.where(NUMBERS == 4, 255, NUMBERS).astype(np.uint8)
    with pytest.raises(
        errors.DataError,
        match=r"x\.png holds 255 \(4 pixels\); wanted 0 to 3\. .*--ignore N",
    ):
        label_files.Numbers.of(4).decode(stored, tmp_path / "x.png")
    with pytest.raises(errors.DataError, match="wanted 0 to 2, or 255 where no class"):
        label_files.Numbers.of(3, ignore=(255,)).decode(stored, tmp_path)
    many = np.arange(200, dtype=np.uint8)[None]
    with pytest.raises(errors.DataError, match="and 191 more; wanted 0 to 3"):
        label_files.Numbers.of(4).decode(many, tmp_path)
    with pytest.raises(errors.DataError, match=r"wanted 0, 2 to 3, 9"):
        label_files.Numbers({0: 0, 2: 1, 3: 2, 9: 3}).decode(many, tmp_path)


def test_a_colour_picture_where_numbers_are_wanted_says_how_to_go_on(tmp_path):
    path = save(tmp_path / "a.png", np.dstack([NUMBERS] * 3))
    for attempt in (
        lambda: label_files.Numbers.of(5).decode(label_files.read(path), path),
        lambda: label_files.read_numbers(path),
    ):
        with pytest.raises(
            errors.DataError, match=r"a\.png is a colour picture.*`R G B NAME`"
        ):
            attempt()


COLOURS = {(0, 0, 0): 255, (128, 0, 0): 0, (0, 0, 128): 1, (128, 128, 255): 2}


def test_colours_become_classes(tmp_path):
    palette = np.array(list(COLOURS), np.uint8)
    numbers = np.random.default_rng(0).integers(0, 4, (9, 7))
    coding = label_files.Colours(COLOURS)
    labels, strays = coding.decode(palette[numbers], tmp_path)
    np.testing.assert_array_equal(labels, np.array([255, 0, 1, 2])[numbers])
    assert (labels.dtype, strays) == (np.uint8, 0)
    grey = label_files.Colours({(0, 0, 0): 0, (255, 255, 255): 1})
    black_and_white = np.array([[0, 255], [255, 0]], np.uint8)
    np.testing.assert_array_equal(
        grey.decode(black_and_white, tmp_path)[0], [[0, 1], [1, 0]]
    )


def test_stray_colours_are_passed_over_and_counted_up_to_a_share(tmp_path):
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[0, :2] = (128, 0, 0)
    picture[5, 5] = (128, 128, 254)
    picture[6, 6] = (255, 255, 255)
    labels, strays = label_files.Colours(COLOURS, 0.02).decode(picture, tmp_path)
    assert strays == 2
    assert (labels == 0).sum() == 2
    assert (labels == 255).sum() == 98
    with pytest.raises(
        errors.DataError,
        match=r"y\.png has colours of no class: 128 128 254 \(1 pixels\), 255 255 255",
    ):
        label_files.Colours(COLOURS, 0.01).decode(picture, tmp_path / "y.png")


def classes(tmp_path, text, **options):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    return class_lists.read(path, **options)


def test_a_list_of_names_counts_from_zero(tmp_path):
    found = classes(tmp_path, "road\n\n 4 wheel drive \nsky\nvoid\n")
    assert found.names == ("road", "4 wheel drive", "sky")
    assert found.coding == label_files.Numbers({0: 0, 1: 1, 2: 2, 3: 255})


def test_a_list_says_which_numbers_stand_for_what(tmp_path):
    found = classes(tmp_path, "0 road\n7 night sky\n11 Unlabelled\n")
    assert found.names == ("road", "night sky")
    assert found.coding == label_files.Numbers({0: 0, 7: 1, 11: 255})
    found = classes(tmp_path, "0 road\n7 sky\n9 other\n", ignore=(9, 255))
    assert found.names == ("road", "sky")
    assert found.coding == label_files.Numbers({0: 0, 7: 1, 9: 255, 255: 255})


def test_a_list_says_which_colours_stand_for_what(tmp_path):
    found = classes(tmp_path, "64 128 64\tAnimal\n0 128 192\tBicyclist\n0 0 0\tVoid")
    assert found.names == ("Animal", "Bicyclist")
    assert found.coding == label_files.Colours(
        {(64, 128, 64): 0, (0, 128, 192): 1, (0, 0, 0): 255}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names 0 classes"),
        ("road\n", "names 1 classes"),
        ("\n".join(f"c{i}" for i in range(256)), "names 256 classes"),
        ("0 road\n1 road\n", "has 1 road twice"),
        ("3 road\n3 sky\n", "has 3 sky twice"),
        ("1 2 3 road\nsky\n", "mixes kinds of lines"),
        ("1 2 3 road\n4 sky\n", "mixes kinds of lines"),
    ],
)
def test_lists_without_a_meaning_are_refused(tmp_path, text, message):
    with pytest.raises(errors.DataError, match=rf"classes\.txt {message}\. Wanted 2"):
        classes(tmp_path, text)
    with pytest.raises(errors.DataError, match="Cannot read"):
        class_lists.read(tmp_path / "none.txt")
