"""The classification task: views of the protocols, targets, scores, names."""

import dataclasses

import jax
import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.data import area_crop, records, sources
from dpjax.ops import mixing
from dpjax.tasks import answer, classification, restoration

NAMES = ("cat", "coffee", "cup", "dog", "eel", "fox", "gnu")
DATA = config.Data(("x",), ("y",), crop=(28, 28), batch_size=4)
PLAIN = {"jitter": 0.0, "lighting": 0.0}


def task_of(**changes):
    return classification.Classification(
        **{"side": 28, "classes": NAMES, **PLAIN, **changes}
    )


@pytest.fixture(scope="module")
def record(photo):
    return {"image": photo, "id": "chelsea", "source": "photos:test", "label": 0}


def experiment(task, **changes):
    base = config.Experiment(
        task=task,
        model=config.Model("resnet50", {"num_classes": len(NAMES)}),
        data=dataclasses.replace(DATA, crop=(task.side,) * 2),
        optim=config.Optim(),
        evaluation=config.Evaluation("single"),
        total_steps=1,
    )
    return dataclasses.replace(base, **changes)


def batch_of(task, record, count=6):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["label"] = np.arange(count, dtype=np.int32)
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


KEYS = jax.random.split(jax.random.key(0), 6)


def test_batches_have_the_planned_shapes_and_hold_crops(record):
    task = task_of()
    batch = batch_of(task, record)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in task.batch_spec(DATA, 6).items()
    }
    for i in range(6):
        rng = np.random.default_rng([1, i])
        window = area_crop.draw_window(record["image"].shape[:2], rng)
        want = area_crop.cut(record["image"], window, 28)
        np.testing.assert_array_equal(batch["image"][i], want)
    assert task.train_example({**record, "label": 3}, rng, DATA)["label"] == 3


def test_the_crop_law_is_that_of_the_task(record):
    whole = task_of(area=(1.0, 1.0), aspect=(1.0, 1.0))
    got = whole.train_example(record, np.random.default_rng(0), DATA)["image"]
    middle = (0, (451 - 300) // 2, 300, 300)
    np.testing.assert_array_equal(got, area_crop.cut(record["image"], middle, 28))


def test_records_without_label_are_refused(record):
    with pytest.raises(errors.DataError, match="'chelsea' of photos:test has no label"):
        task_of().train_example({**record, "label": -1}, np.random.default_rng(0), DATA)


def test_without_colours_and_mixing_images_are_only_mirrored(record):
    task = task_of()
    batch = batch_of(task, record)
    images, out = task.inputs(batch, KEYS, DATA)
    plain = batch["image"].astype(np.float32) / 255
    for got, want in zip(np.asarray(images), plain, strict=True):
        turned = want[:, ::-1]
        assert np.allclose(got, want) or np.allclose(got, turned)
    assert set(out) == set(batch)


def test_colours_stay_in_range_and_differ_between_examples(record):
    task = task_of(jitter=0.4, lighting=0.1)
    batch = batch_of(task, record)
    batch["image"][:] = batch["image"][0]
    images = np.asarray(task.inputs(batch, KEYS, DATA)[0])
    assert images.min() >= 0
    assert images.max() <= 1
    means = images.mean((1, 2))
    assert len({tuple(m) for m in means.round(4).tolist()}) == 6
    again = np.asarray(task.inputs(batch, KEYS, DATA)[0])
    np.testing.assert_array_equal(images, again)


def test_mixed_images_cost_as_much_as_what_is_in_them(record):
    task = task_of(cutmix=1.0, smoothing=0.1)
    batch = batch_of(task, record)
    images, out = task.inputs(batch, KEYS, DATA)
    np.testing.assert_array_equal(out["partner"], [1, 0, 3, 2, 5, 4])
    plain, _ = task_of().inputs(batch, KEYS, DATA)
    others = mixing.partners(plain)
    is_own = np.isclose(images, plain).all(-1)
    is_other = np.isclose(images, others).all(-1)
    assert (is_own | is_other).all()
    for i, share in enumerate(np.asarray(out["share"])):
        assert is_own[i].mean() >= share - 1e-6
        assert (is_own & ~is_other)[i].mean() <= share + 1e-6
    scores = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    terms = task.loss_terms(scores, out)
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    rows = np.arange(6)
    own, other = logs[rows, batch["label"]], logs[rows, out["partner"]]
    mix = out["share"] * own + (1 - out["share"]) * other
    want = -(0.9 * mix + 0.1 * logs.mean(-1))
    np.testing.assert_allclose(terms["loss"][0], want, rtol=1e-5)
    right = scores.argmax(-1) == batch["label"]
    np.testing.assert_array_equal(terms["accuracy"][0], right)


def test_an_odd_share_of_a_device_cannot_be_mixed(record):
    task = task_of(mixup=0.2)
    batch = batch_of(task, record, count=3)
    with pytest.raises(errors.UserError, match=r"got 3\. Change --data\.batch-size"):
        task.inputs(batch, KEYS[:3], DATA)


def by_pillow(image, shorter, how):
    height, width = image.shape[:2]
    scale = shorter / min(height, width)
    size = [max(shorter, round(n * scale)) for n in (width, height)]
    return np.array(PIL.Image.fromarray(image).resize(size, how))


def middle(image, side):
    top, left = ((n - side) // 2 for n in image.shape[:2])
    return image[top : top + side, left : left + side]


def assert_near(got, want):
    """Both round after each pass, in another order of the passes."""
    difference = np.abs(got - want)
    assert difference.max() < 2.1
    assert (difference > 1.1).mean() < 1e-3
    assert difference.mean() < 0.3


@pytest.mark.parametrize("turned", [False, True])
def test_the_views_are_those_of_the_protocols(record, turned):
    image = record["image"].swapaxes(0, 1).copy() if turned else record["image"]
    task, given = task_of(side=224), {}
    for protocol in task.protocols:
        view = task.evaluation_input({**record, "image": image}, "", protocol)
        assert view.dtype == np.float32
        given[protocol] = view * 255
    assert given["single"].shape == (320, 320, 3)
    assert given["centre"].shape == (224, 224, 3)
    assert given["ten_crop"].shape == (10, 224, 224, 3)
    bicubic, linear = PIL.Image.Resampling.BICUBIC, PIL.Image.Resampling.BILINEAR
    inner = slice(3, -3)
    for got, want in (
        (given["single"], middle(by_pillow(image, 320, bicubic), 320)),
        (given["centre"], middle(by_pillow(image, 256, linear), 224)),
        (given["ten_crop"][0], middle(by_pillow(image, 256, bicubic), 224)),
    ):
        assert_near(got[inner, inner], want[inner, inner])
    resized = by_pillow(image, 256, bicubic).astype(float)
    ten = given["ten_crop"]
    corners = (resized[:224, :224], resized[:224, -224:])
    corners += (resized[-224:, :224], resized[-224:, -224:])
    for got, want in zip(ten[1:5], corners, strict=True):
        assert_near(got[inner, inner], want[inner, inner])
    np.testing.assert_array_equal(ten[5:], ten[:5, :, ::-1])


@pytest.mark.parametrize(("side", "view"), [(112, 160), (56, 80), (299, 427)])
def test_the_other_sides_of_the_paper(record, side, view):
    small = {**record, "image": record["image"][:40, :60]}
    got = task_of(side=side).evaluation_input(small, "", "single")
    assert got.shape == (view, view, 3)


@pytest.mark.parametrize("shape", [(8, 4000), (3000, 9), (28, 28), (27, 41)])
def test_pictures_of_any_shape_can_be_scored(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for protocol in task_of().protocols:
        view = task_of().evaluation_input({"image": image}, "", protocol)
        assert view.shape[-3:-1] in ((40, 40), (28, 28))


SCORES = np.array([[0.0, 2, 1, -1, 0.5, -2, -3], [3, 0, 1, 1, 0, -4, 0]])


def test_scores_are_those_of_the_averaged_probabilities(record):
    shares = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    mean = shares.mean(0)
    for label in range(7):
        row = task_of().score({**record, "label": label}, "", None, SCORES, "ten_crop")
        place = int((mean > mean[label]).sum())
        assert (row["top1"], row["top5"]) == (place < 1, place < 5)
        assert row["nll"] == pytest.approx(-np.log(mean[label]))
        assert row["told"] == mean.argmax() == 0
        assert row["confidence"] == pytest.approx(mean[0])
        assert row["label"] == label


def rows():
    """Two cats, one taken for coffee; three dogs, all taken for cats."""
    told = [(0, 0), (0, 1), (3, 0), (3, 0), (3, 0)]
    return [
        {
            "top1": float(a == b),
            "top5": float(i != 4),
            "nll": 0.1 * i,
            "label": a,
            "told": b,
            "confidence": 0.55,
        }
        for i, (a, b) in enumerate(told)
    ]


def test_a_set_is_summarised_in_percent():
    got = task_of().summarise(rows())
    assert got == {
        "top1": pytest.approx(20),
        "top5": pytest.approx(80),
        "nll": pytest.approx(0.2),
        "ece15": pytest.approx(35),
    }
    assert task_of().best in got


def test_the_worst_image_is_the_most_surprising_one():
    task = task_of()
    found = sorted(rows(), key=lambda row: row[task.example_metric])
    assert not task.example_metric_is_high
    assert found[-1]["nll"] == max(row["nll"] for row in rows())
    assert task.example_metric in task.score(
        {"label": 0}, "", None, SCORES[0], "single"
    )


def test_tables_tell_the_poorest_classes_and_the_most_frequent_confusions():
    tables = task_of().tables(rows())
    assert tables["classes"].header == ("class", "images", "top1", "top5")
    assert tables["classes"].lines == (
        ("dog", 3, 0.0, pytest.approx(200 / 3)),
        ("cat", 2, 50.0, 100.0),
    )
    assert tables["confusions"].lines == (
        ("dog", "cat", 3, 100.0),
        ("cat", "coffee", 1, 50.0),
    )
    unnamed = task_of(classes=()).tables(rows())
    assert [line[0] for line in unnamed["classes"].lines] == ["class 3", "class 0"]


def test_a_panel_shows_what_the_network_saw_and_said(record):
    task = task_of()
    given = task.evaluation_input(record, "", "ten_crop")
    output = np.repeat(SCORES[:1], 10, axis=0)
    row = task.score(record, "", given, output, "ten_crop")
    picture = task.panel(record, "", given, output, row, "single")
    view = np.rint(given[0] * 255).astype(np.uint8)
    large = view.repeat(10, axis=0).repeat(10, axis=1)  # 28 pixels to at least 256
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (280, 280))
    places = np.argwhere((windows[:, :, 140, :20] == large[140, :20, 0]).all(-1))
    assert any((picture[y : y + 280, x : x + 280] == large).all() for y, x in places)
    # the truth is the third guess: its bar is green
    green = (picture == (60, 150, 80)).all(-1)
    assert green.any()
    other = task.panel(record, "", given, output, {**row, "label": 6}, "single")
    assert not (other == (60, 150, 80)).all(-1).any()


def source_of(*classes, name="x:train"):
    none = np.zeros((0, 32), np.uint8)
    index = records.Index([], [], none, np.zeros((0, 2)))
    return sources.Source([records.Split(name, None, "train", index, classes=classes)])


def test_names_come_from_the_records_and_must_agree():
    task = task_of(classes=())
    one = source_of("cat", "dog")
    assert task.with_records([one, one]).classes == ("cat", "dog")
    assert task.with_records([one]) == dataclasses.replace(task, classes=("cat", "dog"))
    with pytest.raises(errors.DataError, match=r"class 1 is 'eel' and 'dog'"):
        task.with_records([one, source_of("cat", "eel", name="y:val")])
    with pytest.raises(errors.DataError, match="2 and 7 classes"):
        task_of().with_records([one])
    with pytest.raises(errors.DataError, match="photos:train has no classes"):
        task.with_records([sources.open_sources(["photos"])])


def test_weights_of_other_tasks_and_classes_are_not_scored():
    task_of().check_trained(task_of(side=32))
    task_of().check_trained(task_of(classes=()))
    with pytest.raises(errors.UserError, match="trained for restoration"):
        task_of().check_trained(restoration.Restoration())
    with pytest.raises(errors.UserError, match="trained for classification"):
        restoration.Restoration().check_trained(task_of())
    with pytest.raises(errors.UserError, match=r"other classes .*: 7 and 1 classes"):
        task_of().check_trained(task_of(classes=("cat",)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": config.Model("rednet10")}, "scores whole images, got rednet10"),
        ({"model": config.Model("resnet50")}, "7 classes, the network gives 1000"),
        ({"data": DATA}, r"side is 32, so data\.crop must be 32 and 32, got 28 and 28"),
        (
            {"evaluation": config.Evaluation("single", ensemble=True)},
            "eight symmetries; the name",
        ),
        ({"evaluation": config.Evaluation("dncnn")}, "classification protocol 'dncnn'"),
        ({"task": task_of(side=16)}, r"at least 32 pixels, task\.side is 16"),
        ({"task": task_of(side=32, smoothing=1.0)}, r"smoothing must be in \[0, 1\)"),
        ({"task": task_of(side=32, area=(0.5, 0.1))}, "area must be rising"),
    ],
)
def test_contradictions_are_refused(changes, message):
    good = experiment(task_of(side=32))
    good.task.check(good)
    wrong = dataclasses.replace(good, **changes)
    if "task" in changes:
        crop = (wrong.task.side,) * 2
        data = dataclasses.replace(DATA, crop=crop)
        wrong = dataclasses.replace(wrong, data=data)
    with pytest.raises(errors.UserError, match=message):
        wrong.task.check(wrong)


def test_a_photograph_is_seen_as_if_it_were_scored(record):
    task = task_of()
    (view,), finish = task.request(record["image"].astype(np.float32) / 255, {})
    want = task.evaluation_input(record, "", "single")
    np.testing.assert_array_equal(view, want)
    said = finish([SCORES[0].astype(np.float32)])
    assert isinstance(said, answer.Answer)
    ranking = said.values["ranking"]
    assert [entry["class"] for entry in ranking] == [
        "coffee",
        "cup",
        "eel",
        "cat",
        "dog",
        "fox",
        "gnu",
    ]
    shares = np.sort(np.exp(SCORES[0]) / np.exp(SCORES[0]).sum())[::-1]
    got = [entry["probability"] for entry in ranking]
    np.testing.assert_allclose(got, shares, rtol=1e-6)
    assert len(said.lines) == 5
    assert said.lines[0].split() == [f"{shares[0]:.2%}", "coffee"]


def test_gray_photographs_are_seen_in_three_channels_and_options_refused(record):
    gray = record["image"][..., :1].astype(np.float32) / 255
    (view,), _ = task_of().request(gray, {})
    assert np.ptp(view, axis=-1).max() == 0
    assert view.shape == (40, 40, 3)
    with pytest.raises(errors.UserError, match="no option 'scale'"):
        task_of().request(gray, {"scale": 2})
