"""One picture of what the released weights do, on photographs nobody trained them on.

    python -m benchmarks.showcase

Each pair is a damaged photograph of scikit-image and what the weights make of it, as a
user gets it: 8 bits in, 8 bits out.  The photographs were chosen by eye; JPEG is shown
on a grey one, since the network leaves the blocks of colours as they are.  Writes
`results/restoration.png`.
"""

import cv2
import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.data import degradations, sources
from dpjax.inference import predictor
from dpjax.ops import resize
from dpjax.viz import panels

_SIDE = 300
# Photograph, top left corner of what is shown, weights, damage.
_NOISE = ("chelsea", (0, 90), "rednet10-denoise-rgb")
_TEXT = ("coffee", (60, 150), "rednet10-inpaint")
_SMALL = ("astronaut", (0, 80), "rednet30-superres")
_JPEG = ("camera", (40, 80), "rednet10-jpeg")
_SCALE = 3


def main() -> None:
    """Restores, and writes the picture."""
    startup.use_compilation_cache()
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
    page = np.concatenate([panels.compose(row) for row in rows])
    path = measure.ROOT / "results" / "restoration.png"
    cv2.imwrite(str(path), page[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"written to {path.relative_to(measure.ROOT)}")


def _levels(image: np.ndarray) -> np.ndarray:
    return image.round().clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
