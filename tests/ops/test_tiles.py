"""Window plans: partition, halo, stride, borders, over random sizes."""

import numpy as np
import pytest

from dpjax.ops import tiles


def random_case(seed):
    rng = np.random.default_rng([77, seed])
    stride = int(rng.choice([1, 2, 3]))
    bucket = stride * int(rng.integers(1, 20))
    halo = int(rng.integers(0, 40))
    limit = tiles.smallest_limit(halo=halo, stride=stride, bucket=bucket)
    limit += bucket * int(rng.integers(0, 6))
    height, width = (stride * int(n) for n in rng.integers(1, 400, 2))
    return height, width, limit, halo, stride, bucket


@pytest.mark.parametrize("seed", range(200))
def test_cores_partition_the_image_and_keep_the_halo(seed):
    height, width, limit, halo, stride, bucket = random_case(seed)
    plan = tiles.plan(height, width, limit, halo=halo, stride=stride, bucket=bucket)
    covered = np.zeros((height, width), int)
    for row, column in plan.windows:
        covered[row.start : row.stop, column.start : column.stop] += 1
        for span, size, length in (
            (row, plan.size[0], height),
            (column, plan.size[1], width),
        ):
            assert span.start < span.stop
            assert span.origin % stride == 0
            assert size % bucket == 0
            assert size <= limit
            end = span.origin + size
            # A cut keeps the halo; the border of the image does not need to.
            assert span.start - span.origin >= halo or span.origin == 0
            assert end - span.stop >= halo or end >= length
            # Padding exists only where one window holds the whole axis.
            assert end <= length or (span.origin == 0 and span.stop == length)
    assert (covered == 1).all()


@pytest.mark.parametrize("seed", range(200))
def test_no_fewer_windows_would_do(seed):
    height, width, limit, halo, stride, bucket = random_case(seed)
    plan = tiles.plan(height, width, limit, halo=halo, stride=stride, bucket=bucket)
    margin = tiles.round_up(halo, stride)
    for spans, length in ((plan.rows, height), (plan.columns, width)):
        fewer = len(spans) - 1
        if fewer == 1:
            assert length > limit
        elif fewer > 1:
            assert fewer * (limit - 2 * margin) + 2 * margin < length


def test_a_small_image_is_one_window_of_the_next_bucket():
    plan = tiles.plan(1, 65, 256, halo=30)
    assert plan.size == (64, 128)
    assert plan.windows == ((tiles.Span(0, 0, 1), tiles.Span(0, 0, 65)),)


def test_origins_keep_the_stride_when_the_halo_does_not():
    plan = tiles.plan(500, 20, 64, halo=19, stride=2, bucket=32)
    assert all(span.origin % 2 == 0 for span in plan.rows)
    assert all(s.start - s.origin >= 19 for s in plan.rows[1:])


@pytest.mark.parametrize("length", [65, 100, 128, 321, 1000])
def test_feather_weights_sum_to_one_and_fade_only_at_cuts(length):
    plan = tiles.plan(length, 8, 64, halo=12, bucket=8)
    weights = tiles.feather(plan.rows, plan.size[0], length)
    total = np.zeros(length + 64)
    for span, weight in zip(plan.rows, weights, strict=True):
        total[span.origin : span.origin + plan.size[0]] += weight
    np.testing.assert_allclose(total[:length], 1.0, rtol=1e-12)
    assert weights[0][0] == 1.0
    assert weights[-1][-1] == 1.0
    assert weights[0][-1] < 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 7, "limit": 64, "halo": 3, "stride": 2}, "multiple of 2, got 7"),
        ({"height": 0, "limit": 64, "halo": 3}, "multiple of 1, got 0"),
        ({"height": 90, "limit": 64, "halo": 32}, "at least 65"),
        ({"height": 90, "limit": 65, "halo": 3}, "multiple of bucket"),
        ({"height": 90, "limit": 66, "halo": 3, "bucket": 33, "stride": 2}, "bucket"),
    ],
)
def test_impossible_plans_say_why(arguments, message):
    height = arguments.pop("height")
    limit = arguments.pop("limit")
    with pytest.raises(ValueError, match=message):
        tiles.plan(height, height, limit, **arguments)


def test_the_smallest_limit_cuts_and_one_bucket_less_does_not():
    for halo, stride in ((0, 1), (10, 1), (31, 2), (58, 2)):
        limit = tiles.smallest_limit(halo=halo, stride=stride, bucket=2)
        tiles.plan(5000, 2, limit, halo=halo, stride=stride, bucket=2)
        if limit > 2:
            with pytest.raises(ValueError):
                tiles.plan(5000, 2, limit - 2, halo=halo, stride=stride, bucket=2)
