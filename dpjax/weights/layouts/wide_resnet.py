"""The wide ResNets in three codes: the authors' MXNet, and two families of PyTorch.

The ports number the units of a level from 1, or not at all; none has a level B1.
Weights of in-place ABN itself belong to another function (absolute scales, leaky
rectification) under the same names: only those of plain normalisation are for our nets.
"""

from dpjax.weights import renaming

_MOST_UNITS = 6  # in a level of a network that was published in these codes

# jiwoon-ahn/psa and YudeWang/SEAM, after the authors' names; they have no classifier.
_BRANCHES = {
    "bn_branch2a": "bn_a",
    "conv_branch2a": "conv_a",
    "bn_branch2b1": "bn_b",
    "conv_branch2b1": "conv_b",
    "bn_branch2b2": "bn_c",
    "conv_branch2b2": "conv_c",
    "conv_branch1": "proj",
}
_PSA = {
    r"conv1a": r"backbone/conv1a",
    r"bn7": r"backbone/bn_out",
    **{rf"b(\d)\.{n}": rf"backbone/b\1_0/{ours}" for n, ours in _BRANCHES.items()},
    **{
        rf"b(\d)_(\d+)\.{n}": rf"backbone/b\1_\2/{ours}"
        for n, ours in _BRANCHES.items()
    },
}

# mapillary/inplace_abn; NVIDIA's normalisation is the first module of a sequence.
_BLOCK = {
    r"bn1(?:\.0)?": "bn_a",
    r"convs\.conv1": "conv_a",
    r"convs\.bn2(?:\.0)?": "bn_b",
    r"convs\.conv2": "conv_b",
    r"convs\.bn3(?:\.0)?": "bn_c",
    r"convs\.conv3": "conv_c",
    r"proj_conv": "proj",
}
_INPLACE_ABN = {
    r"mod1\.conv1": r"backbone/conv1a",
    r"bn_out(?:\.0)?": r"backbone/bn_out",
    r"classifier\.fc": r"head/fc",
    **{
        rf"mod(\d)\.block{i + 1}\.{n}": rf"backbone/b\1_{i}/{ours}"
        for i in range(_MOST_UNITS)
        for n, ours in _BLOCK.items()
    },
}

# itijyou/ademxapp, the authors': units 2a, 2b1, 2b2, ...
_ADEMXAPP = {
    r"conv1a": r"backbone/conv1a",
    r"bn7": r"backbone/bn_out",
    r"linear\d+": r"head/fc",
}
for _kind, _branch, _ours in (
    ("bn", "2a", "bn_a"),
    ("res", "2a", "conv_a"),
    ("bn", "2b1", "bn_b"),
    ("res", "2b1", "conv_b"),
    ("bn", "2b2", "bn_c"),
    ("res", "2b2", "conv_c"),
    ("res", "1", "proj"),
):
    _ADEMXAPP[rf"{_kind}(\d)a_branch{_branch}"] = rf"backbone/b\1_0/{_ours}"
    _ADEMXAPP[rf"{_kind}(\d)b(\d+)_branch{_branch}"] = rf"backbone/b\1_\2/{_ours}"
_MXNET_NAME = r"(?:arg:|aux:)?(.*?)_(weight|bias|gamma|beta|moving_mean|moving_var)"

_FCN = {**_ADEMXAPP, r"conv6a": r"decoder/conv", r"linear\d+": r"decoder/head"}

LAYOUTS = {
    "ademxapp": renaming.Layout(_ADEMXAPP, ignored=(), name=_MXNET_NAME),
    "psa": renaming.Layout(_PSA),
    "inplace_abn": renaming.Layout(_INPLACE_ABN),
}
FCN_LAYOUTS = {
    "ademxapp": renaming.Layout(_FCN, ignored=(), name=_MXNET_NAME),
}
