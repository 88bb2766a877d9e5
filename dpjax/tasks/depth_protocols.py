"""Which pixels of a depth map count, and how a prediction is brought to them.

Published scores of one network differ by the pixels that are compared.  A protocol
fixes the range of true depth, the crop, and the limits that predictions are clamped to;
one prediction can be scored under all of them.

A prediction of another size is enlarged to the truth first, bilinearly between the
centres of pixels, repeating the edge (half-pixel centres, OpenCV's INTER_LINEAR, which
most public evaluators call).  Then it is clamped; +inf becomes the largest depth, NaN
and -inf the smallest.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from dpjax import errors
from dpjax.data import crop_window
from dpjax.metrics import depth as metrics
from dpjax.metrics import depth_calibration, depth_edges
from dpjax.ops import enlarge

Crop = Literal["none", "nyu", "garg", "eigen", "kb"]
Rows = Mapping[str, np.ndarray]

_NYU_SIZE = (480, 640)
_NYU_CROP = (slice(45, 471), slice(41, 601))  # Eigen et al., NIPS 2014
# TFDS calls the 654 images for testing its validation split.
_NYU = ("nyudv2_depth:test", "nyu_depth_v2:validation")
_MAKE3D = ("make3d:test",)
_MAKE3D_SIZE = (460, 345)
KB_SIZE = (352, 1216)  # rows and columns of KITTI's depth benchmark
# First and last row and column as shares of the size; Godard et al., CVPR 2017, their
# evaluation code.
_SHARES = {
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.03594771, 0.96405229),
}
_METRICS = {
    "depth": metrics,
    "calibration": depth_calibration,
    "edges": depth_edges,
}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How depth maps of a set are compared.

    Attributes:
        least: true depth counts above this, metres.
        most: and below this, metres.
        clamp: smallest and largest depth that a prediction may have, metres; None
            leaves predictions as they are, which must then be positive.
        crop: the part of the image that counts; see `window`.
        images: how many the published test set has; 0 if it is no published one.
        published: the sources that are that set.
        size: height and width that the truth is brought to first, by its nearest
            pixels; none keeps its own.
    """

    least: float
    most: float
    clamp: tuple[float, float] | None
    crop: Crop
    images: int
    published: tuple[str, ...] = ()
    size: tuple[int, ...] = ()

    def brought(self, truth: np.ndarray) -> np.ndarray:
        """Returns a map on the grid that is compared on.

        Args:
            truth: of any type, [h, w].

        Returns:
            [*size], or the map itself without a size.
        """
        if not self.size:
            return truth
        places = (
            crop_window.nearest(np.arange(side), side, length)
            for side, length in zip(self.size, truth.shape, strict=True)
        )
        return truth[np.ix_(*places)]

    def seen(self, image: np.ndarray) -> np.ndarray:
        """Returns the part of an image that a network is shown.

        Args:
            image: [h, w, ...].

        Returns:
            The crop of KITTI's depth benchmark, where the protocol has it; else all.

        Raises:
            UserError: see `window`.
        """
        return image[kb_window(image.shape[:2])] if self.crop == "kb" else image

    def placed(self, told: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Returns what a network said of the part that it was shown, at its place.

        Args:
            told: of what `seen` gave, [h', w'].
            size: height and width of the image.

        Returns:
            float64 [*size], NaN outside of that part; the map itself where all was
            shown.
        """
        return pasted(resized(told, KB_SIZE), size) if self.crop == "kb" else told

    def window(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Returns the rows and columns that count.

        Args:
            size: height and width of the truth.

        Returns:
            Half-open ranges; fractions of the size are cut to whole numbers.

        Raises:
            UserError: a size that the crop is not made for.
        """
        h, w = size
        if self.crop == "none":
            return slice(0, h), slice(0, w)
        if self.crop == "kb":
            return kb_window(size)
        if self.crop == "nyu":
            if (h, w) != _NYU_SIZE:
                raise errors.UserError(
                    f"The crop of NYU is made for {_NYU_SIZE[0]} x {_NYU_SIZE[1]} "
                    f"pixels, the true depth has {h} x {w}. Score against maps of "
                    'the original size, or choose the protocol "nyu_full" for the '
                    'published set and "all_pixels" for images of your own.'
                )
            return _NYU_CROP
        top, bottom, left, right = _SHARES[self.crop]
        return slice(int(top * h), int(bottom * h)), slice(
            int(left * w), int(right * w)
        )

    def valid(self, truth: np.ndarray) -> np.ndarray:
        """Returns which pixels count.

        Args:
            truth: metres, [h, w]; 0 where there is no depth.

        Returns:
            bool [h, w].

        Raises:
            UserError: see `window`.
        """
        found = np.zeros(truth.shape, bool)
        place = self.window(truth.shape)
        inner = truth[place]
        found[place] = (inner > self.least) & (inner < self.most)
        return found

    def clamped(self, prediction: np.ndarray) -> np.ndarray:
        """Returns a prediction within the limits.

        Args:
            prediction: metres, any shape.

        Returns:
            float64 of that shape, all finite; the prediction itself without limits.
        """
        if self.clamp is None:
            return np.asarray(prediction, np.float64)
        least, most = self.clamp
        found = np.clip(prediction, least, most)  # infinities as well
        return np.where(np.isnan(found), least, found)


def _kitti() -> dict[str, Protocol]:
    """Two truths, two caps, three crops."""
    found = {}
    # 45 of the 697 images have no accumulated depth.
    for truth, images in (("raw", 697), ("improved", 652)):
        # Garg et al. (ECCV 2016) compare from 1 to 50 metres.
        for cap, least in ((80, 1e-3), (50, 1.0)):
            for crop in ("garg", "eigen", "kb"):
                name = f"kitti_eigen_{truth}_{cap}_{crop}"
                found[name] = Protocol(
                    least, cap, (least, cap), crop, images, ("kitti_eigen:test",)
                )
    return found


PROTOCOLS = {
    "nyu_eigen": Protocol(1e-3, 10, (1e-3, 10), "nyu", 654, _NYU),
    # Laina et al., 3DV 2016: filled depth, all pixels, nothing clamped.
    "nyu_full": Protocol(0, np.inf, None, "none", 654, _NYU),
    **_kitti(),
    # Liu et al., CVPR 2015: C1 leaves out what the scanner saw beyond 70 metres, C2 is
    # the whole image; the scanner reaches 81.  Its 55 x 305 rays are brought to the
    # size of Laina et al.
    "make3d_C1": Protocol(0, 70, (1e-3, 70), "none", 134, _MAKE3D, _MAKE3D_SIZE),
    "make3d_C2": Protocol(0, np.inf, (1e-3, 80), "none", 134, _MAKE3D, _MAKE3D_SIZE),
    # For pictures of no published set.
    "all_pixels": Protocol(0, np.inf, None, "none", 0),
}


def kb_window(size: tuple[int, int]) -> tuple[slice, slice]:
    """Returns the part of a KITTI image that its depth benchmark keeps.

    Args:
        size: height and width of the image.

    Returns:
        The last 352 rows, and 1216 columns in the middle.

    Raises:
        UserError: a smaller image.
    """
    h, w = size
    height, width = KB_SIZE
    if h < height or w < width:
        raise errors.UserError(
            f"The crop of KITTI's benchmark wants at least {height} x {width} pixels, "
            f"got {h} x {w}. Choose a protocol with another crop."
        )
    left = (w - width) // 2
    return slice(h - height, h), slice(left, left + width)


def pasted(prediction: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a prediction for `kb_window` at its place in the whole image.

    Args:
        prediction: metres, [352, 1216].
        size: height and width of the image.

    Returns:
        float64 [*size], NaN outside, which counts as the smallest depth.

    Raises:
        UserError: a prediction of another size, or a smaller image.
    """
    if prediction.shape != KB_SIZE:
        raise errors.UserError(
            f"A prediction for the crop of KITTI's benchmark has {KB_SIZE[0]} x "
            f"{KB_SIZE[1]} pixels, got {list(prediction.shape)}. Resize it first."
        )
    whole = np.full(size, np.nan)
    whole[kb_window(size)] = prediction
    return whole


def resized(depths: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a map at the size of the truth.

    Args:
        depths: any values, [h, w].
        size: height and width of the result.

    Returns:
        float64 [*size]; where a pixel gets a share of infinity it is infinite, where it
        gets a share of NaN it is NaN.

    Raises:
        UserError: no map [h, w].
    """
    if np.ndim(depths) != 2 or not np.size(depths):
        raise errors.UserError(
            f"A depth map is [h, w], got {list(np.shape(depths))}. Take one image and "
            "drop its last axis."
        )
    depths = np.asarray(depths, np.float64)

    def enlarged(x):
        return enlarge.on_host(x[..., None], size, "half_pixel")[..., 0]

    is_finite = np.isfinite(depths)
    if is_finite.all():
        return enlarged(depths)
    # 0 times infinity would make pixels NaN that get no share of it.
    found = enlarged(np.where(is_finite, depths, 0.0))
    for value in (-np.inf, np.inf, np.nan):
        is_value = np.isnan(depths) if np.isnan(value) else depths == value
        found[enlarged(is_value.astype(np.float64)) > 0] = value
    return found


def rows(
    prediction: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
    *,
    deviation: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    has_edges: bool = False,
) -> dict[str, Rows]:
    """Returns what one image leaves for each protocol.

    Args:
        prediction: metres, [h', w'].
        truth: metres, [h, w]; 0 where there is no depth.
        names: of `PROTOCOLS`.
        deviation: standard deviation of the natural logarithm of the prediction, of the
            prediction's size; None leaves its calibration out.  Clamping moves the
            prediction, not its deviation.
        valid: True where the truth may be used, bool [h, w]; None for everywhere.
        has_edges: whether the truth is dense enough for edges, and they are compared.

    Returns:
        By protocol: "depth" from `metrics.depth.sums`; "calibration" from
        `metrics.depth_calibration.sums`; "edges" from `metrics.depth_edges.sums`.

    Raises:
        UserError: an unknown protocol, sizes that do not belong together, or depth
            that the metrics refuse.
    """
    protocols = {name: _named(name) for name in names}
    truth = np.asarray(truth)
    _check_maps(prediction, truth, deviation)
    allowed = np.ones(truth.shape, bool) if valid is None else valid
    metrics.check_shapes(truth=truth, valid=allowed)
    found = {}
    for name, protocol in protocols.items():
        true, usable = (protocol.brought(x) for x in (truth, allowed))
        counts = protocol.valid(true) & usable
        told = protocol.clamped(resized(prediction, true.shape))
        found[name] = {"depth": metrics.sums(told, true, counts)}
        if deviation is not None:
            logs = _logs(told, true, counts)
            spread = resized(deviation, true.shape)
            found[name]["calibration"] = depth_calibration.sums(*logs, spread, counts)
        if has_edges:
            both = (depth_edges.edges(x, counts) for x in (told, true))
            found[name]["edges"] = depth_edges.sums(*both)
    return found


def residuals(
    prediction: np.ndarray, deviation: np.ndarray, truth: np.ndarray, name: str
) -> np.ndarray:
    """Returns how many standard deviations the logarithm of the truth is away.

    Args:
        prediction: metres, [h', w'].
        deviation: standard deviation of its natural logarithm, [h', w'].
        truth: metres, [h, w]; 0 where there is no depth.
        name: of `PROTOCOLS`.

    Returns:
        Of each pixel that counts, those that `rows` counts, float64 [pixels].

    Raises:
        UserError: see `rows`.
    """
    protocol, truth = _named(name), np.asarray(truth)
    _check_maps(prediction, truth, deviation)
    truth = protocol.brought(truth)
    counts = protocol.valid(truth)
    told = protocol.clamped(resized(prediction, truth.shape))
    logs = _logs(told, truth, counts)
    return depth_calibration.residuals(*logs, resized(deviation, truth.shape), counts)


def summary(
    images: Sequence[Mapping[str, Rows]], *, source: str = ""
) -> dict[str, dict[str, float]]:
    """Returns the scores of a set under every protocol.

    Args:
        images: what `rows` returned for each of them, for the same protocols.
        source: where they are from, as in "nyudv2_depth:test[:50]".

    Returns:
        By protocol, what `summary` of each metric returns, and "images_expected", the
        size of the published test set if these are of it.

    Raises:
        UserError: a protocol under which no image has valid depth.
    """
    return {
        name: {
            **_of_each(images, name, lambda metric, found: metric.summary(found)),
            **_expected(PROTOCOLS[name], source),
        }
        for name in images[0]
    }


def own(found: Rows) -> dict[str, float]:
    """Returns what one image is told by.

    Args:
        found: of `rows`, under one protocol.

    Returns:
        rel, rms and delta1; nothing if no pixel counts.
    """
    every = metrics.values(found["depth"])
    if np.isnan(every["rel"]):
        return {}
    return {name: float(every[name]) for name in ("rel", "rms", "delta1")}


def intervals(
    images: Sequence[Mapping[str, Rows]], *, seed: int = 0
) -> dict[str, dict[str, tuple[float, float]]]:
    """Returns 95 % confidence intervals over images of the scores in `summary`.

    Args:
        images: what `rows` returned for each of them, for the same protocols.
        seed: see `metrics.averages.intervals`.

    Returns:
        By protocol, lower and upper bounds by name.

    Raises:
        UserError: a protocol under which no image has valid depth.
    """
    return {
        name: _of_each(
            images, name, lambda metric, found: metric.intervals(found, seed=seed)
        )
        for name in images[0]
    }


def _named(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise errors.unknown_name("depth protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def _check_maps(prediction, truth, deviation) -> None:
    if truth.ndim != 2:
        raise errors.UserError(f"True depth is [h, w], got {list(truth.shape)}.")
    if deviation is not None and np.shape(deviation) != np.shape(prediction):
        raise errors.UserError(
            "A standard deviation belongs to each predicted pixel: the prediction is "
            f"{list(np.shape(prediction))}, the deviation {list(np.shape(deviation))}."
        )


def _logs(told, truth, counts) -> list[np.ndarray]:
    """Logarithms where pixels count, 0 elsewhere."""
    return [np.log(np.where(counts, x, 1.0)) for x in (told, truth)]


def _expected(protocol: Protocol, source: str) -> dict[str, int]:
    """The size of the published test set, for what is of it."""
    is_published = source.partition("[")[0].partition("-")[0] in protocol.published
    return {"images_expected": protocol.images} if is_published else {}


def _of_each(images, name, function) -> dict:
    """What a function makes of the rows of every metric, together."""
    found = {}
    for kind in images[0][name]:
        stacked = np.stack([np.asarray(image[name][kind]) for image in images])
        found.update(function(_METRICS[kind], stacked))
    return found
