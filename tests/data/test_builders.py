"""Which files belong to which split, for folders as people and publishers have them."""

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import builders, preparation, sources
from dpjax.data.builders import image_set


def picture(path, value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    PIL.Image.fromarray(rng.integers(0, 256, (16, 20, 3), np.uint8)).save(path)


def splits_of(name, folder, tmp_path, **options):
    builder = builders.find(name)(folder=folder, data_dir=tmp_path / "r", **options)
    return {s: list(files) for s, files in builder.find(folder).items()}


def test_every_entry_of_the_table_is_a_builder_of_its_name():
    for name in builders.TABLE:
        kind = builders.find(name)
        assert issubclass(kind, image_set.ImageSet)
        assert kind.name == name
        assert kind.source
    with pytest.raises(errors.UserError, match="Did you mean set14"):
        builders.find("set_14")


def test_folder_ratio_is_deterministic_and_stable_when_files_are_added(tmp_path):
    folder = tmp_path / "i"
    for i in range(60):
        picture(folder / f"d{i % 3}" / f"{i}.png", i)
    first = splits_of("image_folder", folder, tmp_path, ratio=0.8)
    assert first == splits_of("image_folder", folder, tmp_path, ratio=0.8)
    assert set(first["train"]) | set(first["test"]) == {
        f"d{i % 3}/{i}.png" for i in range(60)
    }
    assert not set(first["train"]) & set(first["test"])
    assert 4 <= len(first["test"]) <= 22  # 12 expected, standard deviation 3.1
    for i in range(60, 80):
        picture(folder / f"{i}.png", i)
    second = splits_of("image_folder", folder, tmp_path, ratio=0.8)
    assert set(first["test"]) <= set(second["test"])
    assert set(first["train"]) <= set(second["train"])


def test_copies_of_a_picture_stay_on_its_side_of_a_ratio(tmp_path, photo):
    folder = tmp_path / "i"
    folder.mkdir()
    for i in range(12):
        part = PIL.Image.fromarray(photo[:, 25 * i : 25 * i + 150])
        part.save(folder / f"{i:02d}.png")
        part.resize((90, 180)).convert("L").save(folder / f"{i:02d}_small.jpg")
        part.transpose(PIL.Image.Transpose.ROTATE_90).save(folder / f"{i:02d}_turn.jpg")
    (folder / "99.png").write_bytes(b"broken")
    alone = {f"{i:02d}.png" for i in range(12)}
    for ratio in (0.3, 0.5, 0.7):
        found = splits_of("image_folder", folder, tmp_path, ratio=ratio)
        originals = {split: alone & set(names) for split, names in found.items()}
        assert all(originals.values())
        for split, names in originals.items():
            for name in names:
                copies = {f"{name[:2]}_small.jpg", f"{name[:2]}_turn.jpg"}
                assert copies <= set(found[split])
        assert sum(map(len, found.values())) == 37  # none lost, nor the broken one


def test_files_that_cannot_be_used_are_no_side_of_a_ratio(tmp_path, photo):
    folder = tmp_path / "i"
    folder.mkdir()
    for i in range(7):  # copies, which stay together
        PIL.Image.fromarray(photo).resize((90 + i, 120)).save(folder / f"{i}.png")
    for i in range(4):
        (folder / f"bad{i}.png").write_bytes(b"broken")
    for ratio in (0.1, 0.5, 0.9):
        found = splits_of("image_folder", folder, tmp_path, ratio=ratio)
        assert [len(names) for names in found.values()] == [11]  # one side, of all


@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_folders_leave_no_split_empty(tmp_path, count):
    for i in range(count):
        picture(tmp_path / "i" / f"{i}.png", i)
    for ratio in (0.02, 0.5, 0.98):
        found = splits_of("image_folder", tmp_path / "i", tmp_path, ratio=ratio)
        assert sum(map(len, found.values())) == count
        assert all(found.values())
        assert len(found) == min(count, 2)
    assert list(splits_of("image_folder", tmp_path / "i", tmp_path, ratio=1)) == [
        "train"
    ]
    assert list(splits_of("image_folder", tmp_path / "i", tmp_path, ratio=0)) == [
        "test"
    ]


def test_folders_called_train_and_test_are_the_splits(tmp_path):
    names = ("train/a.png", "train/x/b.png", "valid/c.png", "test/d.png")
    for i, name in enumerate(names):
        picture(tmp_path / "i" / name, i)
    found = splits_of("image_folder", tmp_path / "i", tmp_path)
    assert found == {
        "train": ["train/a.png", "train/x/b.png"],
        "val": ["valid/c.png"],
        "test": ["test/d.png"],
    }
    assert set(splits_of("image_folder", tmp_path / "i", tmp_path, ratio=0.5)) == {
        "train",
        "test",
    }


def test_a_list_names_the_test_images(tmp_path):
    for name in ("a.png", "b/c.png", "d.png"):
        picture(tmp_path / "i" / name)
    listing = tmp_path / "list.txt"
    listing.write_text("./b/c.png\n\n")
    found = splits_of("image_folder", tmp_path / "i", tmp_path, test_list=listing)
    assert found == {"train": ["a.png", "d.png"], "test": ["b/c.png"]}
    listing.write_text("c.png\n")
    with pytest.raises(errors.DataError, match=r"1 files that are not.*'c\.png'"):
        splits_of("image_folder", tmp_path / "i", tmp_path, test_list=listing)
    with pytest.raises(errors.DataError, match="Cannot read --test-list"):
        splits_of("image_folder", tmp_path / "i", tmp_path, test_list=tmp_path / "no")
    with pytest.raises(errors.UserError, match="not both"):
        splits_of(
            "image_folder", tmp_path / "i", tmp_path, ratio=0.5, test_list=listing
        )
    with pytest.raises(errors.UserError, match=r"0 to 1, got 1\.5"):
        splits_of("image_folder", tmp_path / "i", tmp_path, ratio=1.5)


@pytest.mark.parametrize("inside", ["", "BSDS500/data/", "x/BSDS500/data/"])
def test_bsds500_in_the_publishers_layout(tmp_path, inside):
    for split, count in (("train", 200), ("val", 100), ("test", 200)):
        for i in range(count):
            path = tmp_path / "b" / f"{inside}images/{split}/{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        labels = tmp_path / "b" / f"{inside}groundTruth/{split}"
        labels.mkdir(parents=True)
        (labels / "1.mat").touch()
    for root in (tmp_path / "b", tmp_path / "b" / f"{inside}images"):
        found = splits_of("bsds500", root, tmp_path)
        assert {s: len(f) for s, f in found.items()} == {
            "train": 200,
            "val": 100,
            "test": 200,
        }
        assert found["val"][:2] == ["0", "1"]


def test_a_plain_folder_says_its_split_by_name_or_by_option(tmp_path):
    for i in range(200):
        for name in ("bsds500_train", "pictures"):
            path = tmp_path / name / f"{i}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    assert list(splits_of("bsds500", tmp_path / "bsds500_train", tmp_path)) == ["train"]
    with pytest.raises(errors.UserError, match="which split of bsds500 is it"):
        splits_of("bsds500", tmp_path / "pictures", tmp_path)
    found = splits_of("bsds500", tmp_path / "pictures", tmp_path, split="test")
    assert list(found) == ["test"]
    with pytest.raises(errors.DataError, match="val has 100 images, found 200"):
        splits_of("bsds500", tmp_path / "pictures", tmp_path, split="val")
    with pytest.raises(errors.UserError, match="Did you mean train"):
        splits_of("bsds500", tmp_path / "pictures", tmp_path, split="trian")


def test_super_resolution_folders_give_the_originals_only(tmp_path):
    for i in range(1, 6):
        for scale in (2, 4):
            for kind in ("HR", "LR", "bicubic"):
                path = f"image_SRF_{scale}/img_00{i}_SRF_{scale}_{kind}.png"
                picture(tmp_path / "Set5" / path, i)
    wanted = [f"img_00{i}_SRF_2_HR" for i in range(1, 6)]
    for root in (tmp_path / "Set5", tmp_path):
        assert splits_of("set5", root, tmp_path) == {"test": wanted}


@pytest.mark.parametrize(
    ("name", "inside", "count"),
    [
        ("classic5", "testsets/classic5", 5),
        ("classic5", "testsets/Classic5", 5),
        ("live1", "databaserelease2/refimgs", 29),
        ("live1", "testsets/LIVE1", 29),
        ("live1", "testsets/LIVE1_color", 29),
    ],
)
def test_deblocking_sets_in_the_layouts_of_their_copies(tmp_path, name, inside, count):
    for i in range(count):
        picture(tmp_path / "d" / inside / f"{i:02d}.bmp", i)
    for i in range(3):  # other sets and distorted versions beside it
        picture(tmp_path / "d" / "testsets" / "Set12" / f"{i}.png", i)
        picture(tmp_path / "d" / "databaserelease2" / "jpeg" / f"{i}.bmp", i)
    wanted = {"test": [f"{i:02d}" for i in range(count)]}
    for root in (tmp_path / "d", tmp_path / "d" / inside):
        assert splits_of(name, root, tmp_path) == wanted


def test_div2k_is_split_by_number(tmp_path, monkeypatch):
    kind = builders.find("div2k")
    monkeypatch.setattr(kind, "counts", {"train": 2, "val": 1})
    for name in ("0001", "0800", "0801"):
        picture(tmp_path / "all" / f"{name}.png")
        picture(
            tmp_path
            / "p"
            / f"DIV2K_{'valid' if name == '0801' else 'train'}_HR"
            / f"{name}.png"
        )
    wanted = {"train": ["0001", "0800"], "val": ["0801"]}
    assert splits_of("div2k", tmp_path / "all", tmp_path) == wanted
    assert splits_of("div2k", tmp_path / "p", tmp_path) == wanted
    picture(tmp_path / "all" / "cat.png")
    with pytest.raises(errors.DataError, match=r"0001\.png to 0900\.png.*cat"):
        splits_of("div2k", tmp_path / "all", tmp_path)


def test_an_incomplete_public_set_is_refused(tmp_path):
    for i in range(4):
        picture(tmp_path / "Set5" / f"{i}.png", i)
    with pytest.raises(errors.DataError, match="set5:test has 5 images, found 4"):
        splits_of("set5", tmp_path / "Set5", tmp_path)
    picture(tmp_path / "Set5" / "3.bmp")
    with pytest.raises(errors.DataError, match="have the same name"):
        splits_of("set5", tmp_path / "Set5", tmp_path)


@pytest.mark.parametrize(
    ("name", "folder", "split", "count"),
    [
        ("bsds500", "bsds500_train", "train", 200),
        ("t91", "t91", "train", 91),
        ("set5", "set5", "test", 5),
        ("set12", "set12", "test", 12),
        ("set14", "set14", "test", 14),
        ("bsd68", "bsd68", "test", 68),
    ],
)
def test_real_sets_decode_to_their_files(
    data_root, tmp_path, name, folder, split, count
):
    folder = data_root / "restoration" / folder
    if not folder.is_dir():
        pytest.skip(f"DPJAX_DATA has no restoration/{folder.name}")
    preparation.prepare(name, folder=folder, directory=tmp_path)
    source = sources.open_sources([f"{name}:{split}"], directory=tmp_path)
    assert len(source) == count
    for i in (0, count // 2, count - 1):
        path = next(folder.glob(f"{source.ids()[i]}.*"))
        truth = np.asarray(PIL.Image.open(path).convert("RGB")).astype(int)
        limit = 1 if path.suffix == ".jpg" else 0  # two JPEG decoders may round apart
        assert np.abs(source[i]["image"] - truth).max() <= limit
