"""Relative depth from points that people put in order: crops, losses, a real run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from skimage import data as pictures

from dpjax import config, errors
from dpjax.data import preparation
from dpjax.tasks import relative_depth
from dpjax.training import loop

SIZE = (24, 32)
DATA = config.Data(("x",), ("y",), crop=SIZE, batch_size=2)
KEYS = jax.random.split(jax.random.key(0), 2)


def task_of(**changes):
    options = {"target": "points", "loss": "diw", "pairs": 40, "size": SIZE}
    return relative_depth.RelativeDepth(**{**options, "zooms": (1.0, 1.0), **changes})


@pytest.fixture(scope="module")
def record(photo):
    """A photograph of which the brighter point of each pair is farther."""
    rng = np.random.default_rng(0)
    points = np.stack([rng.integers(0, side, (30, 2)) for side in photo.shape[:2]], -1)
    bright = photo.mean(-1)[points[..., 0], points[..., 1]]
    gap = bright[:, 0] - bright[:, 1]
    relation = np.where(np.abs(gap) > 20, np.sign(gap), 0).astype(np.int32)
    named = {"id": "chelsea", "source": "diw:train"}
    return {"image": photo, "points": points, "relation": relation, **named}


def batch_of(task, record, count=2):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


def drawn(task, batch):
    _, found = task.inputs(batch, KEYS, DATA)
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.parametrize("pairs", [1, 7, 40])
def test_batches_are_those_that_are_planned(record, pairs):
    task = task_of(pairs=pairs)
    batch = batch_of(task, record)
    planned = task.batch_spec(DATA, 2)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in planned.items()
    }
    found = drawn(task, batch)
    assert found["weight"].shape == (2, pairs)
    assert (
        found["weight"].sum(1) == np.minimum(pairs, batch["has_relation"].sum(1))
    ).all()


@pytest.mark.parametrize("mirror", [False, True])
def test_the_brighter_point_is_still_the_farther_one(record, mirror):
    # At its own size nothing is blended, so that pixels tell the order exactly.
    task = task_of(size=(), mirror=mirror)
    large = dataclasses.replace(DATA, crop=(200, 300))
    seen = 0
    for seed in range(6):
        found = task.train_example(record, np.random.default_rng(seed), large)
        counts = found["has_relation"]
        assert 0 < counts.sum() < 30
        places = found["points"][counts]
        bright = found["image"].mean(-1)[places[..., 0], places[..., 1]]
        gap = bright[:, 0] - bright[:, 1]
        wanted = np.where(np.abs(gap) > 20, np.sign(gap), 0)
        np.testing.assert_array_equal(found["relation"][counts], wanted)
        seen += counts.sum()
    assert seen > 30


def _loss(task, outputs, batch, b):
    """That of one example, a pair at a time, float64."""
    f = outputs[b, ..., 0].astype(np.float64)
    costs = {-1: [], 0: [], 1: []}
    for (p, q), r, counts in zip(
        *(batch[n][b] for n in ("points", "relation", "has_relation")), strict=True
    ):
        if counts:
            gap = f[tuple(p)] - f[tuple(q)]
            costs[int(r)].append(np.log1p(np.exp(-r * gap)) if r else gap**2)
    ordered, equal = np.array(costs[-1] + costs[1]), np.array(costs[0])
    if task.loss == "redweb":
        worst = np.sort(ordered)[-round(0.75 * len(ordered)) :]
        return worst.mean() + equal.mean(), 1
    every = np.concatenate([ordered, equal])
    return (every.mean(), 1) if task.loss == "sgr" else (every.sum(), len(every))


@pytest.mark.parametrize("loss", ["diw", "redweb", "sgr"])
def test_the_loss_is_that_of_a_loop_over_the_pairs_of_the_record(record, loss):
    task = task_of(loss=loss)
    batch = drawn(task, batch_of(task, record))
    outputs = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype(np.float32)
    found = task.loss_terms(jnp.asarray(outputs), batch)
    for b in range(2):
        total, count = _loss(task, outputs, batch, b)
        assert found["loss"][0][b] == pytest.approx(total, rel=1e-5)
        assert found["loss"][1][b] == count
    ordered = (batch["relation"] != 0) & batch["has_relation"]
    np.testing.assert_array_equal(found["wrong_order"][1], ordered.sum(1))
    right = batch["image"].mean(-1, dtype=np.float32)[..., None]
    wrong, _ = task.loss_terms(right, batch)["wrong_order"]
    assert (wrong <= 0.2 * ordered.sum(1)).all()  # it was made a tenth as large


@pytest.mark.parametrize("loss", ["diw", "redweb", "sgr"])
def test_padding_of_pairs_and_of_examples_adds_nothing(record, loss):
    outputs = np.random.default_rng(0).normal(size=(2, *SIZE, 1)).astype(np.float32)
    found = []
    for pairs in (30, 90):
        task = task_of(loss=loss, pairs=pairs)
        batch = batch_of(task, record)
        batch["valid"][1] = False
        batch = drawn(task, batch)
        found.append((task.loss_terms(outputs, batch), task, batch))
    (one, *_), (other, task, batch) = found
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-6)
        assert one[name][0][1] == one[name][1][1] == 0
    slope = jax.grad(lambda f: task.loss_terms(f, batch)["loss"][0].sum())(outputs)
    assert np.abs(slope[0]).sum() > 0
    np.testing.assert_array_equal(slope[1], 0)


def test_crops_without_any_pair_are_examples_that_count_for_nothing(record):
    apart = {**record, "points": record["points"].copy()}
    apart["points"][:, 0], apart["points"][:, 1] = 0, (299, 450)
    task = task_of(size=(), zooms=(1.5, 1.5))
    batch = drawn(task, batch_of(task, apart))
    assert not batch["has_relation"].any()
    outputs = np.ones((2, *SIZE, 1), np.float32)
    for total, count in task.loss_terms(outputs, batch).values():
        np.testing.assert_array_equal(total, 0)
        np.testing.assert_array_equal(count, 0)


NAMES = ("astronaut", "chelsea", "coffee", "rocket")
NETWORK = {
    "num_classes": 1,
    "widths": (4, 4, 8, 8, 8),
    "fc_width": 8,
    "has_norm": True,
    "dropout": 0.0,
}


@pytest.fixture(scope="module")
def diw(tmp_path_factory):
    """Real photographs in the layout of DIW, the brighter point of each is farther."""
    root = tmp_path_factory.mktemp("diw")
    rng = np.random.default_rng(0)
    for split, names in (("train", NAMES[:3]), ("test", NAMES[3:])):
        lines = []
        folder = root / f"DIW_{'train_val' if split == 'train' else split}"
        folder.mkdir(exist_ok=True)
        for name in names:
            image = getattr(pictures, name)()
            path = folder / f"{name}.thumb"
            PIL.Image.fromarray(image).save(path, "PNG")
            height, width = image.shape[:2]
            places = np.stack([rng.integers(0, s, 60) for s in (height, width)], -1)
            bright = image.mean(-1)[places[:, 0], places[:, 1]]
            far, near = places[bright.argmax()] + 1, places[bright.argmin()] + 1
            lines += [
                f"./{folder.name}/{path.name}",
                f"{far[0]},{far[1]},{near[0]},{near[1]},>,{width},{height}",
            ]
        (root / f"DIW_{split}.csv").write_text("\n".join(lines) + "\n")
    directory = tmp_path_factory.mktemp("records")
    preparation.prepare("diw", folder=root, directory=directory)
    return directory


def run_of(directory, task, protocol="points", judged="diw:test", **changes):
    return config.Experiment(
        task=task,
        model=config.Model("deeplab_largefov_vgg16", NETWORK),
        data=config.Data(
            ("diw:train",),
            (judged,),
            crop=(48, 64),
            batch_size=8,
            directory=str(directory),
            **changes,
        ),
        optim=config.Optim("adam", lr=3e-3),
        evaluation=config.Evaluation(protocol),
        record=config.Record(log_every=10, save_every=30, panels=1),
        total_steps=30,
    )


@pytest.mark.slow
def test_a_network_learns_pairs_that_were_judged_by_heart(diw, tmp_path):
    task = task_of(size=(48, 64), pairs=1, jitter=0.2)
    same = {"judged": "diw:train", "allow_overlap": ("diw:train",)}
    found = loop.train(run_of(diw, task, **same), tmp_path / "run")
    assert (found.step, found.skipped) == (30, 0)
    assert found.score == 0  # no pair of the three is in the wrong order
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    first, *_, last = [json.loads(x)["loss"] for x in lines if '"loss"' in x]
    assert last < 0.8 * first


@pytest.mark.parametrize("protocol", ["points", "dense"])
def test_a_run_that_takes_points_for_a_map_is_told_before_it_begins(
    diw, tmp_path, protocol
):
    task = relative_depth.RelativeDepth()
    message = (
        "of diw:train has no depth to learn an order from, but pairs of points. .*"
        "--task.target points --task.loss diw"
        if protocol == "points"
        else 'of diw:test has no depth .* Choose the protocol "points"'
    )
    with pytest.raises(errors.DataError, match=message):
        loop.train(run_of(diw, task, protocol), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
