"""DeepLab: LargeFOV on VGG16, and v2 on a ResNet.

The first as the authors named the layers of their Caffe network, the second as
kazuto1011/deeplab-pytorch does: its layer1 is the stem, it counts units from 1, and
what it trains on several sizes of an image is called "base" there.
"""

from dpjax.weights import renaming

_UNITS = (3, 4, 23, 3)  # of the largest network that was published so
_PARTS = {"reduce": "1", "conv3x3": "2", "increase": "3", "shortcut": "_proj"}

LARGE_FOV = {
    "caffe": renaming.Layout(
        {
            r"(conv\d_\d)": r"backbone/\1",
            r"(fc[67])": r"decoder/\1",
            r"fc8(?:_\w+)?": r"decoder/head",  # fc8_voc12
        }
    ),
}

LAYOUTS = {
    "deeplab-pytorch": renaming.Layout(
        {
            r"(?:base\.)?layer1\.conv1\.conv": r"backbone/conv1",
            r"(?:base\.)?layer1\.conv1\.bn": r"backbone/bn1",
            **{
                rf"(?:base\.)?layer{stage + 1}\.block{i + 1}\.{part}\.(conv|bn)": (
                    rf"backbone/layer{stage}_{i}/\g<1>{ours}"
                )
                for stage, count in enumerate(_UNITS, 1)
                for i in range(count)
                for part, ours in _PARTS.items()
            },
            r"(?:base\.)?aspp\.c(\d)": r"decoder/head_\1",
        }
    ),
}
