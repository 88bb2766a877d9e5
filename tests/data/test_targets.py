"""A data set with targets is a builder; records, cache and haze need nothing else."""

import sys
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import builders, degradations, identity, preparation, sources
from dpjax.data.builders import image_set
from dpjax.tasks import restoration

SIZE = (18, 26)


def truth(name):
    """What is written for one record."""
    rng = np.random.default_rng(int(name))
    return {
        "depth": rng.integers(500, 60_000, SIZE).astype(np.uint16),  # millimetres
        "labels": rng.integers(0, 256, SIZE).astype(np.uint8),
        "right": rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8),
        "disparity": rng.uniform(0, 90, SIZE).astype(np.float32),
        "focal_px": np.float32(rng.uniform(500, 900)),
        "camera": f"camera {name} é",
    }


class StreetViews(image_set.ImageSet, skip_registration=True):
    """Photographs with everything that a task may want to learn."""

    source: ClassVar[str] = "made for a test"
    extra_features: ClassVar = {
        "depth": tfds.features.Image(shape=(None, None, 1), dtype=np.uint16),
        "labels": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8),
        "right": tfds.features.Image(shape=(None, None, 3), dtype=np.uint8),
        "disparity": tfds.features.Tensor(
            shape=(None, None), dtype=np.float32, encoding="zlib"
        ),
        "focal_px": tfds.features.Scalar(dtype=np.float32),
        "camera": tfds.features.Text(),
    }
    units: ClassVar = {"depth": 0.001}
    turned: ClassVar[set[str]] = set()

    def find(self, folder):
        return {"test": {p.stem: p for p in sorted(folder.glob("*.png"))}}

    def load_extras(self, name, path):
        extras = truth(name)
        if name in self.turned:
            extras["labels"] = extras["labels"].T
        return extras


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Prepares two records of the builder above, known by one line of the table."""
    monkeypatch.setitem(sys.modules, "street_views", sys.modules[__name__])
    monkeypatch.setitem(builders.TABLE, "street_views", "street_views:StreetViews")
    (tmp_path / "images").mkdir()
    for name in ("1", "2"):
        pixels = np.random.default_rng(int(name)).integers(0, 256, (*SIZE, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / "images" / f"{name}.png")

    def run(**options):
        preparation.prepare(
            "street_views", folder=tmp_path / "images", directory=tmp_path, **options
        )
        return sources.open_sources(
            ["street_views"], role="evaluate", directory=tmp_path, cache_bytes=1 << 20
        )

    return run


def test_every_target_arrives_as_it_was_written(prepare):
    source = prepare()
    for _ in range(2):  # decoded, then from the cache
        for position, name in enumerate(("1", "2")):
            record, wanted = source[position], truth(name)
            assert set(record) == {"image", "id", "fingerprint", "source", *wanted}
            assert (record["id"], record["source"]) == (name, "street_views:test")
            assert record["fingerprint"] == identity.fingerprint(record["image"])
            assert record["focal_px"] == wanted["focal_px"]
            for target in ("labels", "right", "disparity"):
                assert record[target].dtype == wanted[target].dtype
                np.testing.assert_array_equal(record[target], wanted[target])
            metres = wanted["depth"] / 1000
            assert record["depth"].dtype == np.float32
            np.testing.assert_allclose(record["depth"], metres, rtol=1e-6)
            assert record["camera"] == wanted["camera"]


def test_the_cache_counts_targets_and_protects_them(prepare):
    source = prepare()
    arrays = [v for v in source[0].values() if isinstance(v, np.ndarray)]
    size = sum(array.nbytes for array in arrays)
    # image, right, depth in metres, labels, disparity
    assert size == (3 + 3 + 4 + 1 + 4) * SIZE[0] * SIZE[1]
    tight, short = source.with_cache(size + 4), source.with_cache(size - 1)
    assert tight[0]["depth"] is tight[0]["depth"]
    assert short[0]["depth"] is not short[0]["depth"]
    tight[0]["depth"] = None
    assert tight[0]["depth"] is not None
    for target in ("depth", "labels", "disparity"):
        with pytest.raises(ValueError, match="read-only"):
            tight[0][target][0] = 0


def test_haze_is_that_of_the_depth_of_the_record(prepare):
    hazy = degradations.Haze(beta=(0.1, 0.1), airlight=(0.8, 0.8))
    task = restoration.Restoration((hazy,), (hazy,), space="rgb")
    record = prepare()[0]
    t = np.exp(-0.1 * truth("1")["depth"][..., None] / 1000)
    got = task.evaluation_input(record, "haze", "red")
    wanted = record["image"] / 255 * t + 0.8 * (1 - t)
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_targets_of_another_shape_than_their_image_are_refused(prepare, monkeypatch):
    monkeypatch.setattr(StreetViews, "turned", {"2"})
    with pytest.raises(errors.DataError, match=r"labels in .*2\.png is 26x18"):
        prepare()
    assert prepare(skip_bad=True).ids() == ["1"]
