"""Pairs of points in the forms of their publishers, and what is wrong with a copy."""

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import builders, preparation, sources

NYU = {
    "train": "750_train_from_795_NYU_MITpaper_train_imgs_800_points_resize_240_320.csv",
    "val": "45_validate_from_795_NYU_MITpaper_train_imgs_800_points_resize_240_320.csv",
    "test": "654_NYU_MITpaper_test_imgs_orig_size_points.csv",
}
DIW = {
    # Path of the picture, its size, and yA, xA, yB, xB, relation.
    "train": [("DIW_train_val/a1", (24, 30), "3,4,24,30,>")],
    "val": [("DIW_train_val/b2", (16, 9), "1,1,16,9,<")],
    "test": [
        ("DIW_test/c3", (24, 30), "12,8,2,29,<"),
        ("DIW_test/d4", (20, 40), "20,40,1,1,>"),
    ],
}


def picture(path, size, kind="JPEG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.name.encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(path, kind)


@pytest.fixture
def diw(tmp_path):
    """Two archives and three lists; pictures are JPEG files called .thumb."""
    root = tmp_path / "diw"
    for split, listed in DIW.items():
        lines = []
        for name, (height, width), pair in listed:
            picture(root / f"{name}.thumb", (height, width))
            lines += [f"./{name}.thumb", f"{pair},{width},{height}"]
        (root / f"DIW_{split}.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def nyu(tmp_path):
    """A first line that nobody reads, and a path with the number of pairs below it."""
    root = tmp_path / "nyu"
    root.mkdir()
    for split, name in NYU.items():
        lines = ["number of images,2,,,"]
        for i in (1, 2):
            picture(root / split / f"{i}.png", (24, 32), "PNG")
            pairs = [f"{i + k},2,24,{32 - k},{'><='[k]}" for k in range(2 * i - 1)]
            lines += [f"../../data/{split}/{i}.png,0,{len(pairs)},,", *pairs]
        (root / name).write_text("\n".join(lines))
    return root


def records(name, folder, tmp_path, split, **options):
    preparation.prepare(name, folder=folder, directory=tmp_path / "r", **options)
    source = sources.open_sources(
        [f"{name}:{split}"], role="evaluate", directory=tmp_path / "r"
    )
    return [source[i] for i in range(len(source))]


@pytest.mark.parametrize("inside", ["", "DIW_Annotations", "DIW_Annotations_splitted"])
def test_diw_in_the_publishers_layout(diw, tmp_path, inside):
    for split in DIW:
        (diw / inside).mkdir(exist_ok=True)
        (diw / f"DIW_{split}.csv").rename(diw / inside / f"DIW_{split}.csv")
    found = records("diw", diw, tmp_path, "test")
    assert [record["id"] for record in found] == ["DIW_test/c3", "DIW_test/d4"]
    np.testing.assert_array_equal(found[0]["points"], [[[11, 7], [1, 28]]])
    np.testing.assert_array_equal(found[1]["points"], [[[19, 39], [0, 0]]])
    assert [record["relation"].tolist() for record in found] == [[-1], [1]]
    for record in found:
        assert record["points"].dtype == record["relation"].dtype == np.int32
        truth = PIL.Image.open(diw / f"{record['id']}.thumb")
        assert record["image"].shape == (*truth.size[::-1], 3)
    counts = sources.inspect("diw", directory=tmp_path / "r").counts
    assert counts == {"train": 1, "val": 1, "test": 2}


def test_part_of_diw_will_do_and_absolute_paths_are_followed(diw, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (diw / "DIW_test").rename(elsewhere)
    listing = diw / "DIW_test.csv"
    listing.write_text(listing.read_text().replace("./DIW_test", str(elsewhere)))
    for split in ("train", "val"):
        (diw / f"DIW_{split}.csv").unlink()
    found = records("diw", diw, tmp_path, "test")
    assert [record["id"] for record in found] == ["elsewhere/c3", "elsewhere/d4"]


@pytest.mark.parametrize("listed", ["/data/old/DIW_test/", "", "DIW_val_old/"])
def test_pictures_are_found_where_archives_put_them(diw, tmp_path, listed):
    listing = diw / "DIW_test.csv"
    listing.write_text(listing.read_text().replace("./DIW_test/", listed))
    found = records("diw", diw, tmp_path, "test")
    assert [record["id"] for record in found] == ["DIW_test/c3", "DIW_test/d4"]


def test_a_list_of_diw_with_numbers_of_pairs_reads_the_same(diw, tmp_path):
    (diw / "DIW_test.csv").write_text(
        "DIW test\n"
        "./DIW_test/c3.thumb,x,1\n12.0,8.7,2,29,<,30,24\r\n\n"
        "./DIW_test/d4.thumb,y,1\n20,40,1,1,>,40,20\n"
    )
    found = records("diw", diw, tmp_path, "test")
    np.testing.assert_array_equal(found[0]["points"], [[[11, 7], [1, 28]]])
    assert [record["relation"].tolist() for record in found] == [[-1], [1]]


def test_a_picture_that_is_listed_again_keeps_all_its_pairs(diw, tmp_path):
    with (diw / "DIW_test.csv").open("a") as file:
        file.write("./DIW_test/c3.thumb\n5,6,7,8,>,30,24\n")
    found = records("diw", diw, tmp_path, "test")
    assert len(found) == 2
    np.testing.assert_array_equal(
        found[0]["points"], [[[11, 7], [1, 28]], [[4, 5], [6, 7]]]
    )
    assert found[0]["relation"].tolist() == [-1, 1]


@pytest.mark.parametrize("split", NYU)
def test_nyu_in_the_authors_layout(nyu, tmp_path, split):
    found = records("nyudv2_ordinal", nyu, tmp_path, split)
    assert [record["id"] for record in found] == [f"{split}/1", f"{split}/2"]
    np.testing.assert_array_equal(found[0]["points"], [[[0, 1], [23, 31]]])
    np.testing.assert_array_equal(
        found[1]["points"], [[[1 + k, 1], [23, 31 - k]] for k in range(3)]
    )
    assert found[1]["relation"].tolist() == [1, -1, 0]


# What stands in the fourth line of DIW_test.csv instead, and what is said of it.
LINES = {
    "outside": ("20,41,1,1,>,40,20", "row 20, column 41 is outside .* 40x20 pixels"),
    "row 0": ("20,40,0,1,>,40,20", "the point at row 0, column 1 is outside"),
    "relation": ("20,40,1,1,?,40,20", r"unknown relation '\?', wanted > or <"),
    "equal": ("20,40,1,1,=,40,20", "unknown relation '='"),
    "same point": ("3,4,3,4,>,40,20", "both points are row 3, column 4"),
    "words": ("20,nan,1,1,>,40,20", "'20,nan,1,1.*' has no points"),
    "other size": ("20,21,1,1,>,41,20", "d4.thumb should have 41x20 .* has 40x20"),
}


def spoil(root, what):
    """Does one thing wrong to the second picture to test on; gives the message."""
    listing = root / "DIW_test.csv"
    lines = listing.read_text().splitlines()
    if what in LINES:
        lines[3], message = LINES[what]
        message = rf"DIW_test\.csv, line 4: .*{message}"
    elif what == "in two splits":
        lines[2] = "./DIW_train_val/a1.thumb"
        message = r"line 3: \./DIW_train_val/a1\.thumb is in DIW_train\.csv as well"
    elif what == "no picture":
        (root / "DIW_test" / "d4.thumb").unlink()
        message = r"DIW_test\.csv, line 3: the picture \./DIW_test/d4\.thumb is not in "
    elif what == "damaged picture":
        (root / "DIW_test" / "d4.thumb").write_bytes(b"\xff\xd8\xff no more")
        message = r"Cannot decode .*d4\.thumb"
    listing.write_text("\n".join(lines))
    return message


@pytest.mark.parametrize(
    "what", [*LINES, "in two splits", "no picture", "damaged picture"]
)
def test_what_is_wrong_is_told_with_file_and_line_and_may_be_skipped(
    diw, tmp_path, what
):
    message = spoil(diw, what)
    with pytest.raises(errors.DataError, match=message):
        preparation.prepare("diw", folder=diw, directory=tmp_path / "r")
    found = records("diw", diw, tmp_path, "test", skip_bad=True)
    assert [record["id"] for record in found] == ["DIW_test/c3"]
    (said,) = sources.inspect("diw", directory=tmp_path / "r").skipped
    assert "d4.thumb" in said or "DIW_test.csv, line" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"DIW_test\.csv lists no pairs"),
        ("./DIW_test/c3.thumb\n", "lists no pairs"),
        (
            "./DIW_test/c3.thumb\n12,8,2,29,<,30,24\n./DIW_test/d4.thumb\n",
            r"line 3: .*from line 3 on, got '\./DIW_test/d4\.thumb'",
        ),
        (
            "./DIW_test/c3.thumb\n12,8,2,29,<,30,24\n12,8,2,29,<,30,24\n",
            r"line 3: wanted the path.*got '12,8,2,29,<,30,24'",
        ),
        (
            "./DIW_test/c3.thumb\n12,8,2,29,<,30,24\n"
            "./DIW_test/d4.thumb\n./DIW_test/c3.thumb\n",
            r"line 4: wanted the path.*got '\./DIW_test/c3",
        ),
        (
            "header\n./DIW_test/c3.thumb,x,2\n12,8,2,29,<\n",
            r"line 3: .*then 2 times .*from line 2 on",
        ),
        (
            "header\n./DIW_test/c3.thumb,x,many\n12,8,2,29,<\n",
            r"line 2: .*third field.*got '\./DIW_test/c3\.thumb,x,many'",
        ),
    ],
)
def test_lists_of_another_form_are_refused_even_if_bad_files_are_skipped(
    diw, tmp_path, text, message
):
    (diw / "DIW_test.csv").write_text(text)
    for skip_bad in (False, True):
        with pytest.raises(errors.DataError, match=message):
            preparation.prepare(
                "diw", folder=diw, directory=tmp_path / "r", skip_bad=skip_bad
            )


def test_points_of_a_list_without_sizes_are_held_to_the_picture(nyu, tmp_path):
    listing = nyu / NYU["val"]
    listing.write_text(listing.read_text().replace("1,2,24,32,>", "1,2,25,32,>"))
    message = r"320\.csv, line 3: the point at row 25, column 32 .* 32x24 pixels"
    with pytest.raises(errors.DataError, match=message):
        preparation.prepare("nyudv2_ordinal", folder=nyu, directory=tmp_path / "r")


def test_pictures_turned_by_their_camera_are_measured_upright(nyu, tmp_path):
    upright = PIL.Image.open(nyu / "val" / "1.png").rotate(90, expand=True)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    upright.save(nyu / "val" / "1.png", "PNG", exif=exif)
    found = records("nyudv2_ordinal", nyu, tmp_path, "val")
    assert found[0]["image"].shape == (24, 32, 3)
    assert found[0]["points"].tolist() == [[[0, 1], [23, 31]]]


def test_folders_of_something_else_are_refused(diw, tmp_path):
    with pytest.raises(
        errors.DataError, match=r"none of the lists 750_train.*It has DIW_test"
    ):
        builders.find("nyudv2_ordinal")(folder=diw, data_dir=tmp_path).find(diw)
