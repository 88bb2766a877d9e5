"""MobileNet-v2 of torchvision and timm."""

from dpjax.weights import renaming


def _torchvision() -> dict[str, str]:
    """Its units are counted through, and so are the layers in each."""
    rules, place = {}, 1
    for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1), 1):
        for i in range(count):
            here, there = f"backbone/layer{stage}_{i}", rf"features\.{place}\.conv\."
            names = ("depth", "project") if stage == 1 else _NAMES
            for j, name in enumerate(names[:-1]):
                rules[rf"{there}{j}\.0"] = f"{here}/conv_{name}"
                rules[rf"{there}{j}\.1"] = f"{here}/bn_{name}"
            rules[rf"{there}{len(names) - 1}"] = f"{here}/conv_project"
            rules[rf"{there}{len(names)}"] = f"{here}/bn_project"
            place += 1
    return rules


def _timm() -> dict[str, str]:
    """Its stages are counted from 0; the first expands nothing, so 1x1 comes second."""
    rules = {}
    for stage in range(7):
        there = rf"blocks\.{stage}\.(\d+)\."
        here = rf"backbone/layer{stage + 1}_\1/"
        names = ("depth", "project") if stage == 0 else _NAMES
        convolutions = ("dw", "pw") if stage == 0 else ("pw", "dw", "pwl")
        for i, name in enumerate(names):
            rules[rf"{there}conv_{convolutions[i]}"] = f"{here}conv_{name}"
            rules[rf"{there}bn{i + 1}"] = f"{here}bn_{name}"
    return rules


_NAMES = ("expand", "depth", "project")

LAYOUTS = {
    "torchvision": renaming.Layout(
        {
            r"features\.0\.0": r"backbone/conv_stem",
            r"features\.0\.1": r"backbone/bn_stem",
            **_torchvision(),
            r"features\.18\.0": r"head/conv",
            r"features\.18\.1": r"head/bn",
            r"classifier\.1": r"head/linear/fc",
        }
    ),
    "timm": renaming.Layout(
        {
            r"conv_stem": r"backbone/conv_stem",
            r"bn1": r"backbone/bn_stem",
            **_timm(),
            r"conv_head": r"head/conv",
            r"bn2": r"head/bn",
            r"classifier": r"head/linear/fc",
        }
    ),
}
