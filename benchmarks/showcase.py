"""Two pictures of what dpjax does, on photographs that ship with scikit-image.

    python -m benchmarks.showcase

`results/restoration.png`: each pair is a damaged photograph, which nobody trained the
weights on, and what they make of it, as a user gets it: 8 bits in, 8 bits out.  The
photographs were chosen by eye; JPEG is shown on a grey one, since the network leaves
the blocks of colours as they are.  `results/stereo.png`: disparities of a real pair.
"""

import dataclasses

import cv2
import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.data import degradations, sources
from dpjax.inference import predictor
from dpjax.inference.stereo import engines, pairs
from dpjax.ops import resize
from dpjax.ops.stereo import matching
from dpjax.viz import depth_maps, disparity_maps, panels

_SIDE = 300
_WIDE = 370  # pixels of a stereo view here
# Photograph, top left corner of what is shown, weights, damage.
_NOISE = ("chelsea", (0, 90), "rednet10-denoise-rgb")
_TEXT = ("coffee", (60, 150), "rednet10-inpaint")
_SMALL = ("astronaut", (0, 80), "rednet30-superres")
_JPEG = ("camera", (40, 80), "rednet10-jpeg")
_SCALE = 3


def main() -> None:
    """Restores and matches, and writes the pictures."""
    startup.use_compilation_cache()
    _write("stereo", _stereo())
    _write("restoration", _restored())


def _stereo() -> np.ndarray:
    """A view beside its disparities, checked, filled, and as they are in truth."""
    views, truth, _ = pairs.example()
    settings = dataclasses.replace(matching.CENSUS, fill="guided")
    found = engines.match(*views, settings, "jax")
    shown = {
        "that pass all checks": np.where(found.valid, found.disparity, np.nan),
        "filled": found.disparity,
        "in truth": truth,
    }
    least, most = np.nanquantile(truth[np.isfinite(truth)], (0.01, 0.99))
    scale = {"least": least, "most": most, "name": disparity_maps.COLOURS}
    maps = (
        (f"disparities {k}", depth_maps.colours(v, **scale)) for k, v in shown.items()
    )
    return panels.compose([("the left view", views[0]), *maps], largest=_WIDE)


def _restored() -> np.ndarray:
    opened = sources.open_sources(["photos:train", "photos:test"])
    photos = {record["id"]: record["image"] for record in opened}

    def pair(what, about, damage, **options):
        name, (top, left), weights = about
        clean = photos[name]
        clean = clean[top : top + _SIDE, left : left + _SIDE]
        given = damage(clean)
        restored = predictor.Predictor(weights)(given, **options).image
        if given.shape != clean.shape:
            given = given.repeat(_SCALE, 0).repeat(_SCALE, 1)
        return [(what, given), (weights, restored)]

    rng = np.random.default_rng(0)

    def noise(clean):
        return _levels(clean + rng.normal(0, 50, clean.shape))

    def text(clean):
        given = degradations.TextMask().evaluate(clean, rng)
        return _levels(255 * given)

    def shrink(clean):
        return resize.imresize(clean, size=(_SIDE // _SCALE,) * 2)

    def jpeg(clean):
        flags = [cv2.IMWRITE_JPEG_QUALITY, 10]
        return cv2.imdecode(cv2.imencode(".jpg", clean[..., ::-1], flags)[1], 1)[
            ..., ::-1
        ]

    rows = (
        pair("noise of 50 levels", _NOISE, noise) + pair("text over it", _TEXT, text),
        pair("a third of the size", _SMALL, shrink, scale=_SCALE)
        + pair("JPEG of quality 10", _JPEG, jpeg),
    )
    return np.concatenate([panels.compose(row) for row in rows])


def _write(name: str, page: np.ndarray) -> None:
    path = measure.ROOT / "results" / f"{name}.png"
    cv2.imwrite(str(path), page[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"written to {path.relative_to(measure.ROOT)}")


def _levels(image: np.ndarray) -> np.ndarray:
    return image.round().clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
