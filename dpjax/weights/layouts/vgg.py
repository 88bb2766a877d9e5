"""VGG16 of torchvision and timm, with and without batch normalisation."""

from dpjax.weights import renaming


def features(has_norm: bool) -> dict[str, str]:
    """Returns the rules of the convolutions: both count also layers without weights.

    Args:
        has_norm: whether batch normalisations are among the layers.

    Returns:
        Rules of a `renaming.Layout`.
    """
    rules, place = {}, 0
    for stage, count in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, count + 1):
            rules[rf"features\.{place}"] = f"backbone/conv{stage}_{i}"
            if has_norm:
                rules[rf"features\.{place + 1}"] = f"backbone/bn{stage}_{i}"
            place += 3 if has_norm else 2
        place += 1
    return rules


_TORCHVISION = {
    r"classifier\.0": r"head/fc6",
    r"classifier\.3": r"head/fc7",
    r"classifier\.6": r"head/fc8",
}
_TIMM = {
    r"pre_logits\.fc1": r"head/fc6",
    r"pre_logits\.fc2": r"head/fc7",
    r"head\.fc": r"head/fc8",
}

LAYOUTS = {
    f"{name}{'_bn' if has_norm else ''}": renaming.Layout(
        {**features(has_norm), **heads}, options={"input_style": "imagenet"}
    )
    for name, heads in (("torchvision", _TORCHVISION), ("timm", _TIMM))
    for has_norm in (False, True)
}
