"""Which networks, and which CRFs on them, give the numbers that a task wants."""

import fnmatch

from dpjax import config, errors
from dpjax.models import zoo

_STRENGTHS = "crf/beta"  # see `models.strengths`


def check(model: config.Model, count: int, *, task: str, meaning: str) -> None:
    """Raises unless a network gives every pixel as many numbers as a task wants.

    Args:
        model: the network.
        count: numbers for each pixel.
        task: what is learned, which begins the message.
        meaning: the numbers in words, such as "one number".

    Raises:
        UserError: a network of another kind, or with other numbers.
    """
    known = zoo.list_depth_networks()
    if model.name not in known:
        raise errors.UserError(
            f"{task} wants a network that gives {meaning} for every pixel, got "
            f"{model.name}. Choose one of {', '.join(known)}."
        )
    options = {**zoo.list_options(model.name), **model.options}
    given = options.get("num_classes", 1)
    if given != count:
        raise errors.UserError(
            f"{task} is {meaning} for every pixel, the network gives {given}. Pass "
            f"--model.options.num-classes {count}."
        )


def check_crf(model: config.Model, known: tuple[str, ...], *, because: str) -> None:
    """Raises if a network ends in a CRF that joins something else.

    Args:
        model: the network.
        known: the CRFs that fit, besides none.
        because: what is wrong with others, a sentence with a place for the CRF.

    Raises:
        UserError: another CRF.
    """
    options = {**zoo.list_options(model.name), **model.options}
    crf, known = options.get("crf", "none"), ("none", *known)
    if crf not in known:
        raise errors.UserError(
            f"{because.format(repr(crf))} Choose one of {', '.join(known)} for "
            "--model.options.crf."
        )


def check_strengths(experiment: config.Experiment) -> None:
    """Raises if an update could take the strengths of a CRF below 0, where it is none.

    Args:
        experiment: the run.

    Raises:
        UserError: strengths that neither the CRF nor the optimiser keeps at 0 or above.
    """
    model, patterns = experiment.model, experiment.optim.nonnegative
    options = {**zoo.list_options(model.name), **model.options}
    has_crf = options.get("crf", "none") != "none"
    if not has_crf or options.get("pairwise") != "projected":
        return
    if not any(fnmatch.fnmatch(_STRENGTHS, pattern) for pattern in patterns):
        raise errors.UserError(
            'The CRF has pairwise="projected", so an update has to keep its strengths '
            f"at 0 or above: --optim.nonnegative {_STRENGTHS}. Or choose "
            "--model.options.pairwise softplus."
        )
