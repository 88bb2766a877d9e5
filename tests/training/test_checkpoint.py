"""Checkpoints: what is restored is what was saved, or it is named and put aside."""

import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from dpjax import errors
from dpjax.training import checkpoint, parallel


def _devices(count):
    mesh = Mesh(
        np.array(jax.devices()[:count]), ("batch",), axis_types=(AxisType.Auto,)
    )
    return parallel.Parallel("pmap", mesh)


def _state(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "step": jnp.int32(seed),
        "params": {"kernel": jnp.asarray(rng.normal(size=(64, 65)), jnp.float32)},
        "half": jnp.asarray(rng.normal(size=7), jnp.bfloat16),
        "empty": {},
    }


def _written(folder, steps=(1, 2, 3)):
    store = checkpoint.Checkpoints(folder, keep_last=3, best_is_high=True)
    for step in steps:
        store.save(step, _state(step), {"position": step}, float(step))
    store.wait()
    store.close()


def _like():
    return jax.eval_shape(lambda: _state())


def _largest_file(folder):
    files = [p for p in folder.rglob("*") if p.is_file()]
    return max(files, key=lambda p: p.stat().st_size)


@pytest.mark.parametrize("devices", [1, 4])
def test_restored_state_is_the_saved_one_on_any_device_count(tmp_path, devices):
    _written(tmp_path)
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    found = store.restore(_like(), _devices(devices))
    store.close()
    assert (found.step, found.meta["position"]) == (3, 3)
    chex.assert_trees_all_equal(found.state, _state(3), strict=True)  # types too


def test_a_save_of_small_arrays_compiles_nothing(tmp_path, caplog):
    state = jax.device_put(_state(), _devices(8).replicated)
    store = checkpoint.Checkpoints(tmp_path, keep_last=1, best_is_high=True)
    with jax.log_compiles():
        store.save(1, state, {}, None)
        store.wait()
    store.close()
    assert "ompil" not in caplog.text


def test_a_large_array_is_written_by_all_devices_and_restored(tmp_path, caplog):
    large = np.random.default_rng(0).random((8 * 2**18, 1), np.float32)  # 8 MiB
    devices = _devices(8)
    state = jax.device_put({"kernel": large}, devices.replicated)
    store = checkpoint.Checkpoints(tmp_path, keep_last=1, best_is_high=True)
    with jax.log_compiles():
        store.save(1, state, {}, None)
        store.wait()
    assert "slice" in caplog.text
    found = store.restore(state, devices)
    store.close()
    np.testing.assert_array_equal(found.state["kernel"], large)


def test_flipped_byte_is_found_named_and_the_older_one_used(tmp_path, caplog):
    _written(tmp_path)
    file = _largest_file(tmp_path / "3" / "state")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(data)
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    found = store.restore(_like(), _devices(1))
    assert found.step == 2
    assert "Checkpoint 3" in caplog.text
    assert (tmp_path / "damaged" / "3").is_dir()
    store.save(3, _state(3), {"position": 3}, None)  # the number is free again
    store.wait()
    assert store.restore(_like(), _devices(1)).step == 3
    store.close()


def test_truncated_and_missing_pieces_fall_back(tmp_path):
    _written(tmp_path)
    os.truncate(_largest_file(tmp_path / "3" / "state"), 100)
    _largest_file(tmp_path / "2" / "state").unlink()
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    assert store.restore(_like(), _devices(1)).step == 1
    store.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"position"', '"posit1on"'),
        ('"fingerprint"', '"fingerprimt"'),
        ("float32", "float31"),
        ('"best": 3.0', '"best": 9.0'),
        ("{", ""),
    ],
)
def test_what_a_checkpoint_says_about_itself_is_guarded_too(tmp_path, old, new):
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    for step in (1, 2, 3):
        meta = {"position": step, "best": float(step)}
        store.save(step, _state(step), meta, float(step))
    store.wait()
    store.close()
    file = tmp_path / "3" / "meta" / "metadata"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    assert store.restore(_like(), _devices(1)).step == 2
    store.close()
    assert (tmp_path / "damaged" / "3").is_dir()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"sc0re": 2.0}', b"missing"])
def test_a_damaged_score_is_written_again(tmp_path, content):
    _written(tmp_path)
    file = tmp_path / "3" / "metrics" / "metrics"
    sound = file.read_bytes()
    if content == b"missing":
        file.unlink()
    else:
        file.write_bytes(content)
    store = checkpoint.Checkpoints(tmp_path, keep_last=1, best_is_high=True)
    assert store.restore(_like(), _devices(1)).step == 3
    assert file.read_bytes() == sound
    # It is still the best: the next, poorer ones do not push it out.
    for step in (4, 5):
        store.save(step, _state(step), {"position": step}, 0.0)
        store.wait()
    store.close()
    assert {p.name for p in tmp_path.iterdir() if p.name.isdigit()} == {"3", "5"}


def test_a_changed_score_does_not_make_another_checkpoint_the_best(tmp_path):
    _written(tmp_path)
    (tmp_path / "1" / "metrics" / "metrics").write_bytes(b'{"score": 99.0}')
    store = checkpoint.Checkpoints(tmp_path, keep_last=1, best_is_high=True)
    store.save(4, _state(4), {"position": 4}, 0.0)
    store.wait()
    store.close()
    assert {p.name for p in tmp_path.iterdir() if p.name.isdigit()} == {"3", "4"}


def test_all_damaged_is_an_error_that_names_the_folder(tmp_path):
    _written(tmp_path, steps=(1,))
    os.truncate(_largest_file(tmp_path / "1" / "state"), 10)
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    for _ in range(2):  # the second start must not begin anew in silence
        with pytest.raises(
            errors.StorageError, match=r"Every checkpoint in .* is damaged"
        ):
            store.restore(_like(), _devices(1))
    assert (tmp_path / "1").is_dir()
    store.close()


def test_a_state_of_other_arrays_is_refused_and_nothing_moved(tmp_path):
    _written(tmp_path)
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    like = {**_like(), "half": jax.ShapeDtypeStruct((9,), jnp.bfloat16)}
    with pytest.raises(errors.UserError, match=r"bfloat16\[7\] in the checkpoint"):
        store.restore(like, _devices(1))
    store.close()
    assert not (tmp_path / "damaged").exists()
    assert {p.name for p in tmp_path.iterdir()} >= {"1", "2", "3"}


@pytest.mark.parametrize("best_is_high", [True, False])
def test_best_and_newest_are_kept(tmp_path, best_is_high):
    store = checkpoint.Checkpoints(tmp_path, keep_last=2, best_is_high=best_is_high)
    scores = [1.0, 5.0, 2.0, None, 3.0]
    if not best_is_high:
        scores = [s and -s for s in scores]
    for step, score in enumerate(scores, 1):
        store.save(step, _state(step), {}, score)
        store.wait()
    store.close()
    assert {int(p.name) for p in tmp_path.iterdir() if p.name.isdigit()} == {2, 4, 5}


def test_leftover_of_a_killed_save_is_cleared(tmp_path):
    _written(tmp_path, steps=(1,))
    (tmp_path / "2.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "2.orbax-checkpoint-tmp" / "half").write_bytes(b"x")
    store = checkpoint.Checkpoints(tmp_path, keep_last=3, best_is_high=True)
    assert store.restore(_like(), _devices(1)).step == 1
    store.close()
    assert not (tmp_path / "2.orbax-checkpoint-tmp").exists()


def test_fingerprint_sees_every_bit_and_every_place():
    x = np.random.default_rng(0).normal(size=64).astype(np.float32)
    whole = checkpoint.fingerprint({"x": jnp.asarray(x)})
    for place in range(0, 64, 7):
        for bit in range(32):
            changed = x.copy()
            changed.view(np.uint32)[place] ^= np.uint32(1 << bit)
            assert checkpoint.fingerprint({"x": jnp.asarray(changed)}) != whole
    swapped = x.copy()
    swapped[[3, 9]] = swapped[[9, 3]]
    assert checkpoint.fingerprint({"x": jnp.asarray(swapped)}) != whole


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8", "bool"])
def test_fingerprint_is_the_sums_in_whole_numbers(kind, monkeypatch):
    # Older checkpoints carry these, and long arrays are summed piece by piece.
    monkeypatch.setattr(checkpoint, "_CHUNK", 10)
    x = np.random.default_rng(0).integers(-2, 3, (5, 7)).astype(jnp.dtype(kind))
    words = x.ravel().view(f"u{x.dtype.itemsize}").tolist()
    one, two = 0x9E3779B1, 0x85EBCA6B
    first = sum(w * (2 * i + 1) * one for i, w in enumerate(words))
    second = sum(w * (2 * i + 1) * two for i, w in enumerate(words)) % 2**32
    high = sum((w >> 16) * (i + two) for i, w in enumerate(words)) % 2**32
    (found,) = checkpoint.fingerprint({"x": jnp.asarray(x)}).values()
    assert found == [first % 2**32, second ^ high]


def test_fingerprint_does_not_depend_on_the_placement():
    form = _devices(8)
    spread = form.create(lambda: _state(4))
    assert checkpoint.fingerprint(spread) == checkpoint.fingerprint(_state(4))
