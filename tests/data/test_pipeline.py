"""The stream is a pure function of (seed, position), however it is read."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

from dpjax import config, errors
from dpjax.data import pipeline, sources, transforms

DATA = config.Data(("photos",), ("photos",), crop=(16, 16), batch_size=6)


@pytest.fixture(scope="module")
def photos():
    return sources.open_sources(["photos"], cache_bytes=1 << 26)


def crop(record, rng):
    """A typical transform; at module level, so that workers can unpickle it."""
    image = transforms.random_crop(record["image"], (16, 16), rng=rng, margin=2)
    return {**transforms.random_dihedral({"image": image}, rng), "draw": rng.random()}


def take(source, count, *, data=DATA, **options):
    with pipeline.train_stream(source, crop, data=data, seed=7, **options) as stream:
        return [next(stream) for _ in range(count)]


def same(first, second):
    return len(first) == len(second) and all(
        a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
        for a, b in zip(first, second, strict=True)
    )


def test_batches_follow_the_definition(photos):
    """Record permutation(epoch)[i % n], seen with default_rng([seed, i])."""
    order = pipeline.Order(len(photos), 7)
    batches = take(photos, 6)  # 36 positions: more than two epochs of 16
    position = 0
    for batch in batches:
        assert batch["image"].shape == (6, 20, 20, 3)
        assert batch["image"].dtype == np.uint8
        assert batch["position"].dtype == np.int32
        assert batch["valid"].dtype == bool
        assert batch["valid"].all()
        for row in range(6):
            record = photos[int(order[position])]
            wanted = crop(record, np.random.default_rng([7, position]))
            np.testing.assert_array_equal(batch["image"][row], wanted["image"])
            assert batch["draw"][row] == wanted["draw"]
            assert batch["position"][row] == position
            position += 1


@pytest.mark.parametrize("length", [1, 2, 5, 16, 1000])
def test_every_epoch_is_a_permutation(length):
    order = pipeline.Order(length, 3)
    epochs = [[order[e * length + i] for i in range(length)] for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(length))
    if length > 4:
        assert epochs[0] != epochs[1] != epochs[2]
        assert [pipeline.Order(length, 4)[i] for i in range(length)] != epochs[0]


def test_neighbouring_seeds_are_not_one_epoch_apart():
    first, second = pipeline.Order(50, 0), pipeline.Order(50, 1)
    assert [first[50 + i] for i in range(50)] != [second[i] for i in range(50)]


@pytest.mark.parametrize("step", [1, 3, 7])
def test_resume_at_any_step(photos, step):
    whole = take(photos, step + 3)
    assert same(take(photos, 3, start=step * 6), whole[step:])


def test_a_far_position_draws_no_epoch_before_it(photos, monkeypatch):
    start = 10**9 - 10**9 % 6
    draw, drawn = np.random.default_rng, []

    def listen(seed):
        drawn.append(list(seed))
        return draw(seed)

    monkeypatch.setattr(np.random, "default_rng", listen)
    batch = take(photos, 1, start=start)[0]
    epochs = {seed[1] for seed in drawn if len(seed) == 3}  # (seed, epoch, length)
    assert start // 16 in epochs
    assert min(epochs) == start // 16
    assert batch["position"][0] == start
    record = photos[pipeline.Order(16, 7)[start]]
    wanted = crop(record, np.random.default_rng([7, start]))
    np.testing.assert_array_equal(batch["image"][0], wanted["image"])


@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_each_global_batch(photos, count):
    whole = take(photos, 5, start=12)
    parts = [
        take(photos, 5, start=12, process_index=p, process_count=count)
        for p in range(count)
    ]
    for step, batch in enumerate(whole):
        for name, array in batch.items():
            shares = [part[step][name] for part in parts]
            np.testing.assert_array_equal(np.concatenate(shares), array)


def test_threads_and_workers_do_not_change_the_stream(photos):
    wanted = take(photos, 5)
    assert same(take(photos, 5, data=dataclasses.replace(DATA, threads=4)), wanted)
    assert same(take(photos, 5, data=dataclasses.replace(DATA, workers=1)), wanted)


def test_cache_does_not_change_the_stream(photos):
    assert same(take(photos.with_cache(0), 3), take(photos, 3))


def test_a_set_smaller_than_the_batch_goes_round():
    two = sources.open_sources(["photos:test-coffee"])
    batch, order = take(two, 1)[0], pipeline.Order(2, 7)
    records = [order[i] for i in range(6)]
    assert [set(records[i : i + 2]) for i in (0, 2, 4)] == [{0, 1}] * 3
    for i, number in enumerate(records):
        wanted = crop(two[number], np.random.default_rng([7, i]))
        np.testing.assert_array_equal(batch["image"][i], wanted["image"])


def test_a_stream_closes_once_and_for_all(photos):
    stream = pipeline.train_stream(photos, crop, data=DATA, seed=0)
    next(stream)
    before = threading.active_count()
    stream.close()
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
    for _ in range(100):
        if threading.active_count() < before:
            break
        time.sleep(0.02)
    assert threading.active_count() < before


def test_wrong_sizes_are_refused(photos):
    def start(data=DATA, **options):
        return pipeline.train_stream(photos, crop, data=data, seed=0, **options)

    with pytest.raises(errors.UserError, match="multiple of the 4 processes, got 6"):
        start(process_count=4)
    with pytest.raises(errors.UserError, match="batch size 6, got 8"):
        start(start=8)
    with pytest.raises(errors.UserError, match="0 or more, got -1"):
        pipeline.train_stream(photos, crop, data=DATA, seed=-1)
    with pytest.raises(errors.UserError, match=r"--data\.threads 0"):
        start(dataclasses.replace(DATA, threads=0))


def _fail(record, rng):
    raise errors.DataError(f"{record['id']} is bad")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_record_arrives_as_a_data_error(photos, workers):
    data = dataclasses.replace(DATA, workers=workers)
    with (
        pipeline.train_stream(photos, _fail, data=data, seed=0) as stream,
        pytest.raises(errors.DataError, match="is bad"),
    ):
        next(stream)


def test_prefetch_keeps_the_order_and_runs_ahead():
    put = []

    def transfer(batch):
        put.append(batch)
        return batch * 10

    prefetch = pipeline.device_prefetch(iter(range(5)), transfer, size=2)
    assert next(prefetch) == 0
    assert put == [0, 1, 2]
    assert list(prefetch) == [10, 20, 30, 40]


def test_prefetch_counts_the_time_it_waits_for_batches_alone(monkeypatch):
    now = [0.0]  # a clock that only the pipeline and the transfer below turn
    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(pipeline, "time", clock)

    def host():
        for seconds in (3.0, 0.0, 2.0):
            now[0] += seconds
            yield seconds

    def transfer(batch):
        now[0] += 100.0
        return batch

    prefetch = pipeline.device_prefetch(host(), transfer, size=0)
    waited = [prefetch.waited_s for _ in prefetch]
    assert waited == [3.0, 3.0, 5.0]


def test_prefetch_closes_the_pipeline(photos):
    stream = pipeline.train_stream(photos, crop, data=DATA, seed=0)
    prefetch = pipeline.device_prefetch(stream, lambda batch: batch)
    next(prefetch)
    prefetch.close()
    with pytest.raises(StopIteration):
        next(prefetch)


_PROGRAM = """
import sys
from dpjax import config
from dpjax.data import pipeline, sources
def image(record, rng):
    return {"image": record["image"][:8, :8]}
if __name__ == "__main__":
    data = config.Data(("photos",), ("photos",), batch_size=4, workers=int(sys.argv[1]))
    source = sources.open_sources(["photos"])
    stream = pipeline.train_stream(source, image, data=data, seed=0)
    kept = [next(stream) for _ in range(3)]
    for name in ("tensorflow", "torch"):
        assert name not in sys.modules, name
    print("done")
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_program_ends_without_noise_and_without_tensorflow(photos, tmp_path, workers):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    result = subprocess.run(
        [sys.executable, str(program), workers],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"
    assert result.stderr == ""
