"""Crops against padding the whole image; symmetries against NumPy's rotations."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from dpjax.data import transforms


def test_dihedral_gives_the_eight_symmetries_once_each():
    image = np.arange(9 * 2).reshape(3, 3, 2)
    ours = {transforms.dihedral(image, i).tobytes() for i in range(8)}
    turned = [np.rot90(image, k) for k in range(4)]
    wanted = {t.tobytes() for t in turned} | {t[:, ::-1].tobytes() for t in turned}
    assert len(ours) == 8
    assert ours == wanted


@pytest.mark.parametrize("index", range(8))
def test_dihedral_inverse_undoes_on_numpy_and_jax(index):
    image = np.arange(2 * 4 * 5 * 3).reshape(2, 4, 5, 3)
    turned = transforms.dihedral(image, index)
    np.testing.assert_array_equal(transforms.dihedral_inverse(turned, index), image)
    on_device = transforms.dihedral(jnp.asarray(image), index)
    np.testing.assert_array_equal(on_device, turned)
    np.testing.assert_array_equal(transforms.dihedral_inverse(on_device, index), image)


def test_dihedral_wants_an_index_of_the_group():
    for function in (transforms.dihedral, transforms.dihedral_inverse):
        with pytest.raises(ValueError, match="0 to 7, got 8"):
            function(np.zeros((2, 2, 1)), 8)


def test_random_dihedral_keeps_the_shape_and_reaches_everything():
    rng = np.random.default_rng(0)
    for shape, count in (((4, 4, 1), 8), ((4, 6, 1), 4)):
        image = np.arange(np.prod(shape)).reshape(shape)
        pair, seen = {"image": image, "labels": image + 1}, set()
        for _ in range(200):
            turned = transforms.random_dihedral(pair, rng)
            seen.add(turned["image"].tobytes())
            assert turned["image"].shape == shape
            np.testing.assert_array_equal(turned["labels"], turned["image"] + 1)
        assert len(seen) == count


@pytest.mark.parametrize("border", ["symmetric", "edge"])
@pytest.mark.parametrize(
    ("shape", "size", "margin", "align"),
    [
        ((20, 30), (8, 8), 0, 1),
        ((20, 30), (8, 12), 5, 1),
        ((21, 31), (8, 8), 6, 4),
        ((20, 30), (20, 30), 7, 2),
        ((5, 30), (8, 8), 3, 1),  # lower than the crop
        ((5, 6), (16, 16), 9, 3),  # smaller than crop and margin
    ],
)
def test_random_crop_is_a_window_of_the_padded_image(
    border, shape, size, margin, align
):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    kept = image[: shape[0] - shape[0] % align, : shape[1] - shape[1] % align]
    last = [
        max(0, side - length) // align
        for side, length in zip(kept.shape, size, strict=False)
    ]
    after = [
        margin + max(0, length - side)
        for side, length in zip(kept.shape, size, strict=False)
    ]
    padded = np.pad(kept, ((margin, after[0]), (margin, after[1]), (0, 0)), border)
    windows = {
        padded[
            align * r : align * r + size[0] + 2 * margin,
            align * c : align * c + size[1] + 2 * margin,
        ].tobytes()
        for r, c in itertools.product(range(last[0] + 1), range(last[1] + 1))
    }
    rng = np.random.default_rng(2)
    for _ in range(30):
        crop = transforms.random_crop(
            image, size, rng=rng, margin=margin, align=align, border=border
        )
        assert crop.shape == (size[0] + 2 * margin, size[1] + 2 * margin, 3)
        assert crop.dtype == np.uint8
        assert crop.tobytes() in windows


def test_random_crop_reaches_every_aligned_origin_and_no_other():
    image = np.arange(11 * 11).reshape(11, 11, 1)
    rng = np.random.default_rng(3)
    corners = {
        int(transforms.random_crop(image, (4, 4), rng=rng, align=3)[0, 0, 0])
        for _ in range(200)
    }
    assert corners == {r * 11 + c for r in (0, 3) for c in (0, 3)}


def test_random_crop_draws_twice_whatever_the_image():
    for shape in ((64, 64, 1), (3, 64, 1)):
        rng = np.random.default_rng(4)
        transforms.random_crop(np.zeros(shape, np.uint8), (8, 8), rng=rng)
        follow = np.random.default_rng(4)
        follow.integers(57 if shape[0] == 64 else 1)
        follow.integers(57)
        assert rng.integers(1 << 30) == follow.integers(1 << 30)


def test_random_crop_names_an_image_too_small_to_align():
    with pytest.raises(ValueError, match=r"at least 4x4 pixels.*got 3x9"):
        transforms.random_crop(
            np.zeros((3, 9, 1)), (2, 2), rng=np.random.default_rng(0), align=4
        )
