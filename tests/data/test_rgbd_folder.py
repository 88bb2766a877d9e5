"""Images of a user's with depth: its unit, its faults, its splits."""

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import (
    depth_files,
    sources,
)
from tests import made_sets


@pytest.fixture
def folder(tmp_path):
    """Six images of a user's with depth in millimetres, one of them deeper."""
    for i in range(6):
        name = f"deep/{i}" if i == 5 else f"{i}"
        made_sets.picture(tmp_path / "m" / "images" / f"{name}.jpg", i)
        made_sets.levels(tmp_path / "m" / "depth" / f"{name}.png", i)
    return tmp_path / "m"


def of_folder(folder, tmp_path, **options):
    found = made_sets.prepared(
        "rgbd_folder", folder, tmp_path, config="mine", **options
    )
    return {
        name: record for records in found.values() for name, record in records.items()
    }


@pytest.mark.parametrize("unit", [("mm", 1000), ("1/256", 256), ("0.0002", 5000)])
def test_the_unit_of_a_folder_is_what_the_user_says(folder, tmp_path, unit):
    said, per_metre = unit
    records = of_folder(folder, tmp_path, unit=said)
    assert len(records) == 6
    for name, record in records.items():
        path = (folder / "depth" / name).with_suffix(".png")
        made_sets.check_depth(record, np.asarray(PIL.Image.open(path)), per_metre)


def test_a_description_beside_the_folders_is_read(folder, tmp_path):
    made_sets.text(folder / "depth.json", '{"unit": "millimetres", "max_m": 4}')
    record = of_folder(folder, tmp_path)["3.jpg"]
    stored = np.asarray(PIL.Image.open(folder / "depth" / "3.png"))
    made_sets.check_depth(record, np.where(stored > 4000, 0, stored), 1000)
    (note,) = made_sets.notes("rgbd_folder/mine", tmp_path)
    assert note == "depth is read as millimetres; 0 and NaN as not measured"
    with pytest.raises(errors.UserError, match=r"depth\.json says the unit.*Leave out"):
        of_folder(folder, tmp_path, unit="mm")


def test_a_range_does_not_hide_a_wrong_unit(tmp_path):
    unit = depth_files.Unit(1, max_m=10)
    millimetres = np.full((48, 64), 2500, np.uint16)
    millimetres[0, :3] = 5, 6, 7
    with pytest.raises(
        errors.DataError,
        match=r"a\.png has 3069 of 3072 measured pixels outside 0 to 10 m.*in metres "
        r"its median is 2500 m",
    ):
        unit.decode(millimetres, tmp_path / "a.png")
    # A street is farther than ten metres in most pixels, and no unit is wrong.
    street = np.full((48, 64), 40, np.uint16)
    street[:4] = np.arange(2, 6)[:, None]
    kept = unit.decode(street, tmp_path / "a.png")
    np.testing.assert_array_equal(kept > 0, street < 10)


def test_without_a_unit_nothing_is_guessed(folder, tmp_path):
    with pytest.raises(
        errors.UserError,
        match=r"What do the numbers .* mean\? Pass --unit millimetres, or write .*"
        r"\"unit\": \"millimetres\".*/m/depth\.json.* metres, centimetres, ",
    ):
        of_folder(folder, tmp_path)
    with pytest.raises(errors.UserError, match=r"A unit of depth is .*got 'inch'"):
        of_folder(folder, tmp_path, unit="inch")


def test_kinects_number_for_nothing_is_declared(folder, tmp_path):
    path = folder / "depth" / "2.png"
    stored = np.array(PIL.Image.open(path))
    stored[:3] = 65535
    PIL.Image.fromarray(stored).save(path)
    with pytest.raises(errors.DataError, match=r"2\.png holds 65535.*--ignore 65535"):
        of_folder(folder, tmp_path, unit="mm")
    wanted = np.where(stored == 65535, 0, stored)
    record = of_folder(folder, tmp_path, unit="mm", ignore=65535)["2.jpg"]
    made_sets.check_depth(record, wanted, 1000)
    (note,) = made_sets.notes("rgbd_folder/mine", tmp_path)
    assert note == "depth is read as millimetres; 0, 65535 and NaN as not measured"


def test_arrays_and_folders_of_splits(tmp_path):
    stored = {}
    for i, split in enumerate(("train", "valid", "test")):
        made_sets.picture(tmp_path / "m" / split / "images" / "a.png", i)
        values = np.random.default_rng(i).uniform(1, 9, made_sets.SIZE)
        values[0, :3] = np.nan, 0, -1
        (tmp_path / "m" / split / "depth").mkdir()
        np.save(tmp_path / "m" / split / "depth" / "a.npy", values)
        stored[f"{split}/a.png"] = np.where(values > 0, values, 0).astype(np.float32)
    made_sets.text(tmp_path / "m" / "depth.json", '{"unit": "metres", "ignore": -1}')
    found = made_sets.prepared("rgbd_folder", tmp_path / "m", tmp_path, config="mine")
    assert set(found) == {"train", "val", "test"}
    for records in found.values():
        for name, record in records.items():
            np.testing.assert_array_equal(record["depth"], stored[name])
    with pytest.raises(errors.UserError, match="split already, into train, valid, te"):
        made_sets.prepared(
            "rgbd_folder", tmp_path / "m", tmp_path, config="x", ratio=0.5
        )


def spoil(root, what):
    """Does one thing wrong to a user's folder; gives what is said about it."""
    images, depth = root / "images", root / "depth"
    path = depth / "1.png"
    if what == "no depth":
        path.unlink()
        return r"1 pictures have no depth map: .*images/1\.jpg\. Wanted .*depth\."
    if what == "no picture":
        (images / "1.jpg").unlink()
        return r"1 depth maps have no picture: .*depth/1\.png"
    if what == "size":
        made_sets.levels(path, size=(16, 12))
        return r"depth in .*1\.\w+ is 16x12, .*1\.jpg is 12x16 \(.*\)\. Both"
    if what == "colours":
        made_sets.picture(path)
        return r"depth/1\.png has pixels of type RGB"
    if what == "eight bits":
        made_sets.levels(path, low=1, high=200, dtype=np.uint8)
        return r"depth/1\.png has 8 bits"
    if what == "lossy":
        path.unlink()
        made_sets.levels(depth / "1.jpg", low=1, high=200, dtype=np.uint8)
        return r"depth/1\.jpg is compressed with loss"
    if what == "damaged":
        path.write_bytes(path.read_bytes()[:60])
        return r"Cannot decode .*depth/1\.png"
    if what == "nothing measured":
        made_sets.levels(path, holes=1.0)
        return r"depth/1\.png has no pixel that was measured"
    if what == "constant":
        made_sets.levels(path, low=700, high=701)
        return r"depth/1\.png has the same depth, 0\.7 m, in all \d+ measured"
    path.unlink()
    values = {"negative": -2.0, "infinite": np.inf, "far": 4e5, "near": 3.0}[what]
    stored = np.random.default_rng(0).uniform(900, 1000, made_sets.SIZE)
    np.save(depth / "1.npy", stored / 1000 * values if what == "near" else stored + 0)
    if what == "near":
        return r"depth/1\.npy has a median depth of 0\.002\d+ m, as metres have"
    if what == "far":
        np.save(depth / "1.npy", stored * 400)
        return r"depth/1\.npy has a median depth of 3\d\d.* m, as millimetres or"
    stored[2, 3:5] = values
    np.save(depth / "1.npy", stored)
    return rf"depth/1\.npy has 2 pixels of {what} depth"


FAULTS = [
    *("no depth", "no picture", "size", "colours", "eight bits", "lossy", "damaged"),
    *("nothing measured", "constant", "negative", "infinite", "far", "near"),
]


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_wrong_is_named_or_skipped_and_listed(folder, tmp_path, what):
    message = spoil(folder, what)
    with pytest.raises(errors.DataError, match=message):
        of_folder(folder, tmp_path, unit="mm")
    left = [p.name for p in (tmp_path / "records").rglob("*") if p.is_file()]
    assert left == [".lock"]
    found = of_folder(folder, tmp_path, unit="mm", skip_bad=True)
    assert len(found) == 5
    inspected = sources.inspect("rgbd_folder/mine", directory=tmp_path / "records")
    (skipped,) = inspected.skipped
    assert "1.jpg" in skipped or "1.png" in skipped or "1.npy" in skipped


def test_what_a_folder_lacks_is_told(tmp_path):
    made_sets.picture(tmp_path / "m" / "rgb" / "1.png")
    with pytest.raises(
        errors.DataError, match=r"folders images and depth or depths in .*found rgb\. A"
    ):
        of_folder(tmp_path / "m", tmp_path, unit="mm")
