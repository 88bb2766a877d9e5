"""Timing against a clock that the test turns, and against counted calls."""

import types

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.training import speed


class _Clock:
    def __init__(self):
        self.now = 0.0

    def advance(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = _Clock()
    fake = types.SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr(speed, "time", fake)
    return clock


def test_compilation_is_not_counted_and_candidates_take_turns(clock):
    calls = []

    def candidate(name, seconds):
        def call():
            calls.append(name)
            clock.advance(60.0 if calls.count(name) == 1 else seconds)

        return speed.Candidate(call)

    found = speed.in_turns(
        {"slow": candidate("slow", 2.0), "slower": candidate("slower", 3.0)}, repeats=3
    )
    assert found == {"slow": [2.0] * 3, "slower": [3.0] * 3}
    assert calls[4:] == ["slow", "slower"] * 3


def test_short_calls_are_repeated_and_waited_for_once(clock):
    waits = []
    candidate = speed.Candidate(lambda: clock.advance(0.01), waits.append)
    (seconds,) = speed.in_turns({"short": candidate}, repeats=1)["short"]
    assert seconds == pytest.approx(0.01)
    assert len(waits) == 3  # twice beforehand, once for the twenty calls of the round


def test_asynchronous_work_is_waited_for(clock):
    candidate = speed.Candidate(lambda: None, lambda _: clock.advance(5.0))
    assert speed.in_turns({"late": candidate}, repeats=2)["late"] == [5.0, 5.0]


def test_rates_come_from_the_median():
    result = speed.Speed((1.0, 2.0, 30.0), images=8, flops=1)
    assert result.median_s == 2.0
    assert result.images_per_s == 4.0


def test_a_network_that_gives_several_maps_where_it_learns_is_measured():
    found = speed.measure_model(
        "deeplab_v2_resnet101",
        size=(64, 64),
        batch_size=1,
        options={
            "backbone": "wide_resnet_16",
            "width": 0.0625,
            "rates": (1,),
            "max_over_scales": (1.0, 0.5),
        },
        devices=jax.devices()[:1],
        repeats=1,
        kinds=("training",),
    )
    assert found["training"].flops > 0


def test_a_model_is_measured_on_all_devices():
    found = speed.measure_model(
        "rednet10",
        size=(8, 12),
        batch_size=16,
        options={"widths": 4},
        repeats=2,
    )
    assert set(found) == {"forward", "training"}
    taps = 2 * 9 * 8 * 12 * (2 * 4 + 8 * 4**2) * 16
    assert found["forward"].flops == taps
    assert 2.5 * taps < found["training"].flops < 3 * taps
    for result in found.values():
        assert len(result.seconds) == 2
        assert min(result.seconds) > 0
        assert result.images == 16


def test_networks_with_dropout_and_statistics_can_be_measured():
    found = speed.measure_model(
        "mobilenet_v2",
        size=(32, 32),
        batch_size=8,
        options={"width": 0.25, "num_classes": 3, "dropout": 0.5},
        repeats=1,
    )
    assert min(found["training"].seconds) > 0


def test_a_batch_the_devices_cannot_share_is_refused():
    with pytest.raises(errors.UserError, match="multiple of the 8 devices, got 12"):
        speed.measure_model("rednet10", size=(8, 8), batch_size=12)


def test_the_update_learns():
    from dpjax.models import zoo

    module, variables = zoo.create_model("rednet10", widths=4, global_residual=False)
    tx = speed.optax.adam(1e-2)
    update = jax.jit(speed._update_of(module, tx))
    state = (variables, tx.init(variables["params"]))
    images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    losses = []
    for _ in range(5):
        state, loss = update(state, images)
        losses.append(float(loss))
    assert losses[-1] < losses[0]
