"""RefineNet of DrSleep's two repositories: full, light, and light on MobileNet-v2.

Their ResNet is torchvision's.  The full and the light network share their names, in
which levels and blocks are counted from the coarsest.
"""

from dpjax.weights import renaming
from dpjax.weights.layouts import resnet

_FIRST = "_conv"  # convolution of a residual unit
_SECOND = "_conv_relu_varout_dimred"
# The parts of a unit of MobileNet-v2.
_PARTS = ("expand", "depth", "project")
# What layers 3 to 8 of that network are for the decoder.
_PATHS = ("stride4", "stride8", "stride16_0", "stride16_1", "stride32_0", "stride32_1")


def _on_resnet() -> dict[str, str]:
    there = r"mflow_conv_g(\d)"
    rules = {
        **resnet.LAYOUTS["torchvision"].rules,
        rf"{there}_pool\.0\.(\d)_outvar_dimred": r"decoder/block\1/chain/conv\2",
        rf"{there}_b\.0\.(\d){_FIRST}": r"decoder/block\1/unit\2/conv1",
        rf"{there}_b\.0\.(\d){_SECOND}": r"decoder/block\1/unit\2/conv2",
        r"clf_conv": r"decoder/head",
    }
    for level, stride in enumerate((32, 16, 8, 4), 1):
        path, block, end = f"stride{stride}", f"decoder/block{level}", "varout_dimred"
        there = rf"adapt_stage{level}_b"
        rules |= {
            rf"p_ims1d2_outl{level}_dimred": f"decoder/{path}/reduce",
            rf"{there}\.0\.(\d){_FIRST}": rf"decoder/{path}/unit\1/conv1",
            rf"{there}\.0\.(\d){_SECOND}": rf"decoder/{path}/unit\1/conv2",
            rf"{there}2_joint_{end}": f"{block}/fuse_{path}",
            # Named after the block that it leaves.
            rf"mflow_conv_g{level - 1}_b3_joint_{end}": f"{block}/fuse_previous",
        }
    return rules


def _on_mobilenet() -> dict[str, str]:
    """Its first layer is the stem; a convolution and its normalisation are a pair."""
    rules = {
        r"layer1\.0": r"backbone/conv_stem",
        r"layer1\.1": r"backbone/bn_stem",
        r"segm": r"decoder/head",
    }
    for stage in range(1, 8):
        for i, part in enumerate(_PARTS):
            there = rf"layer{stage + 1}\.(\d)\.output\.{i}"
            rules[rf"{there}\.0"] = rf"backbone/layer{stage}_\1/conv_{part}"
            rules[rf"{there}\.1"] = rf"backbone/layer{stage}_\1/bn_{part}"
    for layer, path in enumerate(_PATHS, 3):
        rules[rf"conv{layer}"] = f"decoder/{path}/reduce"
    for block, there in enumerate((4, 3, 2, 1), 1):  # counted from the finest
        chain = f"decoder/block{block}/chain"
        rules[rf"crp{there}\.0\.(\d)_outvar_dimred"] = rf"{chain}/conv\1"
        rules[rf"conv_adapt{there + 1}"] = f"decoder/block{block}/fuse_previous"
    return rules


LAYOUTS = {
    "refinenet-pytorch": renaming.Layout(_on_resnet()),
    "light-weight-refinenet's MobileNet": renaming.Layout(_on_mobilenet()),
}
