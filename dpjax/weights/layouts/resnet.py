"""ResNet-50, 101 and 152 of torchvision, and of timm, which kept the names."""

from dpjax.weights import renaming

LAYOUTS = {
    "torchvision": renaming.Layout(
        {
            r"(conv1|bn1)": r"backbone/\1",
            r"(layer\d)\.(\d+)\.((?:conv|bn)\d)": r"backbone/\1_\2/\3",
            r"(layer\d)\.(\d+)\.downsample\.0": r"backbone/\1_\2/conv_proj",
            r"(layer\d)\.(\d+)\.downsample\.1": r"backbone/\1_\2/bn_proj",
            r"fc": r"head/fc",
        },
        options={
            "input_style": "imagenet",
            "variant": "v1.5",
            "pool_pad": "symmetric",
        },
    ),
}
