"""What is kept comes back as it was, for the same pair and settings only."""

import dataclasses

import numpy as np
import pytest

from dpjax.data.stereo import frames, store
from tests import stereo_scenes

SETTINGS = frames.Settings()


@pytest.fixture
def pair():
    return frames.Pair("a/b", *stereo_scenes.pair(0)[:2], "a/b.png")


def results(pair):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 5)).astype(np.float32), np.ones((4, 5), np.uint8)
    told = {"rows": 2, "bars": (1, 0), "confident": 0.75, "spread": 1 / 3}
    told |= {"disparities": (-16, 48), "votes": (7, 3)}
    yield frames.Frame("a/b", pair.left[:4, :5], *maps, **told)
    yield frames.Rejection("a/b", "low spread", "a/b.png: é", pair.left)
    yield frames.Rejection("a/b", "low spread", "none")


def test_results_come_back_as_they_were(tmp_path, pair):
    kept = store.Store(tmp_path / "k", SETTINGS)
    assert kept.get(pair) is None
    for result in results(pair):
        kept.put(pair, result)
        again = store.Store(tmp_path / "k", SETTINGS).get(pair)
        assert type(again) is type(result)
        for field in dataclasses.fields(result):
            one, other = (getattr(x, field.name) for x in (result, again))
            np.testing.assert_array_equal(one, other)
            assert type(one) is type(other)


def test_without_a_folder_nothing_is_kept(pair):
    kept = store.Store(None, SETTINGS)
    kept.put(pair, next(results(pair)))
    assert kept.get(pair) is None


def test_other_pixels_names_and_settings_have_nothing(tmp_path, pair):
    kept = store.Store(tmp_path, SETTINGS)
    kept.put(pair, next(results(pair)))
    changed = pair.right.copy()
    changed[-1, -1, -1] ^= 1
    assert kept.get(pair._replace(right=changed)) is None
    assert kept.get(pair._replace(left=pair.right, right=pair.left)) is None
    assert kept.get(pair._replace(name="a")) is None
    other = dataclasses.replace(SETTINGS, spread=3.0)
    assert store.Store(tmp_path, other).get(pair) is None
    assert kept.get(pair) is not None


def test_a_damaged_file_counts_as_none(tmp_path, pair):
    kept = store.Store(tmp_path, SETTINGS)
    kept.put(pair, next(results(pair)))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    for data in (b"", whole[:100], whole[:middle] + b"\0" * 99 + whole[middle + 99 :]):
        path.write_bytes(data)
        assert kept.get(pair) is None
    for arrays in (
        {"a": np.zeros(1)},
        {"values": np.frombuffer(b"{", np.uint8)},
        {"values": np.frombuffer(b"{}", np.uint8)},
    ):
        np.savez(path, **arrays)
        assert kept.get(pair) is None
