"""Whether weights are about to be scored on pictures that they were trained on."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from dpjax import config, errors
from dpjax.data import identity, sources


def check(
    trained_by: config.Experiment | None, data: config.Data
) -> dict[str, Any] | None:
    """Raises if a picture that is to be scored was trained on.

    Training sources that are not prepared on this machine cannot be compared; they are
    named in the result.

    Args:
        trained_by: the experiment that made the weights, None if it is not known.
        data: `evaluate` names the sources, `allow_overlap` those that are not checked,
            `directory` where prepared records live; `train` is not used.

    Returns:
        What a receipt says about it: "allowed" sources, training sources that were
        "checked", and why others are "unchecked"; None if nothing is known.

    Raises:
        DataError: shared pictures that are not allowed.
        UserError: `allow_overlap` names something that is not evaluated.
    """
    if trained_by is None:
        return None
    checked, unchecked = [], {}
    for name in trained_by.data.train:
        try:
            sources.open_sources([name], role="train", directory=data.directory)
            checked.append(name)
        except errors.DpjaxError as error:
            unchecked[name] = str(error)
    identity.check_disjoint(
        dataclasses.replace(data, train=tuple(checked)), is_trained=True
    )
    return {
        "allowed": list(data.allow_overlap),
        "checked": checked,
        "unchecked": unchecked,
    }


def scaled_by(card: Mapping[str, Any], data: config.Data) -> list[str]:
    """Returns which sources belong to splits that deviations were scaled by.

    Args:
        card: of the weights.
        data: `evaluate` names the sources.

    Returns:
        Their names; empty where `calibrate` was not used. Parts of a split that do not
        meet are named as well: this knows names only.
    """
    scaled = card.get("calibration", {}).get("data", {})
    splits = {name.partition("[")[0] for name in scaled}
    return [name for name in data.evaluate if name.partition("[")[0] in splits]
