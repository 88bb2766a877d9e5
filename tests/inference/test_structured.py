"""Networks that take a dict of arrays: batched over devices, checked by name."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.inference import engines, memory, structured


class Weighted(nn.Module):
    """A linear map of every pixel, summed over the pixels of each region."""

    def example_inputs(self):
        return {
            "image": jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32),
            "regions": jax.ShapeDtypeStruct((1, 4, 4), jnp.int32),
        }

    @nn.compact
    def __call__(self, inputs, train=False):
        values = nn.Dense(2)(inputs["image"])
        one_hot = jax.nn.one_hot(inputs["regions"], 3)
        sums = jnp.einsum("bhwn,bhwc->bnc", one_hot, values)
        return {"sums": sums, "count": one_hot.sum((1, 2))}


def _example(seed, size=(4, 5)):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.random((*size, 3), np.float32),
        "regions": rng.integers(0, 3, size, np.int32),
    }


@pytest.fixture(scope="module")
def network():
    module = Weighted()
    return module, module.init(
        jax.random.key(0), {k: v[None] for k, v in _example(0).items()}
    )


@pytest.mark.parametrize("devices", [1, 8])
def test_examples_of_mixed_sizes_come_back_in_their_order(network, devices):
    module, variables = network
    engine = engines.open_engine(module, variables, devices=jax.devices()[:devices])
    assert isinstance(engine, structured.StructuredEngine)
    examples = [_example(i, (4, 5) if i % 3 else (6, 4)) for i in range(11)]
    found = list(engine.map(iter(examples)))
    assert engine.compilations == 2
    kernel, bias = (
        np.asarray(variables["params"]["Dense_0"][k], np.float64)
        for k in ("kernel", "bias")
    )
    for example, got in zip(examples, found, strict=True):
        values = example["image"] @ kernel + bias
        for region in range(3):
            inside = example["regions"] == region
            np.testing.assert_allclose(
                got["sums"][region], values[inside].sum(0), rtol=1e-5, atol=1e-5
            )
            assert got["count"][region] == inside.sum()


@pytest.mark.parametrize(
    ("budget", "calls"),
    [
        (None, [4, 4]),  # a call of 6 examples, the last with two lanes filled up
        (4.5, [4, 4]),
        (2.5, [2, 2, 2]),
        (1.5, [1] * 6),
    ],
)
def test_a_budget_bounds_how_many_run_together(network, budget, calls, monkeypatch):
    module, variables = network
    examples = [_example(i) for i in range(6)]
    one = memory.bytes_of_call(
        module, variables, {k: v[None] for k, v in examples[0].items()}
    )
    engine = structured.StructuredEngine(
        module,
        variables,
        memory_bytes=budget and int(budget * one),
        max_batch=4,
        devices=jax.devices()[:1],
    )
    seen, apply = [], engine._apply

    def watched(variables, batch):
        seen.append(len(batch["image"]))
        return apply(variables, batch)

    monkeypatch.setattr(engine, "_apply", watched)
    found = list(engine.map(examples))
    assert seen == calls
    alone = structured.StructuredEngine(module, variables, devices=jax.devices()[:1])
    for example, got in zip(examples, found, strict=True):
        np.testing.assert_allclose(got["sums"], alone(example)["sums"], rtol=1e-6)


def test_one_example_runs_whatever_it_takes_unless_a_budget_forbids_it(
    network, monkeypatch
):
    module, variables = network
    engine = engines.open_engine(module, variables, memory_bytes=100)
    with pytest.raises(errors.UserError, match=r"sees an image as a whole.*Allow more"):
        engine(_example(0))
    engine = structured.StructuredEngine(module, variables, max_batch=4)
    monkeypatch.setattr(memory, "available", lambda device: 100)
    assert engine(_example(0))["count"].sum() == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.pop("regions"), r"wants \['image', 'regions'\], got \['image'\]"),
        (lambda e: e.update(edges=e["regions"]), r"got \['edges', 'image', 'regions'"),
        (
            lambda e: e.update(regions=e["regions"].astype(np.int64)),
            "'regions' of rank 2 and type int32, got .* of int64",
        ),
        (
            lambda e: e.update(image=e["image"][None]),
            "'image' of rank 3 and type float32",
        ),
    ],
)
def test_what_does_not_fit_is_named(network, change, message):
    engine = engines.open_engine(*network)
    example = _example(0)
    change(example)
    with pytest.raises(errors.UserError, match=message):
        engine(example)


def test_an_image_alone_and_an_ensemble_are_refused(network):
    engine = engines.open_engine(*network)
    with pytest.raises(errors.UserError, match=r"got <class 'numpy\.ndarray'>"):
        engine(_example(0)["image"])
    with pytest.raises(errors.UserError, match="Leave the ensemble out"):
        engines.open_engine(*network, ensemble=True)
