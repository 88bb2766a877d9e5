"""FCRN: the public PyTorch port, on torchvision's ResNet."""

from dpjax.weights import renaming
from dpjax.weights.layouts import resnet


def _rules() -> dict[str, str]:
    rules = {
        r"conv2": r"decoder/reduce",
        r"bn2": r"decoder/bn_reduce",
        r"up(\d)\.bn1_1": r"decoder/up\1/bn1",
        r"up(\d)\.conv3": r"decoder/up\1/conv2",
        r"up(\d)\.bn2": r"decoder/up\1/bn2",
        r"up(\d)\.bn1_2": r"decoder/up\1/bn_proj",
        r"conv3": r"decoder/head",
    }
    for i, part in enumerate("abcd", 1):
        rules[rf"up(\d)\.conv1_{i}"] = rf"decoder/up\1/conv1_{part}"
        rules[rf"up(\d)\.conv2_{i}"] = rf"decoder/up\1/conv_proj_{part}"
    backbone = {
        name: path
        for name, path in resnet.LAYOUTS["torchvision"].rules.items()
        if path.startswith("backbone/")
    }
    return {**rules, **backbone}


LAYOUTS = {
    "XPFly1989/FCRN": renaming.Layout(
        _rules(), options={"interleaving": "exchanged", "variant": "v1.5"}
    ),
}
