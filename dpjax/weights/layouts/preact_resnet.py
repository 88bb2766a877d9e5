"""Pre-activation ResNets of timm, where they are called ResNetV2.

A stem that is normalised has the name that timm's class gives it, though none of its
named networks has one together with pre-activation.
"""

from dpjax.weights import renaming

# timm counts stages from 0.
_STAGES = {
    rf"stages\.{stage}\.blocks\.(\d+)\.{there}": rf"backbone/layer{stage + 1}_\1/{here}"
    for stage in range(4)
    for there, here in (
        (r"norm(\d)", r"bn\2"),
        (r"conv(\d)", r"conv\2"),
        (r"downsample\.conv", r"conv_proj"),
    )
}

LAYOUTS = {
    "timm": renaming.Layout(
        {
            r"stem\.conv": r"backbone/conv1",
            r"stem\.norm": r"backbone/bn1",
            **_STAGES,
            r"norm": r"backbone/bn_out",
            r"head\.fc": r"head/fc",
        }
    ),
}
