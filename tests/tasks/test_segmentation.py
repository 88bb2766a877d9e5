"""The segmentation task: crops and targets, losses, settings."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.data import label_crop, records, sources
from dpjax.losses import segmentation as losses
from dpjax.ops import enlarge
from dpjax.tasks import restoration
from tests import four_classes

DATA = config.Data(("x",), ("y",), crop=(48, 64), batch_size=4)


@pytest.fixture(scope="module")
def record(photo):
    return four_classes.record(photo)


def batch_of(task, record, count=4):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


KEYS = jax.random.split(jax.random.key(0), 4)


def test_batches_have_the_planned_shapes_and_labels_beside_their_pixels(record):
    task = four_classes.task_of(scales=(1.0, 1.0))
    batch = batch_of(task, record)
    planned = task.batch_spec(DATA, 4)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in planned.items()
    }
    # The labels follow from the picture: it tells whether both were cut alike.
    gray = record["image"].mean(-1)
    levels = np.quantile(gray, [0.25, 0.5, 0.75])
    wanted = np.digitize(batch["image"].mean(-1), levels)
    known = batch["has_label"]
    assert known.any()
    assert np.array_equal(batch["labels"][known], wanted[known])
    assert not batch["labels"][~known].any()


def test_half_of_the_crops_are_mirrored(record):
    task = four_classes.task_of(scales=(1.0, 1.0))
    counts = np.zeros(2, int)
    for seed in range(100):
        rng, same = (np.random.default_rng(seed) for _ in range(2))
        got = task.train_example(record, rng, DATA)["image"]
        window = label_crop.draw_window(
            record["labels"], same, crop=DATA.crop, scales=(1.0, 1.0)
        )
        plain, _ = label_crop.cut(record["image"], record["labels"], window, DATA.crop)
        counts[int(np.array_equal(got, plain[:, ::-1]))] += 1
        assert np.array_equal(got, plain) or np.array_equal(got, plain[:, ::-1])
    assert 35 < counts[1] < 65
    never = dataclasses.replace(task, mirror=False)
    assert np.array_equal(
        batch_of(never, record)["image"], batch_of(never, record)["image"]
    )


@pytest.mark.parametrize(
    ("bounds", "factor"), [((480, 1100), 1.6), ((0, 150), 0.5), ((200, 400), 1.0)]
)
def test_training_images_have_a_short_side_within_bounds(record, bounds, factor):
    """A photograph of 300 x 451, its labels beside its pixels at the other size."""
    task = four_classes.task_of(
        scales=(0.8, 1.2), scale_step=0.2, short_side=bounds, by_class=True
    )
    wanted = {
        (round(300 * s), round(451 * s)) for s in factor * np.array([0.8, 1, 1.2])
    }
    found = set()
    for seed in range(20):
        rng, same = (np.random.default_rng(seed) for _ in range(2))
        example = task.train_example(record, rng, DATA)
        window = label_crop.draw_window(
            record["labels"],
            same,
            crop=DATA.crop,
            scales=(0.8 * factor, 1.2 * factor),
            step=0.2 * factor,
            by_class=True,
        )
        found.add(window.size)
        plain, _ = label_crop.cut(record["image"], record["labels"], window, DATA.crop)
        assert any(np.array_equal(example["image"], x) for x in (plain, plain[:, ::-1]))
    assert found == wanted


def test_colours_change_labels_do_not(record):
    task = four_classes.task_of(jitter=0.4)
    batch = batch_of(task, record)
    images, same = task.inputs(batch, KEYS, DATA)
    plain, _ = four_classes.task_of().inputs(batch, KEYS, DATA)
    assert not np.allclose(images, plain, atol=0.02)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert np.array_equal(same["labels"], batch["labels"])


def test_the_loss_is_that_of_enlarged_scores_or_of_shrunk_labels(record):
    batch = batch_of(four_classes.task_of(), record)
    outputs = four_classes.scores_of((4, 12, 16))
    known = batch["has_label"]
    large = enlarge.to_size(jnp.asarray(outputs), (48, 64), "half_pixel")
    wanted = losses.cross_entropy(large, batch["labels"], known)
    found = four_classes.task_of().loss_terms(outputs, batch)["loss"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    small = losses.cross_entropy(
        outputs, batch["labels"][:, 2::4, 2::4], known[:, 2::4, 2::4]
    )
    found = four_classes.task_of(loss_at="scores").loss_terms(outputs, batch)["loss"]
    np.testing.assert_allclose(found, small, rtol=1e-6)


def test_scores_whose_corners_align_meet_the_labels_of_the_corners(record):
    batch = batch_of(four_classes.task_of(), record)
    outputs = four_classes.scores_of((4, 17, 29))
    # Steps of 47 / 16 rows and 63 / 28 columns.
    rows, columns = (
        np.floor(np.arange(n) * (side - 1) / (n - 1) + 0.5).astype(int)
        for n, side in ((17, 48), (29, 64))
    )
    assert (rows[-1], columns[-1]) == (47, 63)
    at = np.ix_(range(4), rows, columns)
    wanted = losses.cross_entropy(outputs, batch["labels"][at], batch["has_label"][at])
    task = four_classes.task_of(loss_at="scores", upsampling="align_corners")
    found = task.loss_terms(outputs, batch)["loss"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def by_hand(scores, batch, weights):
    """Mean cross-entropy of each image on the grid of its scores, in float64."""
    (height, width), (rows, columns) = scores.shape[1:3], batch["labels"].shape[1:]
    loss = np.zeros(len(scores))
    for i, image in enumerate(scores.astype(np.float64)):
        total = 0.0
        for y, x in np.ndindex(height, width):
            place = i, int((y + 0.5) * rows / height), int((x + 0.5) * columns / width)
            if batch["has_label"][place] and batch["valid"][i]:
                k = batch["labels"][place]
                loss[i] -= weights[k] * (
                    image[y, x, k] - np.log(np.exp(image[y, x]).sum())
                )
                total += weights[k]
        loss[i] /= total or 1.0
    return loss


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.0, 0.1)])
def test_means_of_several_maps_are_added(record, weights):
    batch = batch_of(four_classes.task_of(), record)
    batch["has_label"] &= np.random.default_rng(0).random((4, 48, 64)) < 0.7
    batch["has_label"][1] = False
    batch["has_label"][1, 18, 26] = True  # a pixel of the last map only
    batch["valid"] = np.array([True, True, False, True])
    maps = [
        four_classes.scores_of((4, h, w), h) for h, w in ((9, 12), (4, 7), (12, 16))
    ]
    task = four_classes.task_of(loss_at="scores", class_weights=weights)
    terms = task.loss_terms(tuple(maps), batch)
    total, count = terms["loss"]
    last = task.loss_terms(maps[-1], batch)
    np.testing.assert_array_equal(count, last["loss"][1])
    np.testing.assert_array_equal(terms["accuracy"], last["accuracy"])
    assert [float(c) > 0 for c in count] == [True, True, False, True]
    want = sum(by_hand(scores, batch, weights or np.ones(4)) for scores in maps)
    np.testing.assert_allclose(total, want * count, rtol=1e-5)
    (one,) = task.loss_terms((maps[-1],), batch)["loss"][:1]
    np.testing.assert_array_equal(one, last["loss"][0])

    def loss(maps):
        return task.loss_terms(maps, batch)["loss"][0].sum()

    for slope in jax.grad(loss)(tuple(maps)):
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 0


def test_maps_of_any_size_are_enlarged_to_the_labels_alike(record):
    batch = batch_of(four_classes.task_of(), record)
    maps = [four_classes.scores_of((4, h, w), h) for h, w in ((6, 8), (12, 16))]
    total, count = four_classes.task_of().loss_terms(tuple(maps), batch)["loss"]
    single = [
        four_classes.task_of().loss_terms(scores, batch)["loss"] for scores in maps
    ]
    np.testing.assert_allclose(total, single[0][0] + single[1][0], rtol=1e-5)
    np.testing.assert_array_equal(count, single[0][1])


MODES = enlarge.Mode.__args__


@pytest.mark.torch
@pytest.mark.parametrize("mode", MODES)
def test_the_loss_enlarges_scores_as_the_task_says(record, mode):
    batch = batch_of(four_classes.task_of(), record)
    outputs = four_classes.scores_of((4, 12, 16))
    known = batch["has_label"]

    def loss(scores):
        logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        own = np.take_along_axis(logs, batch["labels"][..., None].astype(int), -1)
        return -(own[..., 0] * known).sum((1, 2))

    wanted = {m: loss(four_classes.by_torch(outputs, (48, 64), m)) for m in MODES}
    found = four_classes.task_of(upsampling=mode).loss_terms(outputs, batch)["loss"][0]
    np.testing.assert_allclose(found, wanted.pop(mode), rtol=1e-5)
    for other in wanted.values():  # or the test could not tell them apart
        assert not np.allclose(found, other, rtol=1e-3)


def test_padding_and_ignored_pixels_add_nothing_to_the_loss(record):
    task = four_classes.task_of()
    batch = batch_of(task, record)
    outputs = four_classes.scores_of((4, 12, 16))
    whole = task.loss_terms(outputs, batch)
    batch["valid"] = np.array([True, False, True, False])
    for name, pair in task.loss_terms(outputs, batch).items():
        for part, full in zip(pair, whole[name], strict=True):
            np.testing.assert_allclose(part, np.where(batch["valid"], full, 0))
    batch["has_label"][:] = False
    terms = task.loss_terms(outputs, batch)
    assert not np.any([np.asarray(x) for pair in terms.values() for x in pair])


def test_a_bootstrapped_loss_counts_hard_pixels_only(record):
    batch = batch_of(four_classes.task_of(), record)
    outputs = four_classes.scores_of((4, 48, 64))
    known = batch["has_label"]
    hard = losses.hard_pixels(outputs, batch["labels"], known, threshold=0.2, least=10)
    terms = four_classes.task_of(hard_below=0.2, hard_least=10).loss_terms(
        outputs, batch
    )
    wanted = losses.cross_entropy(outputs, batch["labels"], hard)
    np.testing.assert_allclose(terms["loss"], wanted, rtol=1e-6)
    assert 0 < terms["loss"][1].sum() < known.sum()
    np.testing.assert_allclose(terms["accuracy"][1], known.sum((1, 2)))


def test_class_weights_are_those_of_the_classes(record):
    batch = batch_of(four_classes.task_of(), record)
    outputs = four_classes.scores_of((4, 48, 64))
    only = four_classes.task_of(class_weights=(0.0, 0.0, 3.0, 0.0))
    total, count = only.loss_terms(outputs, batch)["loss"]
    of_trees = batch["has_label"] & (batch["labels"] == 2)
    np.testing.assert_allclose(count, 3 * of_trees.sum((1, 2)))
    plain = losses.cross_entropy(outputs, batch["labels"], of_trees)[0]
    np.testing.assert_allclose(total, 3 * plain, rtol=1e-5)


def source_of(*classes, name="x:train"):
    none = np.zeros((0, 32), np.uint8)
    index = records.Index([], [], none, np.zeros((0, 2)))
    return sources.Source([records.Split(name, None, "train", index, classes=classes)])


def test_names_come_from_the_records_and_must_agree():
    task = four_classes.task_of(classes=())
    assert task.with_records([source_of("a", "b")]).classes == ("a", "b")
    with pytest.raises(errors.DataError, match=r"class 1 is 'c' and 'b'"):
        task.with_records([source_of("a", "b"), source_of("a", "c", name="y:val")])
    with pytest.raises(errors.UserError, match="4 and 3 classes"):
        four_classes.task_of().check_trained(
            four_classes.task_of(classes=("a", "b", "c"))
        )
    with pytest.raises(errors.UserError, match="trained for restoration"):
        four_classes.task_of().check_trained(restoration.Restoration())


def experiment(task, **changes):
    base = config.Experiment(
        task=task,
        model=config.Model("refinenet50", {"num_classes": len(four_classes.NAMES)}),
        data=DATA,
        optim=config.Optim(),
        evaluation=config.Evaluation("whole"),
        total_steps=1,
    )
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": config.Model("resnet50")}, "scores every pixel, got resnet50"),
        ({"model": config.Model("refinenet50")}, "4 classes, the network gives 21"),
        (
            {"evaluation": config.Evaluation("whole", ensemble=True)},
            "images upside down",
        ),
        ({"evaluation": config.Evaluation("tencrop")}, "segmentation protocol"),
        ({"task": four_classes.task_of(scales=(1.5, 0.5))}, "scales must be rising"),
        (
            {"task": four_classes.task_of(short_side=(450, 400))},
            "short_side must be two numbers",
        ),
        (
            {"task": four_classes.task_of(class_weights=(1.0, 2.0))},
            "weights must be 4 numbers",
        ),
        (
            {"task": four_classes.task_of(loss_at="image")},
            'loss_at must be "labels" or "scores"',
        ),
    ],
)
def test_contradictions_are_refused(changes, message):
    good = experiment(four_classes.task_of())
    good.task.check(good)
    wrong = dataclasses.replace(good, **changes)
    with pytest.raises(errors.UserError, match=message):
        wrong.task.check(wrong)
