"""PyTorch files are read without PyTorch, and nothing in them is run."""

import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from dpjax import errors
from dpjax.weights import importers, torch_files

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

FORMS = [True, False]  # the zip of torch 1.6 and later, and the row of pickles before


def state():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(6, 5, generator=generator)
    return collections.OrderedDict(
        plain=base,
        view=base[1:4, ::2],  # offset and strides into the same storage
        transposed=base.t(),
        double=base.double(),
        half=base.half(),
        brain=base.bfloat16(),
        count=torch.tensor(7),
        whole=torch.arange(4, dtype=torch.int32),
        flags=torch.tensor([True, False]),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(base[0].clone()),
    )


@pytest.mark.parametrize("is_zip", FORMS)
def test_every_kind_of_tensor_is_read(tmp_path, is_zip):
    want = state()
    path = tmp_path / "m.pth"
    torch.save(want, path, _use_new_zipfile_serialization=is_zip)
    got = torch_files.read(path)
    assert list(got) == list(want)
    for name, tensor in want.items():
        tensor = tensor.detach()
        assert got[name].shape == tuple(tensor.shape), name
        if name == "brain":
            assert got[name].dtype.name == "bfloat16"
            got[name], tensor = got[name].astype(np.float32), tensor.float()
        np.testing.assert_array_equal(got[name], tensor.numpy(), err_msg=name)
        assert got[name].dtype == tensor.numpy().dtype, name


@pytest.mark.parametrize("is_zip", FORMS)
@pytest.mark.parametrize("key", ["state_dict", "params", "model"])
def test_a_wrapped_state_dict_is_found(tmp_path, is_zip, key):
    network = torch.nn.Conv2d(1, 2, 3)
    wrapped = {key: network.state_dict(), "epoch": 3, "note": "x", "lr": [0.1, None]}
    torch.save(wrapped, tmp_path / "m.pt", _use_new_zipfile_serialization=is_zip)
    got = torch_files.read(tmp_path / "m.pt")
    np.testing.assert_array_equal(got["weight"], network.weight.detach().numpy())


class Bomb:
    """Writes a file when unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("is_zip", FORMS)
def test_foreign_code_is_named_and_not_run(tmp_path, is_zip):
    target = tmp_path / "exploded"
    path = tmp_path / "evil.pth"
    content = {"weight": torch.ones(2), "extra": Bomb(target)}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(errors.DataError, match=r"evil\.pth holds .*\.system") as caught:
        importers.read_arrays(path)
    assert "Nothing was run" in str(caught.value)
    assert not target.exists()
    with path.open("rb"):
        torch.load(path, weights_only=False)  # the bomb itself works
    assert target.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "builtins getattr",
        "os system",
        "posix system",
        "subprocess Popen",
        "numpy.core.multiarray _reconstruct",
        "torch._utils _rebuild_device_tensor_from_numpy",
        "torch load",
        "collections defaultdict",
        "dpjax.weights.torch_files read",
    ],
)
def test_only_tensors_and_ordered_dicts_have_names(tmp_path, name):
    path = tmp_path / "evil.pth"
    module, attribute = name.split()
    pickled = f"c{module}\n{attribute}\n.".encode()
    path.write_bytes(pickled)
    with pytest.raises(errors.DataError, match=rf"{module}\.{attribute}"):
        torch_files.read(path)


def archive(path, pickled, storage=b"\0" * 16):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/data.pkl", pickled)
        file.writestr("m/data/0", storage)


class Reference:
    """Stands for a storage of so many numbers of a kind, in the file "0"."""

    def __init__(self, count=4, kind=torch.FloatStorage):
        self.pid = ("storage", kind, "0", "cpu", count)


class Rebuilt:
    """A call of PyTorch's function for tensors, with any arguments."""

    def __init__(self, storage, offset, size, stride):
        hooks = collections.OrderedDict()
        self.arguments = (storage, offset, size, stride, False, hooks)

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class Numbers:
    """The numbers of a tensor as a tuple, by the class that sizes have."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return torch.Size, (self.tensor,)


def pickled(value):
    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            return value.pid if isinstance(value, Reference) else None

    out = io.BytesIO()
    Writer(out, 2).dump({"weight": value})
    return out.getvalue()


def tensor_pickle(offset, size, stride, count=4):
    """A state dict with one tensor whose numbers may be lies."""
    return pickled(Rebuilt(Reference(count), offset, size, stride))


def test_an_honest_handmade_tensor_is_read(tmp_path):
    path = tmp_path / "m.pth"
    archive(path, tensor_pickle(0, (2, 2), (2, 1)), np.arange(4, dtype="<f4").tobytes())
    got = torch_files.read(path)["weight"]
    np.testing.assert_array_equal(got, [[0, 1], [2, 3]])


@pytest.mark.parametrize(
    ("offset", "size", "stride", "count"),
    [
        (0, (3, 2), (2, 1), 4),  # past the end
        (3, (2,), (1,), 4),
        (-1, (2,), (1,), 4),  # before the beginning
        (3, (2,), (-3,), 4),
        (0, (1 << 40,), (0,), 4),  # one number, expanded over the memory
        (0, (2, 2), (1,), 4),
        (0, (4,), (1,), 1 << 40),  # more numbers than bytes
        (0, ("a",), (1,), 4),
    ],
)
def test_tensors_that_reach_beyond_their_numbers_are_refused(
    tmp_path, offset, size, stride, count
):
    path = tmp_path / "m.pth"
    archive(path, tensor_pickle(offset, size, stride, count))
    with pytest.raises(errors.DataError, match=r"m\.pth is damaged"):
        torch_files.read(path)


def test_a_tensor_is_no_storage_of_another(tmp_path):
    path = tmp_path / "m.pth"
    many = 1 << 20
    # As many as there are, all of them the last; then as many steps beyond it.
    inner = Rebuilt(Reference(many), many - 1, (many,), (0,))
    archive(path, pickled(Rebuilt(inner, 0, (many,), (1,))), b"\0" * (4 * many))
    with pytest.raises(errors.DataError, match="something else than numbers"):
        torch_files.read(path)


def test_sizes_that_would_wrap_around_are_refused(tmp_path):
    path = tmp_path / "m.pth"
    step = (1 << 62) + (1 << 40)  # twice of it is negative in 64 bits
    stride = Numbers(Rebuilt(Reference(4, torch.LongStorage), 0, (1,), (1,)))
    lie = Rebuilt(Reference(4, torch.LongStorage), 0, (3,), stride)
    archive(path, pickled(lie), np.full(4, step, "<i8").tobytes())
    with pytest.raises(errors.DataError, match="something else than int"):
        torch_files.read(path)


@pytest.mark.parametrize(
    "build",
    [
        # BUILD with (None, {"_function": 0}) on the rebuild function.
        b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x09\x00\x00\x00_functionK\x00s\x86b.",
        # BUILD with (None, {"numbers": 0}) on a storage.
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
        b"N}X\x07\x00\x00\x00numbersK\x00s\x86b.",
    ],
)
def test_a_pickle_cannot_change_what_it_may_call_or_read(tmp_path, build):
    path = tmp_path / "m.pth"
    archive(path, b"\x80\x02" + build)
    with pytest.raises(errors.DataError, match="may not change"):
        torch_files.read(path)


@pytest.mark.parametrize("is_zip", FORMS)
def test_damaged_files_are_named(tmp_path, is_zip):
    path = tmp_path / "m.pth"
    torch.save(state(), path, _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    for keep in [0, 1, 10, 100, len(whole) // 2, len(whole) - 200]:
        path.write_bytes(whole[:keep])
        with pytest.raises(errors.DataError, match=r"m\.pth is damaged"):
            torch_files.read(path)


def test_flipped_bytes_raise_only_errors_for_users(tmp_path):
    path = tmp_path / "m.pth"
    weight = {"weight": torch.ones(2, 2)}
    torch.save(weight, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(whole))[:300]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            torch_files.read(path)
        except errors.DataError as error:
            assert "m.pth" in str(error)  # noqa: PT017


@pytest.mark.parametrize("value", [[torch.ones(2)], {"a": 3}, torch.ones(2), "text"])
def test_what_is_no_state_dict_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "m.pth")
    with pytest.raises(errors.DataError, match="holds no state dict"):
        torch_files.read(tmp_path / "m.pth")


def test_reading_needs_no_torch(tmp_path):
    torch.save({"weight": torch.ones(3)}, tmp_path / "m.pth")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from dpjax.weights import torch_files\n"
        f"print(torch_files.read({str(tmp_path / 'm.pth')!r})['weight'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "3.0", done.stderr
