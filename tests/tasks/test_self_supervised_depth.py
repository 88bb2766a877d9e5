"""Depth from pairs: what is trained on, what disparity means, and how it is scored."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.losses import view_synthesis
from dpjax.tasks import depth_protocols, self_supervised_depth
from dpjax.viz import depth_maps

SIZE = (24, 40)
DATA = config.Data(("x",), ("y",), crop=SIZE, batch_size=4)
TASK = self_supervised_depth.SelfSupervisedDepth(size=SIZE, limits=(0.1, 1e4))
SHIFT = 4


def experiment(task=TASK, model="monodepth_vgg", crop=SIZE):
    return config.Experiment(
        task=task,
        model=config.Model(model),
        data=dataclasses.replace(DATA, crop=crop),
        optim=config.Optim(),
        evaluation=config.Evaluation("all_pixels"),
        total_steps=10,
    )


@pytest.fixture(scope="module")
def record(photo):
    """A wall: every point of the right view lies 4 pixels further left."""
    wide = photo[100 : 100 + SIZE[0], 100 : 100 + SIZE[1] + SHIFT]
    return {
        "image": np.ascontiguousarray(wide[:, :-SHIFT]),
        "right": np.ascontiguousarray(wide[:, SHIFT:]),
        "depth": np.full(SIZE, 12.0, np.float32),
        "focal_baseline": np.float32(12.0 * SHIFT),
        "id": "wall",
        "source": "x:train",
    }


def batch_of(record, task=TASK, count=8):
    examples = [
        task.train_example(record, np.random.default_rng([1, i]), DATA)
        for i in range(count)
    ]
    batch = {k: np.stack([e[k] for e in examples]) for k in examples[0]}
    batch["valid"] = np.ones(count, bool)
    batch["position"] = np.arange(count, dtype=np.int32)
    return batch


def test_mirrored_pairs_exchange_their_views(record):
    batch = batch_of(record)
    planned = TASK.batch_spec(DATA, 8)
    shapes = {k: (v.shape, v.dtype) for k, v in batch.items()}
    assert shapes == {k: (v.shape, v.dtype) for k, v in planned.items()}
    plain = [np.array_equal(x, record["image"]) for x in batch["image"]]
    assert 0 < sum(plain) < 8
    for is_plain, left, right in zip(
        plain, batch["image"], batch["right"], strict=True
    ):
        if not is_plain:
            np.testing.assert_array_equal(left, record["right"][:, ::-1])
            np.testing.assert_array_equal(right, record["image"][:, ::-1])
        # Either way the right view is the left one, 4 pixels further left.
        np.testing.assert_array_equal(right[:, :-SHIFT], left[:, SHIFT:])


def test_the_network_sees_the_left_view_and_the_loss_the_same_colours(record):
    batch = batch_of(record)
    keys = jax.random.split(jax.random.key(0), 8)
    seen, after = TASK.inputs(batch, keys, DATA)
    np.testing.assert_array_equal(seen, after["image"])
    np.testing.assert_array_equal(after["right"][:, :, :-4], after["image"][:, :, 4:])
    plain = dataclasses.replace(TASK, colours=False).inputs(batch, keys, DATA)[0]
    np.testing.assert_allclose(plain, batch["image"] / np.float32(255), rtol=1e-6)
    assert np.any(seen != plain)


def _maps(share, count=8):
    sizes = [tuple(side // s for side in SIZE) for s in (8, 4, 2, 1)]
    return tuple(jnp.full((count, *size, 2), share) for size in sizes)


@pytest.mark.parametrize("loss", self_supervised_depth.Loss.__args__)
def test_the_true_disparity_has_the_smallest_loss(record, loss):
    task = dataclasses.replace(TASK, loss=loss, colours=False)
    keys = jax.random.split(jax.random.key(0), 8)
    _, batch = task.inputs(batch_of(record), keys, DATA)
    terms = jax.jit(
        lambda share: task.loss_terms(_maps(share), batch)["loss"],
        compiler_options={"xla_backend_optimization_level": 0},
    )
    values = [terms(pixels / SIZE[1]) for pixels in range(8)]
    assert int(np.argmin([v[0].sum() for v in values])) == SHIFT
    assert (np.asarray(values[0][1]) == 1).all()


def test_losses_are_those_of_view_synthesis_and_leave_padding_out(record):
    keys = jax.random.split(jax.random.key(0), 8)
    batch = batch_of(record)
    batch["valid"][3] = False
    _, batch = TASK.inputs(batch, keys, DATA)
    rng = np.random.default_rng(0)
    maps = tuple(rng.uniform(0, 0.3, m.shape).astype(np.float32) for m in _maps(0.0))
    pair = batch["image"], batch["right"], batch["valid"]
    task = dataclasses.replace(TASK, smoothness=0.3, consistency=0.7)
    found = task.loss_terms(maps, batch)["loss"]
    wanted = view_synthesis.left_right(maps, *pair, smoothness=0.3, consistency=0.7)
    np.testing.assert_array_equal(found, wanted)
    assert (found[0][3], found[1][3]) == (0, 0)
    task = dataclasses.replace(TASK, loss="photometric", smoothness=0.3)
    pixels = rng.uniform(0, 9, (8, *SIZE, 1)).astype(np.float32)
    wanted = view_synthesis.photometric(pixels[..., 0], *pair, smoothness=0.3)
    found = task.loss_terms(pixels, batch)["loss"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    # Shares of the width of the left view mean the same.
    both = np.concatenate([pixels / SIZE[1], pixels], -1)
    found = task.loss_terms((maps[0], both), batch)["loss"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def scored(task, record, output, protocol="all_pixels"):
    given = task.evaluation_input(record, "", protocol)
    return task.score(record, "", given, output, protocol)


@pytest.mark.parametrize("views", [1, 2])
def test_depth_is_focal_length_times_baseline_over_disparity(record, views):
    share = np.full((*SIZE, 1), SHIFT / SIZE[1], np.float32)
    output = share * SIZE[1] if views == 1 else np.concatenate([share, 0 * share], -1)
    row = scored(TASK, record, output)
    assert row["rel"] == pytest.approx(0, abs=1e-6)
    near = scored(TASK, record, 2 * output)
    assert near["rel"] == pytest.approx(0.5, rel=1e-5)
    assert near["rms"] == pytest.approx(6, rel=1e-5)


def test_cameras_of_kitti_are_known_by_their_width():
    size = (32, 1242)
    task = dataclasses.replace(TASK, size=size)
    record = {
        "image": np.zeros((*size, 3), np.uint8),
        "depth": np.full(size, 10.0, np.float32),
        "id": "x",
    }
    output = np.full((*size, 2), 721.5377 * 0.54 / 10 / 1242, np.float32)
    protocol = "kitti_eigen_raw_80_garg"
    assert scored(task, record, output, protocol)["rel"] == pytest.approx(0, abs=1e-6)
    # Elsewhere it is what the task says.
    told = dataclasses.replace(task, focal_baseline=721.5377 * 0.54 / 1242)
    assert scored(told, record, output)["rel"] == pytest.approx(0, abs=1e-6)
    assert scored(task, record, output)["rel"] > 1


def test_pictures_without_truth_do_not_count(record):
    bare = {k: v for k, v in record.items() if k != "depth"}
    output = np.full((*SIZE, 2), 0.1, np.float32)
    row = scored(TASK, bare, output)
    assert "rel" not in row
    panel = TASK.panel(bare, "", None, output, row, "all_pixels")
    assert panel.dtype == np.uint8


def test_blending_takes_each_rim_from_the_view_that_sees_it():
    own, other = np.full((3, 101), 2.0), np.full((3, 101), 4.0)
    found = self_supervised_depth.blended(own, other)
    np.testing.assert_allclose(found[:, :6], 4)
    np.testing.assert_allclose(found[:, -6:], 2)
    np.testing.assert_allclose(found[:, 10:-10], 3)
    assert (np.diff(found, axis=1) <= 1e-12).all()
    np.testing.assert_allclose(found[0, 8], 0.4 * 4 + 0.6 * 3)


def test_averaging_over_flips_shows_both_views_and_turns_the_answer_back(record):
    task = dataclasses.replace(TASK, flip_average=True)
    views = task.evaluation_input(record, "", "all_pixels")
    np.testing.assert_array_equal(views[1], views[0][:, ::-1])
    ramp = np.linspace(0.1, 0.2, SIZE[1])[None, :, None] * np.ones((*SIZE, 2))
    # A network that commutes with the mirror gives the same as without.
    both = task.predicted(views, np.stack([ramp, ramp[:, ::-1]])).depth
    one = TASK.predicted(views[0], ramp).depth
    np.testing.assert_allclose(both, one, rtol=1e-6)
    image = record["image"] / np.float32(255)
    asked, finish = task.request(image, {})
    assert len(asked) == 2
    shown = finish([ramp, ramp[:, ::-1]])
    np.testing.assert_allclose(shown.maps["depth"], one, rtol=1e-5)


def bar_units(monkeypatch):
    """Units of the bars that are drawn from now on."""
    found, original = [], depth_maps.with_bar

    def with_bar(picture, *, unit, **scale):
        found.append(unit)
        return original(picture, unit=unit, **scale)

    monkeypatch.setattr(depth_maps, "with_bar", with_bar)
    return found


@pytest.mark.parametrize(("known", "unit"), [(1.0, "baselines"), (0.3137, "m")])
def test_depth_of_cameras_that_nobody_knows_is_in_baselines(
    record, known, unit, monkeypatch
):
    drawn = bar_units(monkeypatch)
    task = dataclasses.replace(TASK, focal_baseline=known)
    _, finish = task.request(record["image"] / np.float32(255), {})
    shown = finish([np.full((*SIZE, 2), 0.1, np.float32)])
    assert shown.units == {"depth": unit}
    assert drawn == [unit]
    np.testing.assert_allclose(shown.maps["depth"], known / 0.1, rtol=1e-6)
    with pytest.raises(errors.UserError, match=f"larger depth in {unit}, both above 0"):
        task.enlargement({"range": (2.0, 1.0)})


@pytest.mark.parametrize(
    ("change", "unit"),
    [
        ({}, "m"),  # the record tells its cameras
        ({"focal_baseline": np.float32(SIZE[1])}, "baselines"),  # or that it does not
        ({"focal_baseline": None}, "m"),  # a set in metres is compared as metres
        ({"focal_baseline": None, "depth": None}, "baselines"),
    ],
)
def test_panels_have_the_unit_of_what_they_compare(record, change, unit, monkeypatch):
    drawn = bar_units(monkeypatch)
    seen = {k: v for k, v in {**record, **change}.items() if v is not None}
    output = np.full((*SIZE, 2), 0.1, np.float32)
    row = scored(TASK, seen, output)
    TASK.panel(seen, "", None, output, row, "all_pixels")
    assert drawn == [unit] * 3


def test_disparity_of_0_and_less_is_the_farthest_depth():
    task = dataclasses.replace(TASK, limits=(0.5, 50.0))
    output = np.array([[[0.0], [-1.0], [1e9]]], np.float32)
    found = task.predicted(None, output).depth
    np.testing.assert_allclose(found, [[50, 50, 0.5]], rtol=1e-6)


def test_tasks_that_work_are_accepted():
    TASK.check(experiment())
    task = dataclasses.replace(TASK, loss="photometric", also=("make3d_C1",))
    task.check(experiment(task, "garg2016_resnet50"))
    task.check(experiment(task, "monodepth_resnet50"))
    assert set(TASK.protocols) == set(depth_protocols.PROTOCOLS)


@pytest.mark.parametrize(
    ("change", "model", "crop", "message"),
    [
        ({}, "fcrn_resnet50", SIZE, "gives disparity, got fcrn_resnet50"),
        ({}, "garg2016_resnet50", SIZE, "disparities of two views"),
        ({"loss": "berhu"}, "monodepth_vgg", SIZE, "Unknown loss 'berhu'"),
        ({"size": ()}, "monodepth_vgg", SIZE, r"task.size must be data.crop, \(24, 40"),
        ({"size": (24, 36)}, "monodepth_vgg", (24, 36), "multiples of 8 from 24"),
        ({"size": (16, 40)}, "monodepth_vgg", (16, 40), "multiples of 8 from 24"),
        ({"smoothness": -1.0}, "monodepth_vgg", SIZE, "task.smoothness must be at"),
        (
            {"focal_baseline": 0.0},
            "monodepth_vgg",
            SIZE,
            "focal_baseline must be above",
        ),
        ({"jitter": 0.3}, "monodepth_vgg", SIZE, "task.jitter must be 0"),
        ({"also": ("make3d",)}, "monodepth_vgg", SIZE, "depth protocol 'make3d'"),
    ],
)
def test_what_contradicts_itself_is_refused(change, model, crop, message):
    task = dataclasses.replace(TASK, **change)
    with pytest.raises(errors.UserError, match=message):
        task.check(experiment(task, model, crop))


def test_records_without_a_right_view_are_not_trained_on(record):
    bare = {k: v for k, v in record.items() if k != "right"}
    with pytest.raises(errors.DataError, match="x:train has no right views"):
        TASK.train_example(bare, np.random.default_rng(0), DATA)
