"""Inception-v4 and Inception-ResNet-v2 of timm."""

from collections.abc import Mapping

from dpjax.weights import renaming

# The modules in a block there, and their names in ours.
_PARTS = {
    r"\.(conv|bn)": r"/\2",
    r"\.(branch\d)\.(conv|bn)": r"/\2_0/\3",
    r"\.(branch\d)\.(\d)\.(conv|bn)": r"/\2_\3/\4",
    r"\.(branch\d_\d[ab]?)\.(conv|bn)": r"/\2/\3",
    r"\.conv2d": r"/conv_up",
}


def _rules(blocks: Mapping[str, str]) -> dict[str, str]:
    """Rules for every part of the blocks, whose patterns have one group each."""
    return {
        block + part: f"backbone/{ours}{inside}"
        for block, ours in blocks.items()
        for part, inside in _PARTS.items()
    }


V4 = {
    "timm": renaming.Layout(
        {
            # Two blocks of the stem are a pooling and one convolution.
            r"features\.3\.conv\.(conv|bn)": r"backbone/features_3/branch1_0/\1",
            r"features\.5\.conv\.(conv|bn)": r"backbone/features_5/branch0_0/\1",
            **_rules({r"features\.(\d+)": r"features_\1"}),
            r"last_linear": r"head/fc",
        }
    ),
}
RESNET_V2 = {
    "timm": renaming.Layout(
        {
            **_rules(
                {
                    r"(conv2d_\d[ab]|mixed_\d[ab])": r"\1",
                    r"repeat\.(\d+)": r"block35_\1",
                    r"repeat_1\.(\d+)": r"block17_\1",
                    r"repeat_2\.(\d+)": r"block8_\1",
                    r"(block8)": r"\1_last",
                }
            ),
            r"classif": r"head/fc",
        }
    ),
}
