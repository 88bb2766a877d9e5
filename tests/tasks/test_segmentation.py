"""The segmentation task: crops and targets, views, scores of sets, pictures."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.data import label_crop, label_files, records, sources
from dpjax.losses import segmentation as losses
from dpjax.metrics import segmentation as metrics
from dpjax.ops import enlarge
from dpjax.ops.meanfield import dense_crf
from dpjax.tasks import pixel_protocols, restoration, segmentation
from dpjax.viz import palettes

NAMES = ("sky", "road", "tree", "car")
DATA = config.Data(("x",), ("y",), crop=(48, 64), batch_size=4)


def task_of(**changes):
    return segmentation.Segmentation(**{"classes": NAMES, **changes})


@pytest.fixture(scope="module")
def record(photo):
    """A photograph whose labels are its brightness, in part without labels."""
    gray = photo.mean(-1)
    labels = np.digitize(gray, np.quantile(gray, [0.25, 0.5, 0.75])).astype(np.uint8)
    labels[:20] = label_files.IGNORE
    return {"image": photo, "labels": labels, "id": "chelsea", "source": "x:train"}


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
    task = task_of(scales=(1.0, 1.0))
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
    task = task_of(scales=(1.0, 1.0))
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
    task = task_of(scales=(0.8, 1.2), scale_step=0.2, short_side=bounds, by_class=True)
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
    task = task_of(jitter=0.4)
    batch = batch_of(task, record)
    images, same = task.inputs(batch, KEYS, DATA)
    plain, _ = task_of().inputs(batch, KEYS, DATA)
    assert not np.allclose(images, plain, atol=0.02)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert np.array_equal(same["labels"], batch["labels"])


def scores_of(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, len(NAMES))).astype(np.float32)


def test_the_loss_is_that_of_enlarged_scores_or_of_shrunk_labels(record):
    batch = batch_of(task_of(), record)
    outputs = scores_of((4, 12, 16))
    known = batch["has_label"]
    large = enlarge.to_size(jnp.asarray(outputs), (48, 64), "half_pixel")
    wanted = losses.cross_entropy(large, batch["labels"], known)
    found = task_of().loss_terms(outputs, batch)["loss"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    small = losses.cross_entropy(
        outputs, batch["labels"][:, 2::4, 2::4], known[:, 2::4, 2::4]
    )
    found = task_of(loss_at="scores").loss_terms(outputs, batch)["loss"]
    np.testing.assert_allclose(found, small, rtol=1e-6)


def test_scores_whose_corners_align_meet_the_labels_of_the_corners(record):
    batch = batch_of(task_of(), record)
    outputs = scores_of((4, 17, 29))
    # Steps of 47 / 16 rows and 63 / 28 columns.
    rows, columns = (
        np.floor(np.arange(n) * (side - 1) / (n - 1) + 0.5).astype(int)
        for n, side in ((17, 48), (29, 64))
    )
    assert (rows[-1], columns[-1]) == (47, 63)
    at = np.ix_(range(4), rows, columns)
    wanted = losses.cross_entropy(outputs, batch["labels"][at], batch["has_label"][at])
    task = task_of(loss_at="scores", upsampling="align_corners")
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
    batch = batch_of(task_of(), record)
    batch["has_label"] &= np.random.default_rng(0).random((4, 48, 64)) < 0.7
    batch["has_label"][1] = False
    batch["has_label"][1, 18, 26] = True  # a pixel of the last map only
    batch["valid"] = np.array([True, True, False, True])
    maps = [scores_of((4, h, w), h) for h, w in ((9, 12), (4, 7), (12, 16))]
    task = task_of(loss_at="scores", class_weights=weights)
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
    batch = batch_of(task_of(), record)
    maps = [scores_of((4, h, w), h) for h, w in ((6, 8), (12, 16))]
    total, count = task_of().loss_terms(tuple(maps), batch)["loss"]
    single = [task_of().loss_terms(scores, batch)["loss"] for scores in maps]
    np.testing.assert_allclose(total, single[0][0] + single[1][0], rtol=1e-5)
    np.testing.assert_array_equal(count, single[0][1])


MODES = enlarge.Mode.__args__


def by_torch(scores, size, mode):
    """Scores [b, h, w, k] enlarged by PyTorch, or "cubic" by a loop, in float64."""
    if mode == "cubic":
        return by_keys(by_keys(scores.astype(np.float64), 1, size[0]), 2, size[1])
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(scores.astype(np.float64).transpose(0, 3, 1, 2))
    corners = mode == "align_corners"
    y = torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=corners)
    return y.numpy().transpose(0, 2, 3, 1)


def by_keys(x, axis, count):
    """Keys' cubic of a = -1/2 between pixel centres, the mirrored map beyond."""
    x, length = np.moveaxis(x, axis, 0), x.shape[axis]
    y = np.zeros((count, *x.shape[1:]))
    for i in range(count):
        place = (i + 0.5) * length / count - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            d = abs(place - tap)
            near = 1.5 * d**3 - 2.5 * d**2 + 1
            far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
            mirrored = -1 - tap if tap < 0 else min(tap, 2 * length - 1 - tap)
            y[i] += (near if d <= 1 else far) * x[mirrored]
    return np.moveaxis(y, 0, axis)


@pytest.mark.torch
@pytest.mark.parametrize("mode", MODES)
def test_the_loss_enlarges_scores_as_the_task_says(record, mode):
    batch = batch_of(task_of(), record)
    outputs = scores_of((4, 12, 16))
    known = batch["has_label"]

    def loss(scores):
        logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        own = np.take_along_axis(logs, batch["labels"][..., None].astype(int), -1)
        return -(own[..., 0] * known).sum((1, 2))

    wanted = {m: loss(by_torch(outputs, (48, 64), m)) for m in MODES}
    found = task_of(upsampling=mode).loss_terms(outputs, batch)["loss"][0]
    np.testing.assert_allclose(found, wanted.pop(mode), rtol=1e-5)
    for other in wanted.values():  # or the test could not tell them apart
        assert not np.allclose(found, other, rtol=1e-3)


def test_padding_and_ignored_pixels_add_nothing_to_the_loss(record):
    task = task_of()
    batch = batch_of(task, record)
    outputs = scores_of((4, 12, 16))
    whole = task.loss_terms(outputs, batch)
    batch["valid"] = np.array([True, False, True, False])
    for name, pair in task.loss_terms(outputs, batch).items():
        for part, full in zip(pair, whole[name], strict=True):
            np.testing.assert_allclose(part, np.where(batch["valid"], full, 0))
    batch["has_label"][:] = False
    terms = task.loss_terms(outputs, batch)
    assert not np.any([np.asarray(x) for pair in terms.values() for x in pair])


def test_a_bootstrapped_loss_counts_hard_pixels_only(record):
    batch = batch_of(task_of(), record)
    outputs = scores_of((4, 48, 64))
    known = batch["has_label"]
    hard = losses.hard_pixels(outputs, batch["labels"], known, threshold=0.2, least=10)
    terms = task_of(hard_below=0.2, hard_least=10).loss_terms(outputs, batch)
    wanted = losses.cross_entropy(outputs, batch["labels"], hard)
    np.testing.assert_allclose(terms["loss"], wanted, rtol=1e-6)
    assert 0 < terms["loss"][1].sum() < known.sum()
    np.testing.assert_allclose(terms["accuracy"][1], known.sum((1, 2)))


def test_class_weights_are_those_of_the_classes(record):
    batch = batch_of(task_of(), record)
    outputs = scores_of((4, 48, 64))
    only = task_of(class_weights=(0.0, 0.0, 3.0, 0.0))
    total, count = only.loss_terms(outputs, batch)["loss"]
    of_trees = batch["has_label"] & (batch["labels"] == 2)
    np.testing.assert_allclose(count, 3 * of_trees.sum((1, 2)))
    plain = losses.cross_entropy(outputs, batch["labels"], of_trees)[0]
    np.testing.assert_allclose(total, 3 * plain, rtol=1e-5)


def test_the_protocols_are_the_published_ones():
    fields = ("scales", "mirrors", "slides", "crf", "short_side", "in_logs")
    found = {
        name: tuple(getattr(rules, field) for field in fields)
        for name, rules in pixel_protocols.PROTOCOLS.items()
        if isinstance(rules, pixel_protocols.Protocol)
    }
    toolboxes = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    five = (0.4, 0.6, 0.8, 1.0, 1.2)
    deeplab, free, rooms = "deeplab_v2_resnet101", (0, 0), (450, 800)
    assert found == {
        "whole": ((1.0,), False, False, "", free, False),
        "mirrored": ((1.0,), True, False, "", free, False),
        "scales": (toolboxes, True, False, "", free, False),
        "sliding": ((1.0,), False, True, "", free, False),
        "crf": ((1.0,), False, False, deeplab, free, False),
        "largefov_crf": ((1.0,), False, False, "deeplab_largefov", free, False),
        "scales_crf": (toolboxes, True, False, deeplab, free, False),
        "refinenet_scales": (five, False, False, "", rooms, True),
        "refinenet_scale": ((0.8,), False, False, "", rooms, True),
        "refinenet_scales_crf": (five, False, False, deeplab, rooms, True),
        "refinenet_cityscapes": (five, False, False, "", (600, 1100), True),
    }


def test_the_crf_has_the_last_word_with_the_constants_of_deeplab_v2(photo):
    image = photo[40:64, 60:92]
    scores = scores_of(image.shape[:2])
    told = pixel_protocols.PROTOCOLS["crf"].labels(image, [scores], 512, "half_pixel")
    kernels = dense_crf.Kernels(67, 3, 1, 4, 3)
    refined = dense_crf.refine(scores[None], image[None], kernels, iterations=10)[0]
    assert np.array_equal(told, np.argmax(refined, -1))
    others = [dense_crf.Kernels(*k) for k in ((160, 3, 3, 5, 3), (65, 3, 2, 4, 2))]
    for other in others:  # or the test could not tell them apart
        refined = dense_crf.refine(scores[None], image[None], other)[0]
        assert (told != np.argmax(refined, -1)).mean() > 0.02


# Those of one view for each scale and mirror image.
SIZES = {
    name: rules
    for name, rules in pixel_protocols.PROTOCOLS.items()
    if isinstance(rules, pixel_protocols.Protocol) and not rules.slides
}


@pytest.mark.parametrize("protocol", sorted(SIZES))
def test_views_have_the_sizes_of_the_protocol_and_mirrors_follow(record, protocol):
    rules = SIZES[protocol]
    views = task_of().evaluation_input(record, "", protocol)
    fit = max(rules.short_side[0], 300) / 300
    sizes = [(round(300 * fit * s), round(451 * fit * s)) for s in rules.scales]
    wanted = [s for s in sizes for _ in range(1 + rules.mirrors)]
    assert [v.shape for v in views] == [(*size, 3) for size in wanted]
    assert all(v.dtype == np.float32 and 0 <= v.min() <= v.max() <= 1 for v in views)
    if rules.mirrors:
        assert np.array_equal(views[1], views[0][:, ::-1])
    if fit == 1.0 and 1.0 in rules.scales:
        place = (1 + rules.mirrors) * rules.scales.index(1.0)
        assert np.array_equal(views[place], record["image"].astype("f") / 255)


def logits(labels, gain=10.0, count=4):
    return gain * np.eye(count, dtype=np.float32)[np.minimum(labels, 3)]


def test_the_truth_scores_100_under_every_protocol(record):
    task = task_of()
    truth = logits(record["labels"])
    for protocol, rules in SIZES.items():
        if rules.crf:
            continue
        outputs = [
            truth[:, :: 1 - 2 * mirrored]
            for _ in rules.scales
            for mirrored in range(1 + rules.mirrors)
        ]
        row = task.score(record, "", outputs, outputs, protocol)
        assert row["miou"] == row["pixel_accuracy"] == 100


@pytest.mark.parametrize("window", [100, 128, 301, 512])
def test_windows_cover_the_image_and_join_again(record, window):
    task = task_of(window=window)
    views = task.evaluation_input(record, "", "sliding")
    sides = (min(window, 300), min(window, 451))
    assert {v.shape[:2] for v in views} == {sides}
    if window >= 451:
        assert len(views) == 1
    # A network that tells the class from the pixel itself sees no windows.
    gray = record["image"].mean(-1)
    levels = np.quantile(gray, [0.25, 0.5, 0.75])
    grays = [np.rint(v * 255).sum(-1, dtype=np.float64) / 3 for v in views]
    outputs = [logits(np.digitize(gray, levels)) for gray in grays]
    row = task.score(record, "", views, outputs, "sliding")
    assert row["pixel_accuracy"] > 99.99


def test_a_crf_removes_specks_that_the_photograph_does_not_have(record):
    rng = np.random.default_rng(0)
    image = record["image"][:60, :80]
    flat = np.full_like(image, 90)
    truth = np.zeros((60, 80), np.uint8)
    truth[:, 40:] = 1
    flat[:, 40:] = 180
    told = np.where(rng.random(truth.shape) < 0.1, 2, truth)
    one = {"image": flat, "labels": truth, "id": "a", "source": "x"}
    task = task_of()
    views = task.evaluation_input(one, "", "crf")
    assert len(views) == 1
    plain, refined = (
        task.score(one, "", views, [logits(told, gain=2.0)], protocol)
        for protocol in ("whole", "crf")
    )
    assert plain["pixel_accuracy"] < 92
    assert refined["pixel_accuracy"] > 99.5


@pytest.mark.torch
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", ["whole", "mirrored", "sliding"])
def test_scores_are_enlarged_as_the_task_says(record, protocol, mode):
    one = {**record, "image": record["image"][:48, :64]}
    one["labels"] = np.zeros((48, 64), np.uint8)
    one["labels"][:, 20:] = 1
    views = task_of().evaluation_input(one, "", protocol)
    outputs = [scores_of((12, 16), i) for i in range(len(views))]

    def told(mode):
        enlarged = [by_torch(x[None], (48, 64), mode)[0] for x in outputs]
        if protocol == "mirrored":
            enlarged[1] = by_torch(outputs[1][None, :, ::-1], (48, 64), mode)[0]
        shares = [np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in enlarged]
        return np.argmax(sum(shares), -1)

    def confusions(told):
        matrix = np.zeros((4, 4), int)
        np.add.at(matrix, (one["labels"], told), 1)
        return matrix

    wanted = {m: confusions(told(m)) for m in MODES}
    row = task_of(upsampling=mode).score(one, "", views, outputs, protocol)
    found = np.zeros((4, 4), int)
    found[tuple(row["pixels"][:, :2].T)] = row["pixels"][:, 2]
    # Ties of rounding may move a pixel or two; the ways differ in tens of them.
    assert np.abs(found - wanted.pop(mode)).sum() <= 4
    for other in wanted.values():
        assert np.abs(found - other).sum() > 20


def test_views_are_averaged_as_probabilities(record):
    """Two views of equal sums of scores, but one is sure."""
    first = np.zeros((300, 451, 4), np.float32)
    first[..., 0] = 9.0
    second = np.zeros_like(first)
    second[..., 1] = 9.5
    second[..., 0] = 9.2
    task = task_of()
    row = task.score(record, "", [], [first, second], "mirrored")
    pixels = np.reshape(row["pixels"], (-1, 3))
    assert set(pixels[:, 1]) == {0}


def test_sets_are_scored_by_one_matrix_of_all_pixels(record):
    rng = np.random.default_rng(0)
    task = task_of()
    rows, truths, tolds = [], [], []
    for i in range(3):
        labels = np.roll(record["labels"], 40 * i, 1)
        told = np.where(rng.random(labels.shape) < 0.2, rng.integers(4), labels)
        told = np.minimum(told, 3)
        one = {**record, "labels": labels, "id": str(i)}
        rows.append(task.score(one, "", [], [logits(told)], "whole"))
        truths.append(labels)
        tolds.append(told)
    truth, told = (np.concatenate([m.ravel() for m in x]) for x in (truths, tolds))
    known = truth != label_files.IGNORE
    found = task.summarise(rows)
    ious = []
    for k in range(4):
        one, two = (truth == k) & known, (told == k) & known
        ious.append((one & two).sum() / (one | two).sum())
    assert found["miou"] == pytest.approx(100 * np.mean(ious), abs=1e-9)
    right = (truth == told)[known].mean()
    assert found["pixel_accuracy"] == pytest.approx(100 * right, abs=1e-9)
    table = task.tables(rows)["classes"]
    assert [line[0] for line in table.lines] == list(NAMES)
    assert [line[2] for line in table.lines] == pytest.approx(100 * np.array(ious))
    each = [metrics.boundary_f(row["boundary"], 4) for row in rows]
    assert found["boundary_f"] == pytest.approx(100 * np.mean(np.mean(each, 0)))
    assert task.best in found


def parts_of(record, seed, classes, count=3):
    """Labels and answers of images that show only some of the four classes."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(count):
        is_known = record["labels"] != label_files.IGNORE
        truth = rng.permutation(classes)[record["labels"] % len(classes)]
        is_wrong = rng.random(truth.shape) < 0.3
        told = np.where(is_wrong, rng.choice(classes, truth.shape), truth)
        truth = np.where(is_known, truth, label_files.IGNORE)
        parts.append((truth.astype(np.uint8), told))
    return parts


def rows_of(task, record, parts, count=4):
    return [
        task.score(
            {**record, "labels": t}, "", [], [logits(told, count=count)], "whole"
        )
        for t, told in parts
    ]


@pytest.mark.parametrize("classes", [(0, 1, 2), (1, 2, 3), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("absent", ["union", "truth", "one"])
@pytest.mark.parametrize("names", [NAMES, ()], ids=["named", "unnamed"])
def test_classes_that_are_in_no_image_are_counted_as_the_network_has_them(
    record, classes, absent, names
):
    parts = parts_of(record, 0, classes)
    task = task_of(classes=names, absent=absent)
    rows = rows_of(task, record, parts)
    truth, told = (
        np.concatenate([m.ravel() for m in maps]) for maps in zip(*parts, strict=True)
    )
    known = truth != label_files.IGNORE
    ious = []
    for k in range(4):  # the network has four, whatever there is to see
        is_true, is_told = ((m == k)[known] for m in (truth, told))
        either = (is_true | is_told).sum()
        if either:
            ious.append((is_true & is_told).sum() / either)
        elif absent == "one":
            ious.append(1.0)
    found = task.summarise(rows)
    assert found["miou"] == pytest.approx(100 * np.mean(ious), abs=1e-9)
    lines = task.tables(rows)["classes"].lines
    assert [line[0] for line in lines] == list(
        names or map("class {}".format, range(4))
    )
    for k, line in enumerate(lines):
        assert np.isnan(line[3]) == (k not in classes)


@pytest.mark.parametrize("absent", ["union", "truth", "one"])
def test_parts_of_a_set_that_show_other_classes_add_up_to_the_whole(record, absent):
    low, high = parts_of(record, 1, (0, 1)), parts_of(record, 2, (1, 2))
    task = task_of(classes=(), absent=absent)
    truth, told = (np.concatenate(maps) for maps in zip(*low, *high, strict=True))
    one = {"labels": truth, "image": np.resize(record["image"], (*truth.shape, 3))}
    joined = task.score({**record, **one}, "", [], [logits(told)], "whole")
    rows = rows_of(task, record, low) + rows_of(task, record, high)
    found, wanted = task.summarise(rows), task.summarise([joined])
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "fwiou"):
        assert found[name] == wanted[name]
    # Processes send them to each other as JSON.
    sent = json.loads(json.dumps(rows, default=lambda x: np.asarray(x).tolist()))
    assert task.summarise(sent) == found


def test_scores_of_networks_for_other_classes_are_not_added(record):
    task = task_of(classes=())
    parts = parts_of(record, 0, (0, 1), 1)
    rows = rows_of(task, record, parts) + rows_of(task, record, parts, count=6)
    for make in (task.summarise, task.tables):
        with pytest.raises(errors.UserError, match="networks for 4 and 6 classes"):
            make(rows)


def test_labels_beyond_the_scores_name_the_record(record):
    labels = record["labels"].copy()
    labels[50, 50] = 7
    wrong = {**record, "labels": labels}
    with pytest.raises(
        errors.DataError, match=r"'chelsea' of x:train has labels \[7\]"
    ):
        task_of().score(wrong, "", [], [logits(record["labels"])], "whole")


def test_a_panel_shows_the_photograph_and_the_score(record):
    task = task_of()
    outputs = [logits(record["labels"])]
    row = task.score(record, "", [], outputs, "whole")
    page = task.panel(record, "", [], outputs, row, "whole")
    windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], (300, 451))
    image = record["image"][..., 0]
    places = np.argwhere((windows[:, :, 100, :30] == image[100, :30]).all(-1))
    assert any((page[y : y + 300, x : x + 451, 0] == image).all() for y, x in places)


def test_the_legend_of_a_panel_tells_what_is_not_labelled(record):
    task, given = task_of(), [logits(record["labels"])]
    has = lambda page: (page[-40:] == palettes.UNLABELLED).all(-1).any()  # noqa: E731
    whole = {**record, "labels": np.minimum(record["labels"], 3)}
    for one, is_told in ((record, True), (whole, False)):
        row = task.score(one, "", [], given, "whole")
        assert has(task.panel(one, "", [], given, row, "whole")) == is_told


def test_a_photograph_becomes_labels_and_a_picture_with_a_legend(record):
    task = task_of()
    views, finish = task.request(record["image"].astype("f") / 255, {})
    assert np.array_equal(views[0], record["image"].astype("f") / 255)
    labels = np.where(record["labels"] == label_files.IGNORE, 1, record["labels"])
    shown = finish([logits(labels)])
    assert shown.maps["labels"].dtype == np.uint8
    assert np.array_equal(shown.maps["labels"], labels)
    assert shown.picture.shape[0] > 300
    assert shown.picture.shape[1:] == (451, 3)
    gray = record["image"][..., :1].astype("f") / 255
    assert task.request(gray, {})[0][0].shape == (300, 451, 3)
    with pytest.raises(errors.UserError, match="no option 'scale'"):
        task.request(gray, {"scale": 2})


def source_of(*classes, name="x:train"):
    none = np.zeros((0, 32), np.uint8)
    index = records.Index([], [], none, np.zeros((0, 2)))
    return sources.Source([records.Split(name, None, "train", index, classes=classes)])


def test_names_come_from_the_records_and_must_agree():
    task = task_of(classes=())
    assert task.with_records([source_of("a", "b")]).classes == ("a", "b")
    with pytest.raises(errors.DataError, match=r"class 1 is 'c' and 'b'"):
        task.with_records([source_of("a", "b"), source_of("a", "c", name="y:val")])
    with pytest.raises(errors.UserError, match="4 and 3 classes"):
        task_of().check_trained(task_of(classes=("a", "b", "c")))
    with pytest.raises(errors.UserError, match="trained for restoration"):
        task_of().check_trained(restoration.Restoration())


def experiment(task, **changes):
    base = config.Experiment(
        task=task,
        model=config.Model("refinenet50", {"num_classes": len(NAMES)}),
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
        ({"task": task_of(scales=(1.5, 0.5))}, "scales must be rising"),
        ({"task": task_of(short_side=(450, 400))}, "short_side must be two numbers"),
        (
            {"task": task_of(class_weights=(1.0, 2.0))},
            "weights must be 4 numbers",
        ),
        ({"task": task_of(loss_at="image")}, 'loss_at must be "labels" or "scores"'),
    ],
)
def test_contradictions_are_refused(changes, message):
    good = experiment(task_of())
    good.task.check(good)
    wrong = dataclasses.replace(good, **changes)
    with pytest.raises(errors.UserError, match=message):
        wrong.task.check(wrong)
