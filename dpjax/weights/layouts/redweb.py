"""ReDWeb's network: the release of its authors with the structure-guided loss.

Our levels are named by their strides, theirs are counted from the finest.
"""

from dpjax.weights import renaming
from dpjax.weights.layouts import resnet

_LEVELS = {0: 4, 1: 8, 2: 16}
_ADAPTATION = {"conv1": "conv1", r"conv_branch\.1": "conv2", r"conv_branch\.2": "bn"}
_ADAPTATION[r"conv_branch\.4"] = "conv3"


def _rules() -> dict[str, str]:
    rules = {
        rf"encoder\.{name}": path
        for name, path in resnet.LAYOUTS["torchvision"].rules.items()
        if path.startswith("backbone/")
    }
    blocks = {r"decoder\.conv": "adapt_coarsest"}
    for level, stride in _LEVELS.items():
        blocks[rf"decoder\.ffm{level}\.ftb1"] = f"adapt_stride{stride}"
        blocks[rf"decoder\.ffm{level}\.ftb2"] = f"fuse_stride{stride}"
    for block, ours in blocks.items():
        for layer, path in _ADAPTATION.items():
            rules[rf"{block}\.{layer}"] = f"decoder/{ours}/{path}"
    outer = {"0": "conv_out", "1": "bn_out", "3": "head"}
    for i, path in outer.items():
        rules[rf"decoder\.outconv\.adapt_conv\.{i}"] = f"decoder/{path}"
    return {**rules, r"decoder\.conv1": "decoder/reduce"}


LAYOUTS = {
    "KexianHust/Structure-Guided-Ranking-Loss": renaming.Layout(
        _rules(), options={"rectifies_shortcut": True, "variant": "v1.5"}
    ),
}
