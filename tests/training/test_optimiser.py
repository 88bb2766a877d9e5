"""Schedules and update rules against closed forms and textbook NumPy."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from dpjax import config, errors
from dpjax.models import zoo
from dpjax.training import optimiser


def test_cosine_schedule_matches_the_closed_form():
    optim = config.Optim(lr=2.0, schedule="cosine", warmup_steps=10, end_lr=0.5)
    schedule = optimiser.make_schedule(optim, 110)
    assert float(schedule(5)) == pytest.approx(1.0)
    for step in (10, 37, 60, 109):
        phase = (step - 10) / 100
        want = 0.5 + 1.5 * (1 + math.cos(math.pi * phase)) / 2
        assert float(schedule(step)) == pytest.approx(want, rel=1e-5)


def test_polynomial_schedule_matches_the_closed_form():
    optim = config.Optim(lr=1.0, schedule="polynomial", power=0.9)
    schedule = optimiser.make_schedule(optim, 200)
    for step in (0, 50, 199):
        assert float(schedule(step)) == pytest.approx((1 - step / 200) ** 0.9, rel=1e-5)


def test_step_schedule_drops_at_run_counts_even_after_a_warm_up():
    optim = config.Optim(
        lr=1.0, schedule="step", warmup_steps=4, drop_at=(10, 20), drop_by=0.1
    )
    schedule = optimiser.make_schedule(optim, 40)
    seen = [float(schedule(step)) for step in (4, 9, 10, 19, 20, 39)]
    np.testing.assert_allclose(seen, [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-5)


@pytest.mark.parametrize(
    ("optim", "message"),
    [
        (config.Optim(warmup_steps=100), "warmup_steps must lie in 0..99"),
        (config.Optim(lr=0.0), "lr must be positive"),
        (config.Optim(schedule="step", drop_at=(5, 3)), "rising update numbers"),
        (config.Optim(ema_decay=1.0), r"must lie in \[0, 1\)"),
    ],
)
def test_impossible_settings_are_refused(optim, message):
    with pytest.raises(errors.UserError, match=message):
        optimiser.make_optimiser(optim, 100)


def _descend(optim, gradients):
    params = {"a": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([3.0])}}
    tx = optimiser.make_optimiser(optim, 10)
    state = tx.init(params)
    for g in gradients:
        grads = {"a": {"kernel": jnp.array(g[:2]), "bias": jnp.array(g[2:])}}
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return np.concatenate([params["a"]["kernel"], params["a"]["bias"]])


_GRADIENTS = np.random.default_rng(0).normal(size=(6, 3))


def test_adam_matches_the_paper():
    optim = config.Optim(lr=0.1)
    x, m, v = np.array([1.0, -2.0, 3.0]), 0.0, 0.0
    for t, g in enumerate(_GRADIENTS, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        x = x - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(_descend(optim, _GRADIENTS), x, rtol=1e-4)


def test_sgd_decays_kernels_but_not_biases():
    optim = config.Optim("sgd", lr=0.1, momentum=0.9, weight_decay=0.01)
    x, trace = np.array([1.0, -2.0, 3.0]), 0.0
    for g in _GRADIENTS:
        trace = g + 0.01 * x * np.array([1, 1, 0]) + 0.9 * trace
        x = x - 0.1 * trace
    np.testing.assert_allclose(_descend(optim, _GRADIENTS), x, rtol=1e-5)


@pytest.mark.torch
def test_nesterov_is_that_of_torch_with_a_linear_schedule():
    """The update of "Wider or Deeper": decay of kernels only, lr 0.1 (1 - t / T)."""
    torch = pytest.importorskip("torch")
    kernel = torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    bias = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    groups = [
        {"params": [kernel], "weight_decay": 0.01},
        {"params": [bias], "weight_decay": 0.0},
    ]
    peer = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    linear = torch.optim.lr_scheduler.LambdaLR(peer, lambda t: 1 - t / 10)
    for g in _GRADIENTS:
        kernel.grad, bias.grad = torch.tensor(g[:2]), torch.tensor(g[2:])
        peer.step()
        linear.step()
    want = torch.cat([kernel, bias]).detach().numpy()
    rule = {"schedule": "polynomial", "power": 1.0, "weight_decay": 0.01}
    optim = config.Optim("sgd", lr=0.1, momentum=0.9, nesterov=True, **rule)
    np.testing.assert_allclose(_descend(optim, _GRADIENTS), want, rtol=1e-5)
    plain = dataclasses.replace(optim, nesterov=False)
    assert np.abs(_descend(plain, _GRADIENTS) - want).max() > 0.01


def test_a_polynomial_of_power_one_is_a_line_to_its_floor():
    optim = config.Optim(lr=0.1, schedule="polynomial", power=1.0, end_lr=1e-6)
    schedule = optimiser.make_schedule(optim, 450_000)
    assert float(schedule(0)) == pytest.approx(0.1, rel=1e-6)
    assert float(schedule(225_000)) == pytest.approx(0.05, rel=1e-4)
    for late in (450_000, 500_000):
        assert float(schedule(late)) == pytest.approx(1e-6, rel=1e-3)


def test_nesterov_without_momentum_is_refused():
    for optim in (
        config.Optim("adam", nesterov=True),
        config.Optim("sgd", momentum=0.0, nesterov=True),
    ):
        with pytest.raises(errors.UserError, match="nesterov is a momentum of"):
            optimiser.make_optimiser(optim, 10)


def test_kernels_and_scales_of_a_network_decay_but_not_its_biases():
    module = zoo.create_module("resnet50", blocks=(1, 1, 1, 1), num_classes=3)
    example = zoo.example_input(module)
    shapes = jax.eval_shape(module.init, jax.random.key(0), example)["params"]
    mask = optimiser.decay_mask(shapes, ("*/bias",))
    kinds = {}
    for path, decays in traverse_util.flatten_dict(mask).items():
        kinds.setdefault(path[-1], set()).add(decays)
    assert kinds == {"kernel": {True}, "scale": {True}, "bias": {False}}


def test_learning_rates_of_some_parameters_can_be_multiplied():
    optim = config.Optim("sgd", lr=0.1, momentum=0.9)
    before = np.array([1.0, -2.0, 3.0])
    moved = _descend(optim, _GRADIENTS) - before
    twice = dataclasses.replace(optim, lr_factors={"*/bias": 2.0, "a/*": 0.5})
    factors = np.array([0.5, 0.5, 2.0])  # the first pattern that fits counts
    np.testing.assert_allclose(
        _descend(twice, _GRADIENTS) - before, factors * moved, rtol=1e-5
    )
    nowhere = dataclasses.replace(optim, lr_factors={"head/*": 10.0})
    with pytest.raises(errors.UserError, match=r"'head/\*', which fits no parameter"):
        _descend(nowhere, _GRADIENTS)


def test_adamw_decay_is_decoupled_from_the_moments():
    plain = config.Optim("adamw", lr=0.1)
    decayed = dataclasses.replace(plain, weight_decay=0.5, no_decay=())
    x = np.array([1.0, -2.0, 3.0])
    one = _GRADIENTS[:1]
    want = _descend(plain, one) - 0.1 * 0.5 * x
    np.testing.assert_allclose(_descend(decayed, one), want, rtol=1e-5)


def test_clipping_bounds_the_global_norm():
    optim = config.Optim("sgd", lr=1.0, momentum=0.0, clip_norm=0.5)
    moved = _descend(optim, _GRADIENTS[:1]) - np.array([1.0, -2.0, 3.0])
    assert np.linalg.norm(moved) == pytest.approx(0.5, rel=1e-5)


def test_projected_parameters_stop_at_0_and_move_freely_above():
    optim = config.Optim("sgd", lr=1.0, momentum=0.0, nonnegative=("*/beta",))
    params = {"crf": {"beta": jnp.array([0.5, 2.0]), "bias": jnp.array([0.5])}}
    grads = {"crf": {"beta": jnp.array([3.0, 0.5]), "bias": jnp.array([3.0])}}
    tx = optimiser.make_optimiser(optim, 10)
    updates, _ = tx.update(grads, tx.init(params), params)
    found = optax.apply_updates(params, updates)["crf"]
    np.testing.assert_array_equal(found["beta"], [0.0, 1.5])
    np.testing.assert_array_equal(found["bias"], [-2.5])


def test_a_projection_of_nothing_is_refused():
    optim = config.Optim(nonnegative=("gamma",))
    tx = optimiser.make_optimiser(optim, 10)
    params = {"beta": jnp.ones(1)}
    with pytest.raises(errors.UserError, match="'gamma', which fits no parameter"):
        tx.update(params, tx.init(params), params)
