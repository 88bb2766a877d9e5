"""The restoration task: crops equal whole-image degradation; protocols are kept."""

import dataclasses

import jax
import numpy as np
import pytest

from dpjax import config, errors, tasks
from dpjax.data import degradations
from dpjax.ops import colour, planes, resize
from dpjax.tasks import restoration


@pytest.fixture(scope="module")
def record():
    skimage_data = pytest.importorskip("skimage.data")
    return {"image": skimage_data.astronaut()[:180, :203], "id": "astronaut"}


_DATA = config.Data(("photos",), ("photos",), crop=(24, 24), batch_size=4)


def _task(*operators, **changes):
    return restoration.Restoration(
        degradations=operators, judged=operators, **{"space": "y", **changes}
    )


def _batch(task, record, data, count=6):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), data)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


@pytest.mark.parametrize(
    "operators",
    [
        (degradations.GaussianNoise((5, 5)),),
        (degradations.Bicubic(2), degradations.Bicubic(3), degradations.Bicubic(4)),
        (degradations.Jpeg((10, 20)),),
        (degradations.Jpeg((10, 20)), degradations.GaussianNoise((5, 50))),
        (degradations.Blur("disk", 3), degradations.Bicubic(2)),
    ],
)
@pytest.mark.parametrize("crop", [(24, 24), (30, 18)])
def test_batches_have_the_planned_shapes(record, operators, crop):
    task = _task(*operators)
    data = dataclasses.replace(_DATA, crop=crop)
    batch = _batch(task, record, data)
    spec = task.batch_spec(data, 6)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in spec.items()
    }
    keys = jax.random.split(jax.random.key(0), 6)
    given, out = task.inputs(batch, keys, data)
    assert given.shape == out["clean"].shape == (6, *crop, 1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_training_crops_are_crops_of_the_degraded_photograph(record, scale):
    task = _task(degradations.Bicubic(scale))
    # No flips: undo them by looking for the crop under all eight.
    luma = colour.rgb_to_luma(record["image"])
    fit = task.judged[0].crop_to_fit(luma)
    small = resize.imresize(fit / 255.0, scale=1 / scale)
    whole = resize.imresize(small, scale=float(scale))[: fit.shape[0], : fit.shape[1]]
    batch = _batch(task, record, _DATA, count=8)
    keys = jax.random.split(jax.random.key(0), 8)
    given, out = jax.device_get(task.inputs(batch, keys, _DATA))
    for clean, degraded in zip(out["clean"], given, strict=True):
        errors_found = [
            _distance_at(fit / 255.0, whole, np.rot90(clean, k), np.rot90(degraded, k))
            if not flip
            else _distance_at(
                fit / 255.0,
                whole,
                np.rot90(clean[:, ::-1], k),
                np.rot90(degraded[:, ::-1], k),
            )
            for k in range(4)
            for flip in (False, True)
        ]
        assert min(errors_found) < 2e-6


def _distance_at(clean_image, degraded_image, clean, degraded):
    """Largest error of the degraded crop where the clean crop fits; inf if nowhere."""
    h, w = clean.shape[:2]
    views = np.lib.stride_tricks.sliding_window_view(clean_image[..., 0], (h, w))
    match = np.abs(views[..., 0, :] - clean[0, :, 0]).max(-1) < 1e-6
    for y, x in np.argwhere(match):
        if np.abs(clean_image[y : y + h, x : x + w] - clean).max() < 1e-6:
            return np.abs(degraded_image[y : y + h, x : x + w] - degraded).max()
    return np.inf


def test_jpeg_crops_meet_every_phase_of_the_block_grid(record):
    task = _task(degradations.Jpeg((10, 10)))
    luma = colour.rgb_to_luma(record["image"])
    whole = task.judged[0].evaluate(luma, np.random.default_rng(0))
    phases = set()
    for i in range(40):
        rng = np.random.default_rng([3, i])
        example = task.train_example(record, rng, _DATA)
        for turn in range(8):
            clean = restoration.transforms.dihedral_inverse(example["image"], turn)
            given = restoration.transforms.dihedral_inverse(example["degraded"], turn)
            for y, x in _places(luma, clean):
                place = whole[y : y + 24, x : x + 24]
                inside = np.abs(place * 255 - given).max()
                if inside <= 0.5:
                    phases.add((y % 8, x % 8))
    assert len(phases) > 20


def _places(image, crop):
    views = np.lib.stride_tricks.sliding_window_view(image[..., 0], crop.shape[:2])
    match = (views[..., 0, :] == crop[0, :, 0]).all(-1)
    return [
        (y, x) for y, x in np.argwhere(match) if (views[y, x] == crop[..., 0]).all()
    ]


def test_mixed_sampling_draws_every_degradation(record):
    operators = (degradations.Bicubic(2), degradations.GaussianNoise((25, 25)))
    batch = _batch(_task(*operators), record, _DATA, count=30)
    assert set(batch["kind"]) == {0, 1}


def test_loss_counts_valid_elements_only(record):
    task = _task(degradations.GaussianNoise((25, 25)))
    batch = _batch(task, record, _DATA)
    batch["valid"][4:] = False
    keys = jax.random.split(jax.random.key(0), 6)
    given, out = task.inputs(batch, keys, _DATA)
    total, count = task.loss_terms(given, out)["loss"]
    assert float(count.sum()) == 4 * 24 * 24
    want = ((given - out["clean"])[:4] ** 2).sum()
    assert float(total.sum()) == pytest.approx(float(want), rel=1e-5)
    # sigma 25 of 255: the mean square is known.
    assert float(total.sum() / count.sum()) == pytest.approx((25 / 255) ** 2, rel=0.1)


def test_noise_of_an_evaluation_belongs_to_the_image(record):
    task = _task(degradations.GaussianNoise((25, 25)), space="gray")
    one = task.evaluation_input(record, "noise25", "dncnn")
    same = task.evaluation_input(dict(record), "noise25", "dncnn")
    other = task.evaluation_input({**record, "id": "else"}, "noise25", "dncnn")
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_protocols_round_and_shave_as_published(record):
    task = _task(degradations.Bicubic(2))
    photo = record["image"][:180, :202]
    levels = planes.take(photo, "y").astype(np.float64)
    unrounded = colour.rgb_to_luma(photo / 255.0) * 255
    output = ((levels + 0.3) / 255).astype(np.float32)
    output[:2] += 0.1  # only the border is wrong

    def psnr(reference, image, border):
        inside = slice(border, -border or None)
        difference = (reference - image)[inside, inside]
        return 10 * np.log10(255**2 / np.mean(difference**2))

    for protocol, want in {
        "red": psnr(levels, output * 255.0, 0),
        "dncnn": psnr(unrounded, levels + 0.3, 2),
        "basicsr": psnr(unrounded, levels, 2),  # 0.3 of a level rounds away
    }.items():
        got = task.score(record, "bicubic2", output, output, protocol)["psnr"]
        assert got == pytest.approx(want, abs=1e-3), protocol


def test_bicubic_input_of_set5_has_the_published_score(data_root):
    cv2 = pytest.importorskip("cv2")
    folder = data_root / "restoration" / "set5"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    task = _task(degradations.Bicubic(2))
    rows = []
    for path in sorted(folder.glob("*.png")):
        image = cv2.imread(str(path))[..., ::-1]
        photo = {"image": image, "id": path.stem}
        given = task.evaluation_input(photo, "bicubic2", "dncnn")
        rows.append(task.score(photo, "bicubic2", given, given, "dncnn"))
    mean = task.summarise(rows)
    assert f"{mean['psnr']:.2f}/{mean['ssim']:.4f}" == "33.68/0.9306"


def test_summary_is_the_mean_over_images():
    task = _task(degradations.GaussianNoise((25, 25)))
    rows = [
        {"psnr": p, "ssim": 0.5, "psnr_input": 20.0, "ssim_input": 0.1}
        for p in (30, 32)
    ]
    assert task.summarise(rows)["psnr"] == 31.0


def test_gray_weights_restore_each_colour_channel(record):
    task = _task(degradations.GaussianNoise(), space="gray")
    image = record["image"].astype(np.float32) / 255
    given, merge = task.request(image, {})
    assert [g.shape[-1] for g in given] == [1, 1, 1]
    np.testing.assert_allclose(merge(given), image, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_luma_weights_keep_the_colours(record, channels):
    task = _task(degradations.Jpeg())
    image = record["image"][..., :channels].astype(np.float32) / 255
    given, merge = task.request(image, {})
    np.testing.assert_allclose(merge(given), image, atol=2e-3)


def test_super_resolution_enlarges_and_asks_for_the_scale(record):
    task = _task(degradations.Bicubic(2), degradations.Bicubic(3))
    image = record["image"][:20, :30].astype(np.float32) / 255
    given, merge = task.request(image, {"scale": 3})
    assert merge(given).shape == (60, 90, 3)
    with pytest.raises(errors.UserError, match=r"enlarge by 2 or 3; got scale None"):
        task.request(image, {})
    with pytest.raises(errors.UserError, match="scale 5"):
        task.request(image, {"scale": 5})


def test_options_that_do_not_exist_name_the_nearest(record):
    image = record["image"].astype(np.float32) / 255
    with pytest.raises(errors.UserError, match="Did you mean scale"):
        _task(degradations.Bicubic(2)).request(image, {"scal": 2})
    with pytest.raises(errors.UserError, match="do not enlarge"):
        _task(degradations.GaussianNoise()).request(image, {"scale": 2})


def test_configurations_that_contradict_are_refused():
    experiment = config.Experiment(
        task=_task(degradations.GaussianNoise(), space="rgb"),
        model=config.Model("rednet10", {"channels": 1}),
        data=_DATA,
        optim=config.Optim(),
        evaluation=config.Evaluation("dncnn"),
        total_steps=1,
    )
    with pytest.raises(errors.UserError, match="wants a model of 3 channels, got 1"):
        experiment.task.check(experiment)


def test_task_survives_json():
    task = _task(degradations.Bicubic(3), degradations.Jpeg((10, 20)))
    found = config.decode(config.encode(task), config.TYPES + tasks.TYPES)
    assert found == task


@pytest.mark.parametrize("protocol", ["red", "dncnn", "basicsr"])
def test_a_panel_prints_the_scores_of_the_receipt(record, protocol, monkeypatch):
    printed = []
    compose = restoration.panels.compose

    def listen(parts, **options):
        printed.extend(caption for caption, _ in parts)
        return compose(parts, **options)

    monkeypatch.setattr(restoration.panels, "compose", listen)
    task = _task(degradations.Bicubic(3))
    given = task.evaluation_input(record, "bicubic3", protocol)
    output = given + np.float32(0.02)
    row = task.score(record, "bicubic3", given, output, protocol)
    picture = task.panel(record, "bicubic3", given, output, row, "matlab_uint8")
    assert picture.dtype == np.uint8
    assert picture.shape[1] >= 3 * given.shape[1]
    assert printed == [
        f"input  {row['psnr_input']:.2f} dB",
        f"output  {row['psnr']:.2f} dB",
        "truth",
    ]


@pytest.mark.parametrize(
    # Pillow on the gray photograph itself, as the scores of Classic5 are made.
    ("quality", "psnr", "ssim"),
    [(10, 28.4282, 0.78145), (40, 31.9733, 0.89604)],
)
def test_jpeg_of_a_gray_photograph_is_judged_as_published(quality, psnr, ssim):
    gray = pytest.importorskip("skimage.data").camera()
    task = _task(degradations.Jpeg((quality, quality)))
    (condition,) = task.conditions()
    record = {"image": np.repeat(gray[..., None], 3, axis=2), "id": "camera"}
    given = task.evaluation_input(record, condition, "dncnn")
    row = task.score(record, condition, given, given, "dncnn")
    assert f"{row['psnr_input']:.4f}" == f"{psnr:.4f}"
    assert f"{row['ssim_input']:.5f}" == f"{ssim:.5f}"


def test_super_resolution_of_a_gray_photograph_is_judged_by_luma():
    gray = pytest.importorskip("skimage.data").camera()
    record = {"image": np.repeat(gray[..., None], 3, axis=2), "id": "camera"}
    task = _task(degradations.Bicubic(2))
    given = task.evaluation_input(record, "bicubic2", "red")
    row = task.score(record, "bicubic2", given, given, "red")
    narrower_db = 20 * np.log10(255 / 219)  # luma spans 16 to 235
    assert row["psnr_input"] == pytest.approx(29.9064 + narrower_db, abs=0.02)


def test_jpeg_is_also_scored_by_its_blocking(record):
    task = _task(degradations.Jpeg((10, 10)), degradations.GaussianNoise((25, 25)))
    given = task.evaluation_input(record, "jpeg10", "dncnn")
    clean = planes.take(record["image"], "y").astype(np.float64)
    better = (clean + given * 255) / 510
    row = task.score(record, "jpeg10", given, better.astype(np.float32), "dncnn")
    assert row["psnr_b_input"] < row["psnr_input"] - 0.3  # blocks are visible
    # Half of the error is left, so most of the blocking too.
    assert row["psnr_b_input"] + 4 < row["psnr_b"] < row["psnr"]
    summary = task.summarise([row, row])
    assert summary["psnr_b"] == pytest.approx(row["psnr_b"])
    assert summary["psnr_b_input"] == pytest.approx(row["psnr_b_input"])
    noisy = task.evaluation_input(record, "noise25", "dncnn")
    other = task.score(record, "noise25", noisy, noisy, "dncnn")
    assert set(other) == {"psnr", "ssim", "psnr_input", "ssim_input"}
    assert set(task.summarise([other])) == set(other)


@pytest.mark.parametrize(
    ("loss", "term"),
    [
        ("mse", np.square),
        ("l1", np.abs),
        ("charbonnier", lambda d: np.sqrt(d**2 + 1e-6)),
    ],
)
def test_the_loss_is_chosen_by_name_and_the_mean_square_stays_visible(
    record, loss, term
):
    task = _task(degradations.GaussianNoise((25, 25)), loss=loss)
    batch = _batch(task, record, _DATA)
    given, out = task.inputs(batch, jax.random.split(jax.random.key(0), 6), _DATA)
    terms = task.loss_terms(given, out)
    difference = np.asarray(given - out["clean"], np.float64)
    want = term(difference).sum((1, 2, 3))
    np.testing.assert_allclose(terms["loss"][0], want, rtol=1e-5)
    if loss != "mse":
        want = np.square(difference).sum((1, 2, 3))
        np.testing.assert_allclose(terms["mse"][0], want, rtol=1e-5)


_EVERY_KIND = [
    (degradations.GaussianNoise((25, 25)),),
    (degradations.Bicubic(2), degradations.Bicubic(3), degradations.Bicubic(4)),
    (degradations.Bicubic(3),),
    (degradations.Jpeg((10, 10)), degradations.Bicubic(2)),
    (degradations.Blur("disk", 7),),
    (degradations.TextMask(), degradations.ScratchMask(), degradations.Haze()),
]


@pytest.mark.parametrize("operators", _EVERY_KIND)
@pytest.mark.parametrize("protocol", ["red", "dncnn", "basicsr"])
def test_the_smallest_side_can_be_scored_and_one_less_cannot(operators, protocol):
    task = _task(*operators)
    least = task.smallest_side(protocol)

    def score(side):
        image = np.random.default_rng(0).integers(0, 256, (side, 40, 3), np.uint8)
        photo = {"image": image, "id": "x"}
        for condition in task.conditions():
            given = task.evaluation_input(photo, condition, protocol)
            yield task.score(photo, condition, given, given, protocol)["ssim"]

    assert all(-1 <= ssim < 1 for ssim in score(least))
    with pytest.raises(errors.UserError, match="at least 11 x 11 pixels"):
        list(score(least - 1))


@pytest.mark.parametrize("operators", _EVERY_KIND)
def test_the_smallest_side_can_be_trained_on_and_one_less_cannot(operators):
    task = _task(*operators)
    least = task.smallest_side()

    def train_on(side):
        image = np.random.default_rng(0).integers(0, 256, (side, 40, 3), np.uint8)
        return task.train_example({"image": image}, np.random.default_rng(0), _DATA)

    spec = task.batch_spec(_DATA, 1)["image"]
    assert train_on(least)["image"].shape == spec.shape[1:]
    with pytest.raises(ValueError):
        train_on(least - 1)


@pytest.mark.parametrize(
    ("trained", "space", "message"),
    [
        (degradations.GaussianNoise(), "gray", "trained on gray images.* y ones"),
        (degradations.Jpeg(), "y", r"to undo jpeg.*, this evaluation judges bicubic3"),
    ],
)
def test_weights_of_another_damage_are_not_scored(trained, space, message):
    judge = _task(degradations.Bicubic(3))
    with pytest.raises(errors.UserError, match=message):
        judge.check_trained(_task(trained, space=space))


def test_weights_are_scored_at_other_levels_of_the_damage_they_know():
    known = _task(degradations.Bicubic(2), degradations.GaussianNoise())
    _task(degradations.Bicubic(3)).check_trained(known)
    _task(degradations.GaussianNoise((70.0, 70.0))).check_trained(known)
