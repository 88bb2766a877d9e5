"""What segmentation is scored by: views, scores of sets, pictures."""

import json

import numpy as np
import pytest

from dpjax import errors
from dpjax.data import label_files
from dpjax.metrics import segmentation as metrics
from dpjax.ops import enlarge
from dpjax.ops.meanfield import dense_crf
from dpjax.tasks import pixel_protocols
from dpjax.viz import palettes
from tests import four_classes


@pytest.fixture(scope="module")
def record(photo):
    return four_classes.record(photo)


MODES = enlarge.Mode.__args__


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
    scores = four_classes.scores_of(image.shape[:2])
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
    views = four_classes.task_of().evaluation_input(record, "", protocol)
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


def test_the_truth_scores_100_under_every_protocol(record):
    task = four_classes.task_of()
    truth = four_classes.logits(record["labels"])
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
    task = four_classes.task_of(window=window)
    views = task.evaluation_input(record, "", "sliding")
    sides = (min(window, 300), min(window, 451))
    assert {v.shape[:2] for v in views} == {sides}
    if window >= 451:
        assert len(views) == 1
    # A network that tells the class from the pixel itself sees no windows.
    gray = record["image"].mean(-1)
    levels = np.quantile(gray, [0.25, 0.5, 0.75])
    grays = [np.rint(v * 255).sum(-1, dtype=np.float64) / 3 for v in views]
    outputs = [four_classes.logits(np.digitize(gray, levels)) for gray in grays]
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
    task = four_classes.task_of()
    views = task.evaluation_input(one, "", "crf")
    assert len(views) == 1
    plain, refined = (
        task.score(one, "", views, [four_classes.logits(told, gain=2.0)], protocol)
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
    views = four_classes.task_of().evaluation_input(one, "", protocol)
    outputs = [four_classes.scores_of((12, 16), i) for i in range(len(views))]

    def told(mode):
        enlarged = [four_classes.by_torch(x[None], (48, 64), mode)[0] for x in outputs]
        if protocol == "mirrored":
            enlarged[1] = four_classes.by_torch(
                outputs[1][None, :, ::-1], (48, 64), mode
            )[0]
        shares = [np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in enlarged]
        return np.argmax(sum(shares), -1)

    def confusions(told):
        matrix = np.zeros((4, 4), int)
        np.add.at(matrix, (one["labels"], told), 1)
        return matrix

    wanted = {m: confusions(told(m)) for m in MODES}
    row = four_classes.task_of(upsampling=mode).score(one, "", views, outputs, protocol)
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
    task = four_classes.task_of()
    row = task.score(record, "", [], [first, second], "mirrored")
    pixels = np.reshape(row["pixels"], (-1, 3))
    assert set(pixels[:, 1]) == {0}


def test_sets_are_scored_by_one_matrix_of_all_pixels(record):
    rng = np.random.default_rng(0)
    task = four_classes.task_of()
    rows, truths, tolds = [], [], []
    for i in range(3):
        labels = np.roll(record["labels"], 40 * i, 1)
        told = np.where(rng.random(labels.shape) < 0.2, rng.integers(4), labels)
        told = np.minimum(told, 3)
        one = {**record, "labels": labels, "id": str(i)}
        rows.append(task.score(one, "", [], [four_classes.logits(told)], "whole"))
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
    assert [line[0] for line in table.lines] == list(four_classes.NAMES)
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
            {**record, "labels": t},
            "",
            [],
            [four_classes.logits(told, count=count)],
            "whole",
        )
        for t, told in parts
    ]


@pytest.mark.parametrize("classes", [(0, 1, 2), (1, 2, 3), (0, 2), (0, 1, 2, 3)])
@pytest.mark.parametrize("absent", ["union", "truth", "one"])
@pytest.mark.parametrize("names", [four_classes.NAMES, ()], ids=["named", "unnamed"])
def test_classes_that_are_in_no_image_are_counted_as_the_network_has_them(
    record, classes, absent, names
):
    parts = parts_of(record, 0, classes)
    task = four_classes.task_of(classes=names, absent=absent)
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
    task = four_classes.task_of(classes=(), absent=absent)
    truth, told = (np.concatenate(maps) for maps in zip(*low, *high, strict=True))
    one = {"labels": truth, "image": np.resize(record["image"], (*truth.shape, 3))}
    joined = task.score({**record, **one}, "", [], [four_classes.logits(told)], "whole")
    rows = rows_of(task, record, low) + rows_of(task, record, high)
    found, wanted = task.summarise(rows), task.summarise([joined])
    for name in ("miou", "pixel_accuracy", "mean_accuracy", "fwiou"):
        assert found[name] == wanted[name]
    # Processes send them to each other as JSON.
    sent = json.loads(json.dumps(rows, default=lambda x: np.asarray(x).tolist()))
    assert task.summarise(sent) == found


def test_scores_of_networks_for_other_classes_are_not_added(record):
    task = four_classes.task_of(classes=())
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
        four_classes.task_of().score(
            wrong, "", [], [four_classes.logits(record["labels"])], "whole"
        )


def test_a_panel_shows_the_photograph_and_the_score(record):
    task = four_classes.task_of()
    outputs = [four_classes.logits(record["labels"])]
    row = task.score(record, "", [], outputs, "whole")
    page = task.panel(record, "", [], outputs, row, "whole")
    windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], (300, 451))
    image = record["image"][..., 0]
    places = np.argwhere((windows[:, :, 100, :30] == image[100, :30]).all(-1))
    assert any((page[y : y + 300, x : x + 451, 0] == image).all() for y, x in places)


def test_the_legend_of_a_panel_tells_what_is_not_labelled(record):
    task, given = four_classes.task_of(), [four_classes.logits(record["labels"])]
    has = lambda page: (page[-40:] == palettes.UNLABELLED).all(-1).any()  # noqa: E731
    whole = {**record, "labels": np.minimum(record["labels"], 3)}
    for one, is_told in ((record, True), (whole, False)):
        row = task.score(one, "", [], given, "whole")
        assert has(task.panel(one, "", [], given, row, "whole")) == is_told


def test_a_photograph_becomes_labels_and_a_picture_with_a_legend(record):
    task = four_classes.task_of()
    views, finish = task.request(record["image"].astype("f") / 255, {})
    assert np.array_equal(views[0], record["image"].astype("f") / 255)
    labels = np.where(record["labels"] == label_files.IGNORE, 1, record["labels"])
    shown = finish([four_classes.logits(labels)])
    assert shown.maps["labels"].dtype == np.uint8
    assert np.array_equal(shown.maps["labels"], labels)
    assert shown.picture.shape[0] > 300
    assert shown.picture.shape[1:] == (451, 3)
    gray = record["image"][..., :1].astype("f") / 255
    assert task.request(gray, {})[0][0].shape == (300, 451, 3)
    with pytest.raises(errors.UserError, match="no option 'scale'"):
        task.request(gray, {"scale": 2})
