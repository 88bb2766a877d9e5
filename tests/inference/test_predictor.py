"""The predictor on every kind of picture, and on everything that is none."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import degradations
from dpjax.inference import predictor, trained
from dpjax.weights import store


@pytest.fixture(scope="module")
def gray(tiny_weights):
    return predictor.Predictor(tiny_weights())


def network_of(path):
    """The network alone, on float images."""
    loaded = trained.load(path)

    def run(image):
        return np.asarray(loaded.module.apply(loaded.variables, image[None]))[0]

    return run


def test_a_run_folder_means_its_last_weights(tmp_path, tiny_weights, photo, caplog):
    def leave(name, path):
        for suffix in (".safetensors", ".json"):
            target = tmp_path / "weights" / f"{name}{suffix}"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.with_suffix(suffix).read_bytes())

    def differs(path):
        given = photo[:20, :30]
        other = predictor.Predictor(path)(given).array
        return np.abs(predictor.Predictor(tmp_path)(given).array - other).max()

    last, best = tiny_weights(), tiny_weights("t2", seed=2)
    leave("best", best)
    assert differs(best) == 0
    assert "is not finished" in caplog.text
    leave("last", last)
    assert differs(last) == 0
    assert differs(best) > 0
    assert differs(tmp_path / "weights" / "best.safetensors") > 0


def test_a_gray_network_restores_each_channel(gray, tiny_weights, photo):
    image = photo[:45, :37]
    result = gray(image)
    network = network_of(tiny_weights())
    expected = np.concatenate(
        [network(image[..., i : i + 1].astype(np.float32) / 255) for i in range(3)], -1
    ).clip(0, 1)
    np.testing.assert_allclose(result.array, expected, rtol=0, atol=1e-5)
    assert result.exact
    assert result.image.dtype == np.uint8
    assert np.abs(result.image - 255 * expected).max() <= 0.5 + 1e-3
    assert np.abs(result.image.astype(int) - image).max() > 2  # it did something


def test_depth_shape_and_transparency_of_arrays_are_kept(gray, photo):
    small = photo[:20, :30]
    deep = small.astype(np.uint16) * 257
    plain = gray(small)
    assert gray(small[..., 0]).image.shape == (20, 30)
    assert gray(small[..., :1]).image.shape == (20, 30, 1)
    np.testing.assert_array_equal(gray(small[..., 0]).image, plain.image[..., 0])
    sixteen = gray(deep)
    assert sixteen.image.dtype == np.uint16
    np.testing.assert_allclose(sixteen.array, plain.array, atol=1e-6)
    assert np.abs(sixteen.image / 257 - 255 * plain.array).max() < 0.01
    floats = gray(small / 255)
    assert floats.image.dtype == np.uint8
    np.testing.assert_array_equal(floats.image, plain.image)
    alpha = np.arange(600, dtype=np.uint8).reshape(20, 30, 1)
    rgba = gray(np.concatenate([small, alpha], -1))
    np.testing.assert_array_equal(rgba.image[..., 3:], alpha)
    np.testing.assert_array_equal(rgba.image[..., :3], plain.image)
    pair = gray(np.concatenate([small[..., :1], alpha], -1))
    assert pair.image.shape == (20, 30, 2)
    np.testing.assert_array_equal(pair.image[..., 1:], alpha)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (33, 7)])
def test_any_size(gray, size):
    assert gray(np.full((*size, 3), 77, np.uint8)).image.shape == (*size, 3)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1", "I;16"])
def test_files_of_every_kind(gray, tmp_path, photo, mode):
    path = tmp_path / ("in.tif" if mode == "CMYK" else "in.png")
    source = PIL.Image.fromarray(photo[:25, :31])
    if mode == "I;16":
        source = PIL.Image.fromarray(photo[:25, :31, 0].astype(np.uint16) * 257)
    else:
        source = source.convert(mode)
    source.save(path)
    result = gray(path)
    assert result.array.shape[:2] == (25, 31)
    result.save(tmp_path / "out.png")
    with PIL.Image.open(tmp_path / "out.png") as back:
        expected = {"P": "RGB", "CMYK": "RGB", "1": "L", "LA": "RGBA"}.get(mode, mode)
        assert back.mode == expected
        assert back.size == (31, 25)
        shown = np.asarray(back)
    scale = 65535 if mode == "I;16" else 255
    got = shown.reshape(25, 31, -1)[..., : result.array.shape[-1]] / scale
    np.testing.assert_allclose(got, result.array.clip(0, 1), atol=0.51 / scale)


def test_a_rotated_photograph_comes_out_upright(gray, tmp_path, photo):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(photo[:20, :30]).save(tmp_path / "r.png", exif=exif)
    result = gray(tmp_path / "r.png")
    assert result.image.shape == (30, 20, 3)
    upright = gray(np.rot90(photo[:20, :30], -1))
    np.testing.assert_array_equal(result.image, upright.image)


def test_enlarging_weights_enlarge_picture_and_transparency(tiny_weights, photo):
    scales = tuple(degradations.Bicubic(s) for s in (2, 3))
    enlarge = predictor.Predictor(tiny_weights("sr", space="y", suffers=scales))
    rgba = np.concatenate([photo[:10, :14], np.full((10, 14, 1), 99, np.uint8)], -1)
    result = enlarge(rgba, scale=3)
    assert result.image.shape == (30, 42, 4)
    assert (result.image[..., 3] == 99).all()
    with pytest.raises(errors.UserError, match="enlarge by 2 or 3; got scale 4"):
        enlarge(rgba, scale=4)
    with pytest.raises(errors.UserError, match=r"'scal'. Did you mean scale"):
        enlarge(rgba, scal=2)


def test_rgb_networks_accept_grey_pictures(tiny_weights, photo):
    restore = predictor.Predictor(tiny_weights("rgb", space="rgb"))
    assert restore(photo[:20, :20]).image.shape == (20, 20, 3)
    assert restore(photo[:20, :20, 0]).image.shape == (20, 20)


def test_the_ensemble_differs_and_is_equivariant(tiny_weights, photo):
    plain = predictor.Predictor(tiny_weights())
    averaged = predictor.Predictor(tiny_weights(), ensemble=True)
    image = photo[:21, :34]
    straight, turned = averaged(image), averaged(np.rot90(image))
    np.testing.assert_allclose(np.rot90(straight.array), turned.array, atol=1e-5)
    assert np.abs(straight.array - plain(image).array).max() > 1e-3


def test_a_small_budget_tiles_and_gives_the_same(tiny_weights, photo):
    wider = tiny_weights("wider", widths=16)
    large = predictor.Predictor(wider)
    small = predictor.Predictor(wider, memory_bytes=60_000_000)
    tiled = small(photo)
    assert small._engine.limit < 451 < large._engine.limit
    assert tiled.exact
    np.testing.assert_allclose(tiled.array, large(photo).array, rtol=0, atol=1e-5)


def test_a_budget_too_small_is_refused_with_numbers(tiny_weights, photo):
    with pytest.raises(errors.UserError, match="Allow more memory"):
        predictor.Predictor(tiny_weights(), memory_bytes=10_000)
    tight = predictor.Predictor(tiny_weights(), memory_bytes=2_000_000)
    with pytest.raises(errors.UserError, match=r"451 x 300 pixels.*0.001 GB are"):
        tight(photo)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 5), np.uint8), r"1 to 4 channels.*\[4, 4, 5\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"got \[2, 4, 4, 3\]"),
        (np.zeros(4, np.uint8), r"got \[4\]"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        (np.zeros((4, 4), np.int64), "got int64"),
        (np.zeros((4, 4), bool), "got bool"),
        (np.full((4, 4), np.nan), "16 of 16 values.*NaN"),
        (np.full((4, 4), np.inf, np.float32), "infinite"),
        (np.full((4, 4), 200.0), r"in \[0, 1\], got values from 200 to 200"),
    ],
)
def test_other_arrays_are_refused(gray, image, message):
    with pytest.raises(errors.UserError, match=message):
        gray(image)


def test_bad_files_are_named(gray, tmp_path, photo):
    PIL.Image.fromarray(photo).save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[:3000])
    with pytest.raises(errors.DataError, match=r"cut\.jpg"):
        gray(tmp_path / "cut.jpg")
    with pytest.raises(errors.UserError, match=r"absent\.png"):
        gray(str(tmp_path / "absent.png"))


def test_damaged_weights_do_not_pass_as_a_result(tiny_weights, photo):
    weights = store.load(tiny_weights())
    layer = weights.variables["params"]["conv1"]
    layer["bias"] = np.full_like(layer["bias"], np.nan)
    broken = predictor.Predictor(weights)
    with pytest.raises(errors.NotFiniteError, match="tiny returned values"):
        broken(photo[:9, :9])


def test_unknown_and_incomplete_weights_are_refused(tiny_weights):
    with pytest.raises(errors.UserError, match="rednet99"):
        predictor.Predictor("rednet99-denoise")
    weights = store.load(tiny_weights())
    del weights.card["task"]
    with pytest.raises(errors.UserError, match="lacks task"):
        predictor.Predictor(weights)


def test_pictures_of_one_size_share_a_program(tiny_weights, photo):
    restore = predictor.Predictor(tiny_weights())
    for n in (20, 25, 30):
        restore(photo[:n, :31, 0])
    assert restore.compilations == 1


def test_the_compute_type_of_the_card_can_be_overruled(tiny_weights, photo):
    weights = store.load(tiny_weights())
    model = {**weights.card["model"], "compute_dtype": "bfloat16"}
    rounding = dataclasses.replace(weights, card={**weights.card, "model": model})

    def run(given, **options):
        return predictor.Predictor(given, **options)(photo).array

    exact, rounded = run(weights), run(rounding)
    assert 0 < np.abs(exact - rounded).max() < 0.02
    np.testing.assert_array_equal(run(rounding, compute_dtype="float32"), exact)
    np.testing.assert_array_equal(run(weights, compute_dtype="bfloat16"), rounded)
