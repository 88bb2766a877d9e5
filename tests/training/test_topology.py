"""Compilation for TPU slices that are not here; needs libtpu, `make test-tpu`."""

import dataclasses
import pathlib

import pytest

from dpjax import errors
from dpjax.cli import experiments
from dpjax.training import plan, topology

pytest.importorskip("libtpu", reason="needs the TPU compiler: make test-tpu")
pytestmark = pytest.mark.tpu

CONFIGS = sorted(pathlib.Path(__file__).parents[2].glob("configs/*/*.py"))


@pytest.mark.parametrize(
    ("name", "count", "gib"), [("v5e:4x4", 16, 16), ("v5p:2x4x4", 32, 95)]
)
def test_slices_have_their_chips(name, count, gib):
    devices = topology.slice_devices(name)
    assert len(devices) == count
    assert topology.chip_of(devices[0]).memory_bytes == gib * 2**30


@pytest.mark.parametrize("name", ["v5e-16", "v5e:3x3", "nonsense:2x2", "v5e"])
def test_an_unknown_slice_shows_how_to_write_one(name):
    with pytest.raises(errors.UserError, match="such as v5e:4x4"):
        topology.slice_devices(name)


def test_more_memory_than_a_chip_has_is_refused_with_the_compilers_figures():
    experiment = experiments.read_config(str(_config("demo")))
    data = dataclasses.replace(experiment.data, batch_size=4, crop=(3072, 3072))
    experiment = dataclasses.replace(experiment, data=data)
    with pytest.raises(errors.UserError, match=r"does not fit.*[\d.]+G.*(HBM|hbm)"):
        plan.make_plan(experiment, "v5e:2x2")


def test_the_demo_fits_sixteen_chips():
    found = plan.make_plan(experiments.read_config(str(_config("demo"))), "v5e:4x4")
    assert found.devices == 16
    assert 0 < found.memory_bytes < 0.1 * found.capacity_bytes
    assert 1e-5 < found.estimated_s < 0.1
    assert 0 < found.share_of_peak < 1


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["v5e:4x4", "v5p:2x4x4"])
def test_every_config_fits_a_pod(path, name):
    experiment = experiments.read_config(str(path))
    chips = len(topology.slice_devices(name))
    batch_size = max(experiment.data.batch_size, chips)  # an example on each, at least
    data = dataclasses.replace(experiment.data, batch_size=batch_size)
    found = plan.make_plan(dataclasses.replace(experiment, data=data), name)
    assert found.memory_bytes < found.capacity_bytes


def _config(stem):
    return next(path for path in CONFIGS if path.stem == stem)
