"""Imported weights give the outputs of the network they were made for."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import importers, store


def caffe_arrays(half=5, width=4, channels=1, seed=0, names="{}{}_{}", leaves="wb"):
    """Random arrays of a network in the layout of Caffe."""
    rng = np.random.default_rng(seed)
    sizes = [channels] + [width] * half
    arrays = {}
    for i in range(half):
        conv = rng.normal(0, 0.2, (sizes[i + 1], sizes[i], 3, 3))
        deconv = rng.normal(0, 0.2, (sizes[half - i], sizes[half - i - 1], 3, 3))
        for kind, kernel, out in (
            ("conv", conv, sizes[i + 1]),
            ("deconv", deconv, sizes[half - i - 1]),
        ):
            arrays[names.format(kind, i + 1, leaves[0])] = kernel
            arrays[names.format(kind, i + 1, leaves[1])] = rng.normal(0, 0.1, out)
    return arrays


def reference(arrays, x, half):
    """The network by its definition in float64: gather, scatter-add, no skips."""
    y = x.astype(np.float64).transpose(2, 0, 1)
    for i in range(1, half + 1):
        w, b = arrays[f"conv{i}_w"], arrays[f"conv{i}_b"]
        padded = np.pad(y, [(0, 0), (1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        y = np.maximum(np.einsum("ihwab,oiab->ohw", windows, w) + b[:, None, None], 0)
    for i in range(1, half + 1):
        w, b = arrays[f"deconv{i}_w"], arrays[f"deconv{i}_b"]
        _, height, width = y.shape
        full = np.zeros((w.shape[1], height + 2, width + 2))
        for a in range(3):
            for c in range(3):
                part = np.einsum("ihw,io->ohw", y, w[:, :, a, c])
                full[:, a : a + height, c : c + width] += part
        y = full[:, 1:-1, 1:-1] + b[:, None, None]
        y = np.maximum(y, 0) if i < half else y
    return x + y.transpose(1, 2, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_caffe_arrays_give_the_scatter_add_network(tmp_path, channels):
    arrays = caffe_arrays(channels=channels)
    np.savez(tmp_path / "w.npz", **arrays)
    variables = importers.rednet_variables(importers.read_arrays(tmp_path / "w.npz"))
    module = zoo.create_module("rednet10", widths=4, channels=channels)
    store.check_matches(variables, module)
    x = np.random.default_rng(1).random((9, 11, channels)).astype(np.float32)
    got = module.apply(variables, x[None])[0]
    want = reference(arrays, x, 5)
    assert np.abs(want - x).max() > 0.05  # the layers do something
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_transposed_kernels_see_the_transposed_image():
    arrays = caffe_arrays()
    module = zoo.create_module("rednet10", widths=4)
    x = np.random.default_rng(1).random((1, 9, 11, 1)).astype(np.float32)
    plain = module.apply(importers.rednet_variables(arrays), x.swapaxes(1, 2))
    turned = module.apply(importers.rednet_variables(arrays, transposed=True), x)
    np.testing.assert_allclose(turned, plain.swapaxes(1, 2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "leaves", "first"),
    [
        ("{}{}_{}", "wb", 1),
        ("{}{}/{}", "01", 1),
        ("{}{}.{}", ("weight", "bias"), 1),
        ("module.{}{}.{}", ("weight", "bias"), 1),
        ("{}_layers.{}.0.{}", ("weight", "bias"), 0),
        ("{}_layers.{}.{}", ("weight", "bias"), 0),
        ("net.{}s.{}.{}", ("weight", "bias"), 0),
    ],
)
def test_layers_are_found_by_their_usual_names(names, leaves, first):
    plain = caffe_arrays()
    kinds = {"w": leaves[0], "b": leaves[1]}
    renamed = {}
    for name, array in plain.items():
        layer, leaf = name.split("_")
        kind = layer.rstrip("0123456789")
        number = int(layer.removeprefix(kind)) - 1 + first
        renamed[names.format(kind, number, kinds[leaf])] = array
    want = importers.rednet_variables(plain)["params"]
    got = importers.rednet_variables(renamed)["params"]
    assert got.keys() == want.keys()
    for name in want:
        for leaf in ("kernel", "bias"):
            np.testing.assert_array_equal(got[name][leaf], want[name][leaf])
            assert got[name][leaf].dtype == np.float32


def test_biases_of_old_caffe_have_four_axes():
    arrays = caffe_arrays()
    arrays["conv1_b"] = arrays["conv1_b"].reshape(1, 1, 1, -1)
    assert importers.rednet_variables(arrays)["params"]["conv1"]["bias"].shape == (4,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("conv3_b"), r"no RED-Net: conv3/bias missing"),
        (lambda a: a.pop("deconv5_w"), r"deconv5/kernel missing"),
        (lambda a: [a.pop("conv2_w"), a.pop("conv2_b")], r"conv2/kernel, conv2/bias"),
        (lambda a: a.update(conv6_w=a["conv2_w"]), r"conv6/kernel"),
        (lambda a: a.update(bn1_mean=np.ones(3)), r"1 of 21 .* not part .*: bn1_mean"),
        (
            lambda a: a.update(conv2_w=np.ones((4, 4, 5, 5))),
            r"conv2_w .*\[4, 4, 5, 5\]",
        ),
        (lambda a: a.update(conv2_w=np.ones((4, 36))), r"conv2_w .*\[4, 36\]"),
        (lambda a: a.clear(), "no RED-Net"),
    ],
)
def test_other_networks_are_refused_with_the_layer(change, message):
    arrays = caffe_arrays()
    change(arrays)
    with pytest.raises(errors.DataError, match=message):
        importers.rednet_variables(arrays)


def test_arrays_are_read_from_safetensors(tmp_path):
    arrays = {k: v.astype(np.float32) for k, v in caffe_arrays().items()}
    (tmp_path / "w.safetensors").write_bytes(safetensors_numpy.save(arrays))
    got = importers.read_arrays(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(got["conv2_w"], arrays["conv2_w"])


def test_every_type_of_safetensors_is_read(tmp_path):
    values = np.array([[0.5, 2, 0], [1, 3, 96]])
    names = {
        "BF16": jnp.bfloat16,
        "F8_E4M3": jnp.float8_e4m3fn,
        "F8_E5M2": jnp.float8_e5m2,
        **{"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?"},
        **{"I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"},
        **{"U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"},
    }
    header, data = {}, b""
    for name, dtype in names.items():  # by the format, without its library
        raw = values.astype(dtype).tobytes()
        place = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": name, "shape": [2, 3], "data_offsets": place}
        data += raw
    text = json.dumps(header).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    got = importers.read_arrays(path)
    for name, dtype in names.items():
        assert got[name].dtype == np.dtype(dtype), name
        np.testing.assert_array_equal(got[name], values.astype(dtype), err_msg=name)


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.params", r"a file of MXNet.*asnumpy"), ("a.caffemodel", r"Caffe.*_\{w\}")],
)
def test_files_of_other_frameworks_are_told_how_to_become_arrays(
    tmp_path, name, message
):
    (tmp_path / name).write_bytes((0x112).to_bytes(8, "little") + b"\0" * 8)
    with pytest.raises(errors.UserError, match=message):
        importers.read_arrays(tmp_path / name)


def test_objects_in_an_npz_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "w.npz", conv1_w=np.array([{"a": 1}], object))
    with pytest.raises(errors.DataError, match=r"w\.npz .*objects"):
        importers.read_arrays(tmp_path / "w.npz")


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"x" * 100])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.DataError, match=name):
        importers.read_arrays(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(errors.UserError, match=r"w\.pth does not exist"):
        importers.read_arrays(tmp_path / "w.pth")
