"""`python -m dpjax convert`: weights of other frameworks as ours.

python -m dpjax convert rednet30 model.pth -o name.safetensors --option stride=2
python -m dpjax convert resnet50 resnet50.pth -o name.safetensors
python -m dpjax convert refinenet101 port.pth -o name.safetensors --config voc.py
python -m dpjax convert fcrn_resnet50 fcrn.pth -o name.safetensors \
    --option interleaving=exchanged variant=v1.5
"""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro
from flax import linen as nn
from flax import traverse_util

from dpjax import config, errors, tasks
from dpjax.cli import experiments
from dpjax.models import zoo
from dpjax.ops import depth_bins as binning
from dpjax.tasks import (
    classification,
    depth,
    depth_bins,
    relative_depth,
    restoration,
    segmentation,
    superpixel_depth,
)
from dpjax.weights import (
    grey_stems,
    importers,
    layouts,
    matching,
    renaming,
    store,
)

_DECODER = "*decoder/*"  # its statistics, too
_LAST = "decoder/head/"  # the arrays of the last layer
_LARGER_FOR_NEARER = "KexianHust/Structure-Guided-Ranking-Loss"
# What depth networks give under the names of public code.
_PUBLISHED = {
    "XPFly1989/FCRN": depth.Depth(loss="berhu", unit="metres", size=(228, 304)),
    "KexianHust/Structure-Guided-Ranking-Loss": relative_depth.RelativeDepth(
        loss="sgr", upsampling="align_corners", size=(448, 448)
    ),
}
_RANGE_M = (0.7, 10.0)  # of the bins of a fresh head, until a run says another


@dataclasses.dataclass(frozen=True)
class Options:
    """Writes weights of PyTorch, or arrays of other frameworks, as ours with a card.

    No code of the file is run.  Networks that classify are read under the names of
    timm, torchvision and the public wide ResNets, those that score every pixel or give
    its depth under the names of their public code.  A network for pixels may also start
    from a classifier on its backbone: --skip "*decoder/*".  A last rectification, which
    some implementations of RED-Net have, is left out: pictures are clipped anyway.

    Depth over superpixels starts from what sees the image: CNN-F for dcnf, whose arrays
    are called conv1.weight to fc8.bias.

    Attributes:
        model: name of the network, as `python -m dpjax list` shows it.
        source: .pth or .pt of torch.save, .safetensors, or .npz; for weights of MXNet
            or Caffe an .npz of their arrays under their names (for a RED-Net conv1_w,
            conv1_b or conv1/0, conv1/1).
        output: the .safetensors file to write.
        option: options of the network, as NAME=VALUE; the channels of a RED-Net follow
            from the file.
        config: config file whose task the weights serve; default is denoising,
            classification or segmentation of classes without names, or depth in the
            unit that the public code gives, logarithms of metres if it starts fresh;
            relative depth for redweb_* with one number. Bins that were trained want
            it, for their range.
        skip: arrays that start fresh instead, as patterns such as "head/*" where the
            number of classes differs; training can start from such weights, nothing
            else takes them.
        grey: the file is of a network that sees one grey channel, minus MEAN, divided
            by DEVIATION, for images in [0, 1]; ours gives its scores on grey images,
            and takes colours too. ImageNet's are often 0.449 0.226.
        farther: the numbers of a network for relative depth are larger for what is
            farther already. Those of the release of ReDWeb's authors are larger for
            what is nearer, so that the last layer changes its sign without this.
        transposed: exchange height and width of the kernels, for networks trained with
            MATLAB's Caffe.
        half: store 16 bits a number.
        licence: of the weights, for the card.
    """

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    option: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    skip: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PATTERN")] = ()
    grey: Annotated[
        tuple[float, float] | None, tyro.conf.arg(metavar="MEAN DEVIATION")
    ] = None
    farther: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    transposed: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    half: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    licence: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None


def main(arguments: Sequence[str]) -> int:
    """Converts one file and says what it became.

    Args:
        arguments: what was typed after `convert`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: an unknown model or option, or weights of another network.
        DataError: a file that is damaged, or holds something else.
        StorageError: the result cannot be written.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax convert")
    chosen = dict(map(_parse, options.option))
    zoo.create_module(options.model, **chosen)  # a misspelt name comes before the file
    arrays = importers.read_arrays(options.source)
    others = (*zoo.list_segmenters(), *zoo.list_depth_networks())
    others += (*zoo.list_disparity_networks(), *zoo.list_superpixel_networks())
    read = _scorer if options.model in (*zoo.list_backbones(), *others) else _restorer
    variables, task = read(arrays, chosen, options)
    fresh = matching.skipped(variables, options.skip)
    if options.config is not None:
        wanted = experiments.read_config(options.config).task
        if task in _PUBLISHED.values() and not fresh:
            wanted.check_trained(task)
        task = wanted
    card = {
        "name": options.output.stem,
        "model": config.encode(config.Model(options.model, chosen)),
        "task": config.encode(task),
        "config": None,
        "scores": [],
        "trained_on": f"unknown: converted from {options.source.name}",
        "source_sha256": _sha256(options.source),
        "fresh": fresh,
        "grey": options.grey,
        "licence": options.licence,
    }
    card = store.save(options.output, variables, card, half=options.half)
    count = sum(array.size for array in jax.tree.leaves(variables["params"]))
    print(
        f"{options.output}: {options.model}, {count:,} parameters, sha256 "
        f"{card['sha256'][:12]}"
    )
    if fresh:
        print(f"fresh, to be trained (--init-from): {', '.join(fresh)}")
    return 0


def _restorer(
    arrays: Mapping[str, np.ndarray], chosen: dict[str, Any], options: Options
) -> tuple[Any, tasks.Task]:
    """Variables of a RED-Net, whose channels become one of the chosen options."""
    if options.skip:
        raise errors.UserError(
            f"--skip is for networks with a head, got it for {options.model}. Leave it "
            "out."
        )
    if options.grey is not None:
        raise errors.UserError(
            f"--grey is for networks of three channels, got it for {options.model}. "
            "Leave it out: its channels follow from the file."
        )
    variables = importers.rednet_variables(arrays, transposed=options.transposed)
    channels = variables["params"]["conv1"]["kernel"].shape[2]
    chosen.setdefault("channels", channels)
    module = zoo.create_module(options.model, **chosen)
    store.check_matches(
        variables,
        module,
        name=str(options.source),
        network=str(config.Model(options.model, chosen)),
        advice=_advice,
    )
    return variables, restoration.Restoration(space="rgb" if channels == 3 else "gray")


def _scorer(
    arrays: Mapping[str, np.ndarray], chosen: dict[str, Any], options: Options
) -> tuple[Any, tasks.Task]:
    """Variables of a backbone and what scores on it, fresh where they are skipped."""
    if options.transposed:
        raise errors.UserError(
            f"--transposed is for RED-Nets of MATLAB's Caffe, got it for "
            f"{options.model}. Leave it out."
        )
    module, fresh = zoo.create_model(options.model, **chosen)
    names = layouts.of(module)
    skip = options.skip
    told = {
        "skip": skip,
        "name": str(options.source),
        "network": str(config.Model(options.model, chosen)),
    }
    try:
        layout, variables = renaming.read(arrays, module, names, **told)
    except errors.DataError as error:
        if _is_backbone(arrays, module, names, skip):
            raise errors.DataError(
                f"{error}\nThe file is of a classifier on the same backbone: --skip "
                f'"{_DECODER}" takes that alone, for training to start from.'
            ) from error
        raise
    _warn(options.model, chosen, layout, names[layout].options)
    if options.grey is not None:
        variables = grey_stems.spread(variables, module, *options.grey)
    store.check_matches(variables, module, advice=_advice, **told)
    count = {**zoo.list_options(options.model), **chosen}.get("num_classes")
    is_whole = not matching.is_skipped(f"{_LAST}kernel", skip)
    is_nearer = layout == _LARGER_FOR_NEARER and count == 1 and not options.farther
    if is_nearer and is_whole:
        variables = _negated(variables)
        print(
            f"note: {layout} learned disparity, larger for what is nearer; the signs "
            f"of {_LAST} are changed, so that ours is larger for what is farther",
            file=sys.stderr,
        )
    variables = matching.merge(variables, jax.device_get(fresh), skip=skip)
    if layout in _PUBLISHED and count == 1:
        return variables, _PUBLISHED[layout]
    if zoo.is_structured(module):
        return variables, superpixel_depth.SuperpixelDepth()
    if options.model not in (*zoo.list_backbones(), *zoo.list_segmenters()):
        return variables, _depth_task(module, count, options)
    if module.is_dense:
        upsampling = "align_corners" if module.align_corners else "half_pixel"
        return variables, segmentation.Segmentation(upsampling=upsampling)
    side = zoo.published_side(options.model)
    return variables, classification.Classification(side=side)


def _negated(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The same network, which gives the negative of its numbers."""
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    changed = {k: -v if k.startswith(_LAST) else v for k, v in flat.items()}
    return {**variables, "params": traverse_util.unflatten_dict(changed, sep="/")}


def _depth_task(module: nn.Module, count: int, options: Options) -> tasks.Task:
    """What the numbers of a network for depth are for."""
    if count == 1 and options.model not in zoo.list_depth_networks("redweb_*"):
        return depth.Depth(size=tuple(getattr(module, "image_size", ())))
    upsampling = "align_corners" if module.align_corners else "half_pixel"
    if count == 1:
        return relative_depth.RelativeDepth(upsampling=upsampling)
    if not options.skip and options.config is None:
        raise errors.UserError(
            f"{options.source} does not tell which depths its {count} scores mean. "
            "Pass --config FILE, an experiment of depth by bins with their range."
        )
    bins = binning.Bins(*_RANGE_M, count)
    return depth_bins.DepthBins(bins=bins, upsampling=upsampling)


def _is_backbone(
    arrays: Mapping[str, np.ndarray],
    module: nn.Module,
    names: Mapping[str, renaming.Layout],
    skip: Sequence[str],
) -> bool:
    """Whether nothing but the decoder of a network for pixels is missing."""
    if not module.is_dense or _DECODER in skip:
        return False
    try:
        renaming.read(arrays, module, names, skip=(*skip, _DECODER))
    except errors.DataError:
        return False
    return True


def _warn(
    model: str, chosen: Mapping[str, Any], layout: str, implied: Mapping[str, Any]
) -> None:
    """Tells where the code that names arrays so computes something else."""
    ours = {**zoo.list_options(model), **chosen}
    others = {k: v for k, v in implied.items() if ours.get(k, v) != v}
    if others:
        words = " ".join(f"{k}={str(v).lower()}" for k, v in others.items())
        print(
            f"warning: the code with these names, {layout}, has other options; to "
            f"compute what it does: --option {words}",
            file=sys.stderr,
        )


def _advice(difference: matching.Difference) -> str:
    """What to change on the command line."""
    text = "Name the network that the file was made for, with its options"
    pairs = list(
        zip(difference.given.values(), difference.wanted.values(), strict=True)
    )
    if len(difference.folders) != 1 or not all(a and b for a, b in pairs):
        return text + "."
    (folder,) = difference.folders
    if "head" in folder.split("/"):
        text += (
            f", as in --option num_classes={pairs[0][0][-1]}; or give it a fresh, "
            f'untrained head: --skip "{folder}"'
        )
    elif all((a[2:3], b[2:3]) == ((1,), (3,)) for a, b in pairs):
        text += (
            "; or, if that sees grey images, say how it standardises them: --grey MEAN "
            "DEVIATION"
        )
    return text + "."


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise errors.UserError(f"--option wants NAME=VALUE, got {text!r}.")
    try:
        return name, json.loads(value.lower() if value in ("True", "False") else value)
    except ValueError:
        return name, value
