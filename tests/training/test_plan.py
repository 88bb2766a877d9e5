"""Plans against sums done by hand, and against programs that really run."""

import dataclasses

import jax
import pytest

from dpjax import config, errors
from dpjax.data import degradations
from dpjax.tasks import restoration
from dpjax.training import plan, topology

WIDTH, SIDE, BATCH = 8, 16, 32


def _experiment(**changes):
    base = config.Experiment(
        task=restoration.Restoration(
            degradations=(degradations.GaussianNoise((25.0, 25.0)),),
            judged=(degradations.GaussianNoise((25.0, 25.0)),),
        ),
        model=config.Model("rednet10", {"widths": WIDTH}),
        data=config.Data(("photos:train",), ("photos:test",), (SIDE, SIDE), BATCH),
        optim=config.Optim(ema_decay=0.9),
        evaluation=config.Evaluation("dncnn"),
        total_steps=10,
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module")
def made():
    return plan.make_plan(_experiment())


def _parameters():
    # Ten 3x3 layers with biases: image to width, eight between, width to image.
    return 9 * (2 * WIDTH + 8 * WIDTH**2) + 9 * WIDTH + 1


def test_parameters_and_state_are_those_of_the_network(made):
    assert made.parameters == _parameters()
    # Parameters, two Adam moments and their average; then a few scalars.
    assert 0 <= made.state_bytes - 4 * 4 * _parameters() < 100


def test_work_is_three_passes_less_the_gradient_of_the_image(made):
    taps = 2 * 9 * SIDE**2
    first, forward = taps * WIDTH, taps * (2 * WIDTH + 8 * WIDTH**2)
    assert made.forward_flops == forward
    assert made.step_flops == BATCH // 8 * (3 * forward - first)


def test_devices_share_the_batch(made):
    assert made.devices == jax.device_count() == 8
    pixels = BATCH // 8 * SIDE**2
    assert pixels <= made.batch_bytes <= pixels + 1000  # kind, valid, position
    assert made.examples == 10 * BATCH


def test_workspace_holds_at_least_the_activations_of_the_backward_pass(made):
    maps = 9 * WIDTH * BATCH // 8 * SIDE**2 * 4
    assert maps < made.workspace_bytes < 20 * maps
    assert made.memory_bytes > made.workspace_bytes + made.state_bytes


def test_micro_batches_save_workspace_and_no_work(made):
    split = plan.make_plan(_experiment(optim=config.Optim(accumulate=4)))
    assert split.step_flops == made.step_flops
    assert split.workspace_bytes < made.workspace_bytes / 2


def test_epochs_are_unknown_until_the_records_are_there(tmp_path):
    data = dataclasses.replace(_experiment().data, directory=str(tmp_path))
    found = plan.make_plan(_experiment(data=data))
    assert found.records is None
    assert "unknown until the data are prepared" in plan.render(found)
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_does_not_divide_is_refused():
    data = dataclasses.replace(_experiment().data, batch_size=12)
    with pytest.raises(errors.UserError, match=r"multiple of 8.*got 12"):
        plan.make_plan(_experiment(data=data))


def test_text_names_every_need(made):
    text = plan.render(dataclasses.replace(made, records=40))
    for part in (
        f"rednet10, {_parameters():,} parameters",
        "8 x cpu, float32",
        "32 of 16 x 16 pixels, 4 on each device",
        "320 examples, 8.0 epochs of 40 images",
        "per update and device",
        "memory",
    ):
        assert part in text
    assert "estimated" not in text  # nothing is published about this machine
    assert max(map(len, text.splitlines())) <= 100


CHIP = topology.Chip(memory_bytes=16, peak_flops=100.0, bandwidth=10.0)


@pytest.mark.parametrize(
    ("costs", "work", "repeats", "seconds"),
    [
        ({"optimal_seconds": 0.5}, 10, 1, 0.5),
        ({"optimal_seconds": 0.5}, 10, 4, 2.0),
        ({"optimal_seconds": -1.75}, 10, 1, 0.25),  # two operations without estimate
        ({"optimal_seconds": 0.5, "bytes accessed": 30.0}, 10, 1, 3.0),
        ({}, 700, 3, 7.0),
    ],
)
def test_time_is_the_longest_of_three_bounds(costs, work, repeats, seconds):
    assert plan.estimate_s(costs, work, CHIP, repeats) == pytest.approx(seconds)


def test_a_time_is_told_with_its_source(made):
    text = plan.render(dataclasses.replace(made, estimated_s=0.5, share_of_peak=0.25))
    assert "500 ms per update, 5 s in all, 64 examples/s, 25.0% of the peak" in text
    assert "not measured" in text


def test_a_topology_without_the_compiler_says_what_to_install(monkeypatch):
    monkeypatch.setattr(topology.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(errors.UserError, match=r"requirements-tpu\.txt"):
        plan.make_plan(_experiment(), "v5e:4x4")
