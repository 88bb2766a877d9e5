"""Which engine is used, and that OpenCV's keeps to what it is told."""

import dataclasses

import numpy as np
import pytest

from dpjax import errors
from dpjax.inference.stereo import engines
from dpjax.ops.stereo import matching
from tests import random_dots

QUICK = matching.Settings(disparities=20, speckle_size=20)


@pytest.mark.parametrize(
    ("engine", "backend", "changes", "wanted"),
    [
        ("auto", "cpu", {}, "opencv"),
        ("auto", "cpu", {"p1": 3, "box": 5, "tolerance": None}, "opencv"),
        ("auto", "cpu", {"cost": "census"}, "jax"),
        ("auto", "cpu", {"tolerance": 0}, "jax"),
        ("auto", "cpu", {"p1": 0}, "jax"),
        ("auto", "cpu", {"p1": 32}, "jax"),
        ("auto", "cpu", {"fill": "guided"}, "jax"),
        ("auto", "cpu", {"speckle_difference": 0.5}, "jax"),
        ("auto", "gpu", {}, "jax"),
        ("opencv", "gpu", {}, "opencv"),
        ("jax", "cpu", {}, "jax"),
    ],
)
def test_auto_is_opencv_on_processors_as_far_as_it_can(
    engine, backend, changes, wanted
):
    settings = dataclasses.replace(QUICK, **changes)
    assert engines.choose(engine, settings, backend) == wanted


def test_what_an_engine_lacks_or_is_none_is_named():
    settings = dataclasses.replace(QUICK, cost="census", right_view="own")
    with pytest.raises(errors.UserError, match="cost='census', right_view='own'"):
        engines.choose("opencv", settings, "cpu")
    with pytest.raises(errors.UserError, match=r"Unknown engine 'opencl'.*opencv"):
        engines.choose("opencl", QUICK, "cpu")


@pytest.mark.parametrize("channels", [1, 3])
def test_opencv_finds_the_disparities_up_to_the_borders(channels):
    left, right, truth = random_dots.pair(channels=channels)
    found = engines.match(left, right, QUICK, "opencv")
    assert found.confidence is None
    assert found.valid.dtype == bool
    np.testing.assert_array_equal(np.isfinite(found.disparity), found.valid)
    miss = np.abs(found.disparity - truth)[found.valid]
    assert (miss < 0.5).mean() > 0.99
    assert not found.valid[:, : random_dots.BEHIND].any()
    # Without borders of its own it would leave out the first 32 columns.
    assert found.valid[:30, random_dots.BEHIND + 1 :].mean() > 0.98


def test_negative_disparities_are_found_as_in_a_mirror():
    left, right, _ = random_dots.pair()
    found = engines.match(left, right, QUICK, "opencv")
    settings = dataclasses.replace(QUICK, min_disparity=-19)
    mirrored = engines.match(left[:, ::-1], right[:, ::-1], settings, "opencv")
    both = found.valid & mirrored.valid[:, ::-1]
    assert both.mean() > 0.85
    miss = np.abs(found.disparity + mirrored.disparity[:, ::-1])[both]
    assert (miss < 0.5).mean() > 0.99
    assert not mirrored.valid[:, -random_dots.BEHIND :].any()


def test_opencv_answers_within_a_range_that_is_no_multiple_of_16():
    left, right, _ = random_dots.pair()
    settings = dataclasses.replace(QUICK, disparities=9)
    found = engines.match(left, right, settings, "opencv")
    assert np.nanmax(found.disparity) < 9
    assert not found.valid[random_dots.SQUARE][5:-5, 5:-5].any()


def test_without_a_tolerance_views_may_disagree():
    left, right, _ = random_dots.pair()
    shares = [
        engines.match(
            left, right, dataclasses.replace(QUICK, tolerance=t), "opencv"
        ).valid.mean()
        for t in (1, 3, None)
    ]
    assert shares[0] < shares[1] < shares[2]


def test_engines_agree(monkeypatch):
    monkeypatch.setattr(matching, "match", random_dots.quickly_compiled)
    left, right, truth = random_dots.pair()
    found = [engines.match(left, right, QUICK, name) for name in ("jax", "opencv")]
    both = found[0].valid & found[1].valid
    assert both.mean() > 0.85
    miss = np.abs(found[0].disparity - found[1].disparity)[both]
    assert (miss < 0.5).mean() > 0.99
    assert (np.abs(found[0].disparity - truth)[both] < 0.5).mean() > 0.99
    assert found[0].confidence[found[0].valid].min() > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"p1": 50}, "p1 between 0 and 32, got 50"),
        ({"uniqueness": 0}, "uniqueness between 1 and 100, got 0"),
        ({"speckle_size": -1}, "speckle_size"),
        ({"tolerance": -1}, "tolerance"),
        ({"box": 2}, "odd side"),
        ({"min_disparity": 192}, "between -191 and 191"),
    ],
)
def test_opencv_refuses_what_dpjax_refuses(changes, said):
    left, right, _ = random_dots.pair()
    settings = dataclasses.replace(QUICK, **changes)
    with pytest.raises(errors.UserError, match=said):
        engines.match(left, right, settings, "opencv")
    with pytest.raises(errors.UserError):
        engines.match(left, right, settings, "jax")
