"""The wide ResNets in four codes: the authors' MXNet, and three of PyTorch.

The ports number the units of a level from 1, or not at all; none has a level B1.
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


def _wider(norm: str) -> dict[str, str]:
    """Rules where the name of a normalisation ends so."""
    block = {
        rf"bn1{norm}": "bn_a",
        r"convs\.conv1": "conv_a",
        rf"convs\.bn2{norm}": "bn_b",
        r"convs\.conv2": "conv_b",
        rf"convs\.bn3{norm}": "bn_c",
        r"convs\.conv3": "conv_c",
        r"proj_conv": "proj",
    }
    return {
        r"mod1\.conv1": r"backbone/conv1a",
        rf"bn_out{norm}": r"backbone/bn_out",
        r"classifier\.fc": r"head/fc",
        **{
            rf"mod(\d)\.block{i + 1}\.{n}": rf"backbone/b\1_{i}/{ours}"
            for i in range(_MOST_UNITS)
            for n, ours in block.items()
        },
    }


_ABN = (
    "its names are those of mapillary's inplace_abn, whose networks scale by |gamma| + "
    "1e-5 and let 0.01 of what is negative pass, and no network here does. If yours "
    "has plain normalisation and ReLU under these names, give it those of NVIDIA's "
    "code, bn1.0.weight for bn1.weight and so on."
)

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
_AUTHORS = {"pool_pad": "same", "dilate_first": False}

LAYOUTS = {
    "ademxapp": renaming.Layout(
        _ADEMXAPP,
        ignored=(),
        name=_MXNET_NAME,
        options=_AUTHORS,
    ),
    # Its one network is A1.
    "psa": renaming.Layout(_PSA, options={"halving": "conv", "dilate_first": False}),
    # NVIDIA/semantic-segmentation: normalisation is the first module of a sequence.
    "nvidia": renaming.Layout(
        _wider(r"\.0"), options={"pool_pad": "symmetric", "dilate_first": True}
    ),
    "inplace_abn": renaming.Layout(_wider(""), refused=_ABN),
}
FCN_LAYOUTS = {
    "ademxapp": renaming.Layout(_FCN, ignored=(), name=_MXNET_NAME, options=_AUTHORS),
}
