"""Real photographs inside the installed scikit-image wheel: nothing to download."""

import importlib.util
import pathlib
from typing import ClassVar

from dpjax import errors
from dpjax.data.builders import image_set

# What a camera, a microscope or a telescope saw, and two pages of text; no drawings,
# charts, logos or masks.  Both views of the stereo pair "motorcycle" show one scene,
# hence one split.
_SPLITS = {
    "train": (
        "astronaut.png",
        "brick.png",
        "cell.png",
        "clock_motion.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "page.png",
        "retina.jpg",
        "rocket.jpg",
        "text.png",
    ),
    "test": ("camera.png", "chelsea.png", "coffee.png"),
}


class Photos(image_set.ImageSet, skip_registration=True):
    """Photographs that scikit-image ships: 16 to train on, 3 others to test on."""

    needs_folder: ClassVar[bool] = False
    source: ClassVar[str] = "skimage.data, files inside the wheel"

    def find(self, folder: pathlib.Path | None) -> image_set.Splits:
        """Returns the photographs of each split.

        Args:
            folder: not used; the files lie in the installed package.

        Returns:
            For each split, the path of each record id.

        Raises:
            DataError: scikit-image is not installed, or lacks a file.
        """
        spec = importlib.util.find_spec("skimage")
        if spec is None:
            raise errors.DataError(
                "photos reads files of scikit-image, which is not installed. "
                "Run `pip install scikit-image`."
            )
        root = pathlib.Path(next(iter(spec.submodule_search_locations))) / "data"
        return {
            split: {pathlib.Path(name).stem: root / name for name in names}
            for split, names in _SPLITS.items()
        }
