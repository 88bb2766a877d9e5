"""Sets with depth, in the layouts of their publishers."""

import csv
import shutil

import numpy as np
import PIL.Image
import pytest
import scipy.io

from dpjax import errors
from dpjax.data import (
    builders,
    depth_health,
    health,
    preparation,
    sources,
)
from dpjax.data.builders import depth_maps, layouts
from tests import made_sets


@pytest.fixture
def room(tmp_path):
    """NYU in 8 bits with tables of the largest depths, two images a split."""
    for split in ("train", "val"):
        root = tmp_path / "n" / split
        lines = ["name,depth_max_m,lower_m,upper_m"]
        for i in range(2):
            name = f"{split}{i}"
            made_sets.picture(root / "images" / f"{name}.jpg", i)
            made_sets.levels(
                root / "depth" / f"{name}.png", i, low=10, high=256, dtype=np.uint8
            )
            lines.append(f"{name},{3.5 + i},3,5")
        made_sets.text(root / "depth_max.csv", *lines)
    return tmp_path / "n"


def test_nyu_in_shares_of_the_largest_depth(room, tmp_path):
    found = made_sets.prepared("nyudv2_depth", room, tmp_path)
    assert {split: sorted(records) for split, records in found.items()} == {
        "train": ["train0", "train1"],
        "val": ["val0", "val1"],
    }
    stored = np.asarray(PIL.Image.open(room / "val" / "depth" / "val1.png"))
    wanted = [min(int(p) + 0.5, 255) / 255 * 4.5 for p in stored.ravel()]
    depth = found["val"]["val1"]["depth"]
    np.testing.assert_array_equal(depth.ravel(), np.array(wanted, np.float32))
    (note,) = made_sets.notes("nyudv2_depth", tmp_path)
    assert "train is published with 795 images, this copy has 2" in note


def test_a_split_of_nyu_without_its_table_is_left_out_and_told(room, tmp_path):
    (room / "val" / "depth_max.csv").unlink()
    assert set(made_sets.prepared("nyudv2_depth", room, tmp_path)) == {"train"}
    assert (
        "nyudv2_depth:val is left out, there is no val/depth_max.csv"
        in made_sets.notes("nyudv2_depth", tmp_path)
    )
    (room / "train" / "depth_max.csv").unlink()
    with pytest.raises(errors.DataError, match=r"train0\.png has 8 bits .* wanted 16"):
        made_sets.prepared("nyudv2_depth", room, tmp_path)


@pytest.mark.parametrize(
    ("images", "depth", "name"),
    [
        ("{split}/rgb/{n:04d}.png", "{split}/depth/{n:04d}.png", "{n:04d}"),
        ("{split}/images/{n}.jpg", "{split}/depth/{n}.png", "{n}"),
        (
            "official_splits/{split}/bath/rgb_{n:05d}.jpg",
            "official_splits/{split}/bath/sync_depth_{n:05d}.png",
            "bath/{n:05d}",
        ),
    ],
)
def test_nyu_in_millimetres(tmp_path, images, depth, name):
    stored = {}
    for n, split in enumerate(("train", "test")):
        made_sets.picture(tmp_path / "n" / images.format(split=split, n=n), n)
        path = tmp_path / "n" / depth.format(split=split, n=n)
        stored[split] = made_sets.levels(path, n)
    found = made_sets.prepared("nyudv2_depth", tmp_path / "n", tmp_path)
    for n, split in enumerate(("train", "test")):
        made_sets.check_depth(found[split][name.format(n=n)], stored[split], 1000)


def test_nyu_as_published_says_how_to_convert_it(tmp_path):
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(
        errors.DataError,
        match=r"does not hold nyudv2_depth .* is no train/rgb and no train/depth\. .*"
        r"labeled\.mat is HDF5, which needs h5py: convert it once",
    ):
        made_sets.prepared("nyudv2_depth", tmp_path, tmp_path / "x")


def make3d(root, depth_of_test, laser=(55, 305)):
    """Two scenes in the publishers' form, the pictures smaller; gives the grids."""
    grids = {}
    for i, (images, depth, name) in enumerate(
        (
            ("Train400Img", "Train400Depth", "10.21op2-p-015t000"),
            ("Test134", depth_of_test, "op57-p-016t000"),
        )
    ):
        made_sets.picture(root / images / f"img-{name}.jpg", i, (284, 213))
        grid = np.random.default_rng(i).uniform(1, 81, (*laser, 4))
        path = root / depth / f"depth_sph_corr-{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"Position3DGrid": grid}, do_compression=True)
        grids[name] = grid
    return grids


@pytest.mark.parametrize(
    "depth", ["Gridlaserdata", "Test134/Gridlaserdata", "Test134Depth/Gridlaserdata"]
)
def test_make3d_keeps_both_sizes(tmp_path, depth):
    grids = make3d(tmp_path / "m", depth)
    found = made_sets.prepared("make3d", tmp_path / "m", tmp_path)
    for split, name in zip(("train", "test"), grids, strict=True):
        (record,) = found[split].values()
        assert record["id"] == name
        assert record["image"].shape == (284, 213, 3)
        wanted = grids[name][..., 3].astype(np.float32)
        np.testing.assert_array_equal(record["depth"], wanted)
    assert "train is published with 400" in made_sets.notes("make3d", tmp_path)[0]
    source = sources.open_sources(["make3d:test"], directory=tmp_path / "records")
    found = health.examine(source)
    assert found.is_sound
    assert found.survey.measured == 55 * 305


def test_depth_of_make3d_in_another_size_is_refused(tmp_path):
    make3d(tmp_path / "m", "Gridlaserdata", laser=(55, 300))
    with pytest.raises(
        errors.DataError, match=r" is 55x300, .* is 284x213 .*\. make3d has 55x305"
    ):
        made_sets.prepared("make3d", tmp_path / "m", tmp_path)


DRIVES = ("2011_09_26_drive_0002_sync", "2011_09_28_drive_0001_sync")
RAW = "{date}/{drive}/{camera}/data/{frame:010d}.png"
ANNOTATED = "{drive}/proj_depth/groundtruth/{camera}/{frame:010d}.png"
LISTS = {
    "eigen_{}_files.txt": "{date}/{drive}/{camera}/data/{frame:010d}.jpg right.jpg",
    "eigen_{}_files_with_gt.txt": (
        "{drive}/{camera}/data/{frame:010d}.png "
        "{drive}/proj_depth/groundtruth/{camera}/{frame:010d}.png 721.5377"
    ),
    "{}_files.txt": "{date}/{drive} {frame} {side}",
}
FRAMES = [
    # split, drive, camera, frame
    ("train", DRIVES[0], "image_02", 5),
    ("train", DRIVES[0], "image_03", 5),
    ("train", DRIVES[1], "image_02", 17),
    ("test", DRIVES[1], "image_02", 3),
    ("test", DRIVES[1], "image_02", 69),
]


def kitti(root, listing, raw="", annotated="data_depth_annotated/{part}/"):
    """A copy of KITTI whose frame 3 has no depth; gives what the others hold."""
    stored, lines = {}, {}
    for i, (split, drive, camera, frame) in enumerate(FRAMES):
        parts = {"date": drive[:10], "drive": drive, "camera": camera, "frame": frame}
        side = "l" if camera == "image_02" else "r"
        made_sets.picture(root / raw / RAW.format(**parts), i)
        part = "train" if i % 2 else "val"  # KITTI's own division is another one
        if frame != 3:
            path = root / annotated.format(part=part) / ANNOTATED.format(**parts)
            stored[f"{drive}/{camera}/{frame:010d}"] = made_sets.levels(
                path, i, low=600, high=20_000, holes=0.8
            )
        lines.setdefault(split, []).append(LISTS[listing].format(**parts, side=side))
    for split, listed in lines.items():
        made_sets.text(root / listing.format(split), *listed)
    return stored


@pytest.mark.parametrize("listing", LISTS)
@pytest.mark.parametrize(
    ("raw", "annotated"),
    [("", "data_depth_annotated/{part}/"), ("raw", "{part}/"), ("raw_data", "")],
)
def test_kitti_by_the_lists_of_eigen(tmp_path, listing, raw, annotated):
    stored = kitti(tmp_path / "k", listing, raw, annotated)
    found = made_sets.prepared("kitti_eigen", tmp_path / "k", tmp_path)
    assert {split: len(records) for split, records in found.items()} == {
        "train": 3,
        "test": 1,
    }
    records = found["train"] | found["test"]
    assert records.keys() == stored.keys()
    for name, values in stored.items():
        made_sets.check_depth(records[name], values, 256)
    assert made_sets.notes("kitti_eigen", tmp_path) == [
        "kitti_eigen:test leaves out 1 of 2 frames, whose depth was not annotated or "
        "is not in this copy",
        "kitti_eigen:test is published with 652 images, this copy has 1: scores cannot "
        "be compared with published ones",
    ]


def test_what_kitti_lacks_is_told(tmp_path):
    root, listing = tmp_path / "k", "eigen_{}_files.txt"
    kitti(root, listing)
    shutil.rmtree(root / "2011_09_26" / DRIVES[0] / "image_03")
    with pytest.raises(
        errors.DataError,
        match=r"1 frames that eigen_train_files\.txt lists are not there: .*image_03",
    ):
        made_sets.prepared("kitti_eigen", root, tmp_path)
    found = made_sets.prepared("kitti_eigen", root, tmp_path, skip_bad=True)
    assert len(found["train"]) == 2
    shutil.rmtree(root / "data_depth_annotated")
    with pytest.raises(
        errors.DataError, match=r"No frame of .* has depth in .*DRIVE/p"
    ):
        made_sets.prepared("kitti_eigen", root, tmp_path, skip_bad=True)
    made_sets.text(root / "eigen_train_files.txt", "a.png b.png")
    with pytest.raises(errors.DataError, match=r"files\.txt, line 1, names no frame"):
        made_sets.prepared("kitti_eigen", root, tmp_path)
    made_sets.text(root / "eigen_train_files.txt", "")
    with pytest.raises(errors.DataError, match=r"eigen_train_files\.txt lists nothing"):
        made_sets.prepared("kitti_eigen", root, tmp_path)
    for path in root.glob("*.txt"):
        path.unlink()
    with pytest.raises(errors.DataError, match=r"has no list of the frames of Eigen"):
        made_sets.prepared("kitti_eigen", root, tmp_path)


def test_what_a_folder_lacks_is_told(tmp_path):
    made_sets.picture(tmp_path / "m" / "rgb" / "1.png")
    for name, missing in (
        ("make3d", r"no Train400Img and no Train400Depth\. It has rgb\."),
        ("nyudv2_depth", r"no train/rgb and no train/depth\. It has rgb\."),
    ):
        with pytest.raises(errors.DataError, match=missing) as told:
            made_sets.prepared(name, tmp_path / "m", tmp_path)
        assert "depth maps prepare rgbd_folder" in str(told.value)


def test_every_set_with_depth_declares_layouts_that_fit_together():
    for name in builders.TABLE:
        kind = builders.find(name)
        if not issubclass(kind, depth_maps.DepthMaps):
            continue
        for layout in kind.published:
            assert kind.counts.keys() <= layout.splits.keys()
            for place in layout.splits.values():
                parts = place.images.count(layouts.ID)
                assert all(t.count(layouts.ID) == parts for t in place.targets)
                assert parts == 1 or not place.lists


def test_quantiles_are_those_of_all_measured_pixels():
    rng = np.random.default_rng(0)
    counter, every = depth_health.Counter(), []
    for i in range(5):
        depth = rng.gamma(2.0, 2.0 + i, (50, 60)).astype(np.float32)
        depth[rng.random(depth.shape) < 0.25] = 0
        every.append(depth.ravel())
        record = {"depth": depth, "image": np.zeros((50, 60, 3)), "id": i, "source": ""}
        assert counter.add(record) is None
    survey = counter.survey()
    every = np.concatenate(every)
    known = every[every > 0]
    assert (survey.pixels, survey.measured) == (every.size, known.size)
    assert survey.share == known.size / every.size
    exact = np.quantile(known, [0, 0.01, 0.5, 0.99, 1], method="inverted_cdf")
    np.testing.assert_allclose(survey.quantiles_m, exact, rtol=1 / 4096)
    assert (survey.quantiles_m[0], survey.quantiles_m[-1]) == (exact[0], exact[-1])


def test_records_with_what_cannot_be_depth_are_named():
    good = np.array([[1, 2, 0]], np.float32)
    record = {"image": np.zeros((1, 3, 3)), "id": "x", "source": "s:train"}
    counter = depth_health.Counter([(5, 7)])
    for depth, message in (
        (good * np.nan, "Record 'x' of s:train has 3 pixels of NaN. Prepare it"),
        (-good, "has 2 pixels of negative depth"),
        (good * 0, "has no pixel that was measured"),
        (np.minimum(good, 1), "has the same depth, 1 m"),
        (good.T, r"has depth of shape (3, 1) and an image of (1, 3)"),
    ):
        assert message in counter.add({**record, "depth": depth})
    assert not counter.has_counted
    laser = np.resize(good, (5, 7))
    assert counter.add({**record, "depth": laser}) is None
    assert counter.add({**record, "depth": 1000 * good}) is None
    assert counter.survey().pixels == 38
    assert counter.survey().is_plausible


@pytest.mark.slow
def test_the_real_copy_of_nyu_has_the_depth_of_its_files(data_root, tmp_path):
    folder = data_root / "nyu"
    if not folder.is_dir():
        pytest.skip("DPJAX_DATA has no nyu")
    preparation.prepare("nyudv2_depth", folder=folder, directory=tmp_path)
    counts = sources.inspect("nyudv2_depth", directory=tmp_path).counts
    assert counts == {"train": 686, "val": 109}
    source = sources.open_sources(["nyudv2_depth:val"], directory=tmp_path)
    with open(folder / "val" / "depth_max.csv") as file:
        largest = {r["name"]: float(r["depth_max_m"]) for r in csv.DictReader(file)}
    for i in (0, 50, 108):
        name, depth = source[i]["id"], source[i]["depth"]
        stored = np.asarray(PIL.Image.open(folder / "val" / "depth" / f"{name}.png"))
        np.testing.assert_array_equal(
            np.floor(255 * depth / largest[name] + 1e-4), stored
        )
        assert depth.max() <= np.float32(largest[name])
