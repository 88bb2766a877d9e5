"""Arrays of a static shape for each image, and the folder that keeps them."""

import dataclasses
import pickle

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.superpixels import cache, features, front_end, graph, slic

SETTINGS = front_end.Settings(size=12)


@pytest.fixture(scope="module")
def image(photo):
    return photo[40:136, 60:204]


@pytest.fixture(scope="module")
def arrays(image):
    return front_end.compute(image, SETTINGS)


def test_the_arrays_are_those_of_the_parts(image, arrays):
    regions = slic.segment(image, 12)
    geometry, edges = graph.geometry(regions), graph.adjacency(regions)
    alike = features.similarities(image, regions, geometry.box_centres, edges)
    np.testing.assert_array_equal(arrays["regions"], regions)
    np.testing.assert_array_equal(arrays["edges"], edges)
    np.testing.assert_array_equal(arrays["similarities"], alike)
    np.testing.assert_array_equal(arrays["region_sizes"], geometry.sizes)
    np.testing.assert_allclose(arrays["region_centroids"], geometry.centroids, 1e-6)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((480, 640), 768), ((481, 640), 1024), ((240, 320), 256), ((20, 20), 256)],
)
def test_room_depends_on_the_size_of_the_image(size, wanted):
    settings = front_end.Settings()
    assert front_end.bucket(size, settings, name="a") == wanted


def test_too_many_superpixels_are_refused_by_the_image_s_name():
    message = r"0017\.png of 375 x 1242 has up to 1197 .* room for 1024"
    with pytest.raises(errors.UserError, match=message):
        front_end.bucket((375, 1242), front_end.Settings(), name="0017.png")


def test_padding_is_not_valid_and_all_else_is_kept(image, arrays):
    room = front_end.bucket(image.shape[:2], SETTINGS, name="a")
    found = front_end.pad(arrays, room, name="a")
    n, e = len(arrays["region_sizes"]), len(arrays["edges"])
    assert room == 256 > n
    assert found["region_valid"].tolist() == [True] * n + [False] * (256 - n)
    assert found["edge_valid"].tolist() == [True] * e + [False] * (768 - e)
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key][: len(array)], array)
        assert found[key].dtype == array.dtype
        assert not found[key][len(array) :].any()
    assert found["edges"].shape == (768, 2)
    assert found["similarities"].shape == (768, 3)


@pytest.mark.parametrize(("room", "what"), [(90, "96 regions"), (96, "310 edges")])
def test_what_does_not_fit_is_refused_by_the_image_s_name(arrays, room, what):
    many = {**arrays, "edges": np.zeros((310, 2), np.int32)}
    with pytest.raises(errors.UserError, match=rf"0017\.png has {what}"):
        front_end.pad(many, room, name="0017.png")


@pytest.mark.parametrize(
    "change", [{"size": 13}, {"regulariser": 0.2}, {"least": 9}, {"connected": False}]
)
def test_versions_differ_where_the_arrays_could(change):
    version = SETTINGS.version((96, 144))
    assert dataclasses.replace(SETTINGS, **change).version((96, 144)) != version
    assert SETTINGS.version((144, 96)) != version
    assert " " not in version
    assert "/" not in version


def test_settings_can_be_pickled():
    assert pickle.loads(pickle.dumps(SETTINGS)) == SETTINGS


def test_an_image_is_cut_once(tmp_path, image, arrays, monkeypatch):
    first = cache.load_or_compute(tmp_path / "kept", image, SETTINGS)
    monkeypatch.setattr(front_end, "compute", None)
    again = cache.load_or_compute(tmp_path / "kept", image.copy(), SETTINGS)
    assert set(first) == set(again) == set(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(first[key], array)
        np.testing.assert_array_equal(again[key], array)
        assert again[key].dtype == array.dtype


def test_files_are_named_after_content_and_settings(tmp_path, image):
    name = cache.file(tmp_path, image, SETTINGS)
    assert name == cache.file(tmp_path, image.copy(), SETTINGS)
    other = image.copy()
    other[0, 0, 0] ^= 1
    assert name != cache.file(tmp_path, other, SETTINGS)
    assert name != cache.file(tmp_path, image, front_end.Settings())
    turned = np.ascontiguousarray(image).reshape(144, 96, 3)
    assert name != cache.file(tmp_path, turned, SETTINGS)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other", "pickled"])
def test_a_damaged_file_is_written_again(tmp_path, image, arrays, damage):
    cache.load_or_compute(tmp_path, image, SETTINGS)
    path = cache.file(tmp_path, image, SETTINGS)
    data = path.read_bytes()
    if damage == "other":
        np.savez(path, other=np.zeros(3))
    elif damage == "pickled":
        np.savez(path, **{key: np.array([{}]) for key in arrays})
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        path.write_bytes(
            {"cut": data[:middle], "flipped": flipped, "empty": b""}[damage]
        )
    found = cache.load_or_compute(tmp_path, image, SETTINGS)
    np.testing.assert_array_equal(found["similarities"], arrays["similarities"])
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]
