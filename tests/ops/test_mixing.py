"""Pairs are mixed as their shares say, wherever the batch is cut between them."""

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import mixing

COUNT, SIDE = 64, 16
KEYS = jax.random.split(jax.random.key(1), COUNT)


@pytest.fixture(scope="module")
def images():
    """Every image has its own brightness, so that a pixel tells whose it is."""
    own = np.arange(1, COUNT + 1, dtype=np.float32)[:, None, None, None]
    return np.broadcast_to(own, (COUNT, SIDE, SIDE, 3)).copy()


def own_and_partner():
    numbers = np.arange(COUNT)
    return numbers + 1.0, (numbers ^ 1) + 1.0


def test_partners_are_neighbours():
    np.testing.assert_array_equal(
        mixing.partners(np.arange(6)), np.array([1, 0, 3, 2, 5, 4])
    )
    with pytest.raises(errors.UserError, match=r"even number .* got 3"):
        mixing.partners(np.arange(3))


def test_mixup_blends_both_ways_with_one_share(images):
    mixed, share = map(np.asarray, mixing.mix(images, KEYS, mixup=0.4))
    own, other = own_and_partner()
    want = share * own + (1 - share) * other
    np.testing.assert_allclose(
        mixed, np.broadcast_to(want[:, None, None, None], mixed.shape), rtol=1e-5
    )
    np.testing.assert_array_equal(share[::2], share[1::2])
    assert len(set(share[::2])) == COUNT // 2
    # Beta(0.4, 0.4) has variance 1 / (4 (2 a + 1))
    assert abs(share.mean() - 0.5) < 0.2
    assert 0.25 < share.std() < 0.5


def test_cutmix_pastes_a_box_and_counts_its_pixels(images):
    mixed, share = map(np.asarray, mixing.mix(images, KEYS, cutmix=1.0))
    own, other = own_and_partner()
    for i in range(COUNT):
        is_own = mixed[i, ..., 0] == own[i]
        assert (is_own | (mixed[i, ..., 0] == other[i])).all()
        assert share[i] == pytest.approx(is_own.mean(), abs=1e-6)
        rows, columns = np.nonzero(~is_own)
        if rows.size:
            box = ~is_own[
                rows.min() : rows.max() + 1, columns.min() : columns.max() + 1
            ]
            assert box.all()  # a box, and nothing outside of it
    np.testing.assert_array_equal(share[::2], share[1::2])
    assert share.min() < 0.3
    assert share.max() > 0.9


def test_both_at_once_draw_one_for_each_pair(images):
    mixed, share = map(np.asarray, mixing.mix(images, KEYS, mixup=1.0, cutmix=1.0))
    own, other = own_and_partner()
    np.testing.assert_allclose(
        mixed.mean((1, 2, 3)), share * own + (1 - share) * other, rtol=1e-4
    )
    flat = np.ptp(mixed[..., 0], axis=(1, 2)) < 1e-3
    np.testing.assert_array_equal(flat[::2], flat[1::2])
    assert 8 <= flat[::2].sum() <= 24


@pytest.mark.parametrize("options", [{"mixup": 0.3}, {"cutmix": 1.0}, {}])
def test_a_share_of_the_batch_gives_the_same(images, options):
    whole, shares = mixing.mix(images, KEYS, **options)
    part, own = mixing.mix(images[8:12], KEYS[8:12], **options)
    np.testing.assert_allclose(part, whole[8:12], rtol=1e-6)
    np.testing.assert_allclose(own, shares[8:12], rtol=1e-6)
    if not options:
        np.testing.assert_array_equal(whole, images)
        np.testing.assert_array_equal(shares, np.ones(COUNT))
