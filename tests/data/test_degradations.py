"""Laws of the degradations: determinism, crops with context, mixed batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.data import degradation, degradations

ALL = [
    degradations.GaussianNoise((25.0, 25.0)),
    degradations.GaussianNoise((0.0, 55.0), quantize=True),
    degradations.Bicubic(2),
    degradations.Bicubic(3, lr_round=True),
    degradations.Bicubic(4, lr_round=True, up_round=True),
    degradations.Jpeg((10, 10)),
    degradations.Jpeg((10, 40)),
    degradations.Blur("disk", 7),
    degradations.Blur("gaussian", 25, 1.6),
    degradations.Blur("motion", 15, angle_deg=45.0),
    degradations.TextMask(),
    degradations.ScratchMask(),
    degradations.Haze(),
]
ON_DEVICE = [d for d in ALL if not d.on_host]
RANDOM = (
    degradations.GaussianNoise,
    degradations.TextMask,
    degradations.ScratchMask,
    degradations.Haze,
)


def _id(value):
    rounds = getattr(value, "lr_round", False) + getattr(value, "up_round", False)
    return value.label + "-rounded" * rounds


def _images(b=2, h=24, w=36, c=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (b, h, w, c), np.uint8)


def test_labels_are_short_and_distinct():
    assert [d.label for d in ALL] == [
        "noise25",
        "noise0-55",
        "bicubic2",
        "bicubic3",
        "bicubic4",
        "jpeg10",
        "jpeg10-40",
        "blur-disk7",
        "blur-gaussian1.6",
        "blur-motion15-45",
        "text",
        "scratch",
        "haze",
    ]


@pytest.mark.parametrize("operator", ALL, ids=_id)
def test_json_brings_the_degradation_back(operator):
    there = config.encode(operator)
    assert config.decode(there, degradations.TYPES) == operator


@pytest.mark.parametrize("operator", ON_DEVICE, ids=_id)
def test_device_result_is_a_function_of_the_key(operator):
    clean = jnp.asarray(_images() / 255, jnp.float32)
    keys = jax.random.split(jax.random.key(7), 2)
    batched, single = jax.jit(jax.vmap(operator.apply)), jax.jit(operator.apply)
    together = batched(clean, keys)
    assert together.dtype == jnp.float32
    assert together.shape == clean.shape
    assert np.array_equal(together, batched(clean, keys))
    alone = single(clean[1], keys[1])
    # Compilers may order sums differently; levels and masks may then flip rarely.
    assert np.mean(np.abs(alone - together[1]) > 1e-5) < 2e-3
    other = single(clean[1], jax.random.key(8))
    assert np.array_equal(alone, other) != isinstance(operator, RANDOM)


@pytest.mark.parametrize("operator", ALL, ids=_id)
def test_evaluation_is_a_function_of_the_generator(operator):
    image = _images(h=48, w=36)[0]
    first, again, other = (
        operator.evaluate(image, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first.dtype == np.float32
    assert first.shape == image.shape
    assert np.array_equal(first, again)
    is_random = isinstance(operator, RANDOM) or operator.label == "jpeg10-40"
    assert np.array_equal(first, other) != is_random
    assert np.isfinite(first).all()


@pytest.mark.parametrize(
    "operator", [d for d in ON_DEVICE if not isinstance(d, RANDOM)], ids=_id
)
@pytest.mark.parametrize("channels", [1, 3])
def test_device_equals_host_where_nothing_is_random(operator, channels):
    image = _images(h=48, w=36, c=channels)[0]
    host = operator.evaluate(image, np.random.default_rng(0))
    clean = jnp.asarray(image / 255, jnp.float32)
    device = jax.jit(operator.apply)(clean, jax.random.key(0))
    apart = np.abs(np.asarray(device) - host)
    # A float32 tie may round to the neighbouring level, and be enlarged from there.
    assert np.mean(apart > 2e-6) < 0.02
    assert apart.max() < 1.5 / 255


@pytest.mark.parametrize(
    "operator",
    [d for d in ALL if not isinstance(d, RANDOM) and d.label != "jpeg10-40"],
    ids=_id,
)
def test_crop_with_context_equals_the_crop_of_the_whole(operator):
    channels = 1 if operator.on_host else 2
    margin, align = degradations.context([operator])
    h = w = 6 * 16 if operator.on_host else 84
    # Smooth values spread rounding evenly; noise would make ties likely.
    image = _images(1, h, w, channels, seed=1)[0]
    rng = np.random.default_rng(0)
    whole = operator.evaluate(image, rng)
    mode = {"symmetric": "symmetric", "edge": "edge"}[operator.border]
    padded = np.pad(image, ((margin,) * 2, (margin,) * 2, (0, 0)), mode)
    side = -(-50 // align) * align
    last = (h - side) // align * align
    for top, left in [(0, 0), (0, last), (last, 0), (last, last), (align, 2 * align)]:
        window = padded[top : top + side + 2 * margin, left : left + side + 2 * margin]
        got = operator.evaluate(window, rng)
        got = got[margin : margin + side, margin : margin + side]
        want = whole[top : top + side, left : left + side]
        np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("operator", [degradations.Bicubic(3), degradations.Blur()])
def test_less_context_is_not_enough(operator):
    short, align = operator.margin - 2 * operator.align, operator.align
    image = _images(1, 84, 84, 1)[0]
    whole = operator.evaluate(image, None)
    window = slice(30 - short, 30 + 24 + short)
    got = operator.evaluate(image[window, window], None)[short:-short, short:-short]
    assert align in (1, 3)
    assert np.abs(got - whole[30:54, 30:54]).max() > 1e-4


def test_context_suits_all_degradations_at_once():
    three = [degradations.Bicubic(s) for s in (2, 3, 4)]
    assert degradations.context(three) == (24, 12)
    assert degradations.context([degradations.Blur(), *three]) == (24, 12)
    assert degradations.context([degradations.GaussianNoise()]) == (0, 1)
    assert degradations.context([degradations.Jpeg()]) == (16, 16)
    assert degradations.context([]) == (0, 1)


def test_noise_has_its_level_and_mean():
    clean = jnp.full((200, 200, 1), 0.5)
    one_level = jax.jit(degradations.GaussianNoise((25.0, 25.0)).apply)
    noise = one_level(clean, jax.random.key(0))
    assert float(noise.std()) == pytest.approx(25 / 255, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0.5, abs=2e-3)
    clean = clean[:60, :60]
    blind = jax.jit(jax.vmap(degradations.GaussianNoise((10.0, 40.0)).apply, (None, 0)))
    levels = blind(clean, jax.random.split(jax.random.key(1), 100)).std((1, 2, 3)) * 255
    assert levels.min() == pytest.approx(10, abs=1.5)
    assert levels.max() == pytest.approx(40, abs=1.5)
    assert levels.mean() == pytest.approx(25, abs=2.5)


def test_quantised_noise_is_stored_levels():
    operator = degradations.GaussianNoise((50.0, 50.0), quantize=True)
    given = operator.evaluate(_images()[0], np.random.default_rng(0)) * 255
    np.testing.assert_allclose(given, np.rint(given), atol=2e-5)
    assert given.min() == 0
    assert given.max() == pytest.approx(255)


def test_jpeg_keeps_more_at_higher_quality():
    from skimage import data

    image = data.astronaut()[:256, :256]
    errors_of = [
        np.square(
            degradations.Jpeg((q, q)).apply_host(image, None).astype(float) - image
        ).mean()
        for q in (10, 30, 60, 100)
    ]
    assert errors_of == sorted(errors_of, reverse=True)
    gray = degradations.Jpeg((100, 100)).apply_host(image[..., :1], None)
    error = np.square(gray.astype(float) - image[..., :1]).mean()
    assert 10 * np.log10(255**2 / error) > 45


def test_mixed_batch_gives_each_image_its_own_degradation():
    operators = (ALL[0], ALL[2], degradations.Jpeg((10, 10)), degradations.Blur())
    images = _images(b=8, h=32, w=32, c=1)
    clean = jnp.asarray(images / 255, jnp.float32)
    kind = jnp.array([2, 0, 1, 3, 1, 2, 0, 3], jnp.int32)
    keys = jax.random.split(jax.random.key(0), 8)
    rng = np.random.default_rng(0)
    stored = np.stack([operators[2].apply_host(image, rng) for image in images])
    mixed = jax.jit(lambda *given: degradations.degrade_batch(operators, *given))(
        clean, kind, keys, stored
    )
    alone = {k: jax.jit(operators[k].apply) for k in (0, 1, 3)}
    for i, k in enumerate(kind.tolist()):
        want = alone[k](clean[i], keys[i]) if k in alone else stored[i] / 255
        assert np.mean(np.abs(mixed[i] - want) > 1e-5) < 2e-3


def test_missing_host_images_are_named():
    clean = jnp.zeros((1, 16, 16, 1))
    keys = jax.random.split(jax.random.key(0), 1)
    with pytest.raises(errors.UserError, match="jpeg10 runs on the host"):
        degradations.degrade_batch(
            [degradations.Jpeg((10, 10))], clean, jnp.zeros(1, jnp.int32), keys
        )


def test_whole_images_are_cropped_to_the_factor():
    image = _images(h=25, w=37)[0]
    assert degradations.Bicubic(4).crop_to_fit(image).shape == (24, 36, 3)
    assert degradations.GaussianNoise().crop_to_fit(image).shape == image.shape
    with pytest.raises(errors.DataError, match="at least 4 x 4 pixels"):
        degradations.Bicubic(4).crop_to_fit(image[:3])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: degradations.GaussianNoise((30.0, 10.0)), "low <= high"),
        (lambda: degradations.Jpeg((0, 10)), "1 <= low"),
        (lambda: degradations.Bicubic(1), "whole number from 2"),
        (lambda: degradations.TextMask((5.0, 30.0)), "not percents"),
        (lambda: degradations.ScratchMask(width_px=(0.0, 3.0)), "width_px"),
        (lambda: degradations.Haze(beta=(2.0, 1.0)), "beta"),
        (lambda: degradations.TextMask(size_px=(2.0, 8.0)), "size_px"),
    ],
)
def test_impossible_settings_are_refused(build, message):
    with pytest.raises(errors.UserError, match=message):
        build()


def test_levels_round_half_up_and_clip():
    values = np.array([-0.1, 0.5 / 255, 1.49 / 255, 254.6 / 255, 1.2])
    assert degradation.to_levels(values).tolist() == [0, 1, 1, 255, 255]
