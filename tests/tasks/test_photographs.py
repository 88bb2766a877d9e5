"""Photographs on their way into networks: batches as planned, colours, 8 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config
from dpjax.tasks import photographs

KEYS = jax.random.split(jax.random.key(0), 3)


def test_targets_have_a_number_for_each_pixel_of_the_crop():
    data = config.Data(("x",), ("y",), crop=(5, 7))
    found = photographs.batch_spec(data, 3, depth=jnp.float32, known=jnp.bool_)
    assert {name: (s.shape, s.dtype.name) for name, s in found.items()} == {
        "image": ((3, 5, 7, 3), "uint8"),
        "depth": ((3, 5, 7), "float32"),
        "known": ((3, 5, 7), "bool"),
        "valid": ((3,), "bool"),
        "position": ((3,), "int32"),
    }


def test_without_a_strength_colours_are_those_of_the_image():
    images = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3)
    found = photographs.coloured(jnp.asarray(images), KEYS, 0.0)
    np.testing.assert_allclose(found, images / 255, rtol=1e-6)


def test_colours_differ_by_key_stay_in_range_and_are_of_the_strength():
    images = jnp.full((3, 8, 8, 3), 250, jnp.uint8)
    found = np.asarray(photographs.coloured(images, KEYS, 0.5))
    assert found.max() <= 1
    assert found.min() >= 0
    assert len({one.tobytes() for one in found}) == 3
    again = photographs.coloured(images[:1], KEYS[:1], 0.5)  # whatever is beside it
    np.testing.assert_allclose(again, found[:1], rtol=1e-6)
    slight = np.asarray(photographs.coloured(images, KEYS, 0.01))
    assert 0 < np.abs(slight - 250 / 255).max() < 0.03


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_rounded_cut_off_and_grey_ones_repeated(channels):
    values = np.array([-0.2, 0, 0.4999 / 255, 0.5001 / 255, 0.7, 1, 1.3])
    image = np.tile(values.astype(np.float32)[None, :, None], (2, 1, channels))
    found = photographs.in_8_bits(image)
    assert (found.shape, found.dtype) == ((2, 7, 3), np.uint8)
    assert found.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_array_equal(found[1, :, channel], [0, 0, 0, 1, 178, 255, 255])


@pytest.mark.parametrize(
    ("shape", "size", "wanted"),
    [
        ((480, 640), (240, 320), (240, 320)),
        ((493, 640), (240, 320), (240, 320)),  # 2.7 % off
        ((640, 480), (240, 320), (320, 240)),
        ((3000, 3000), (240, 320), (272, 272)),
        ((1080, 1920), (240, 320), (208, 368)),
        ((100, 4000), (240, 320), (48, 1760)),
        ((4000, 100), (240, 320), (1760, 48)),
        ((10, 4000), (240, 320), (32, 2400)),
        ((4000, 10), (240, 320), (2400, 32)),
        ((300, 200), (24, 40), (32, 32)),
        ((40, 24), (24, 40), (32, 32)),
        ((640, 480), (), ()),
    ],
)
def test_photographs_are_seen_with_their_aspect_at_as_many_pixels(shape, size, wanted):
    assert photographs.size_for(shape, size) == wanted
    assert photographs.size_for(shape, size, (240, 320)) == size


def test_every_aspect_gets_multiples_of_16_near_its_own_and_near_the_pixels():
    size = (480, 640)
    for aspect in np.geomspace(1 / 5, 5, 41):
        shape = (round(1000 * aspect**0.5), round(1000 / aspect**0.5))
        found = photographs.size_for(shape, size)
        if found == size:
            assert abs(np.log(shape[0] / shape[1] * size[1] / size[0])) <= 0.03
            continue
        assert min(found) >= 32
        assert not any(side % 16 for side in found)
        assert abs(np.log(found[0] / found[1] * shape[1] / shape[0])) < 0.03
        assert abs(np.log(found[0] * found[1] / (480 * 640))) < 0.25
