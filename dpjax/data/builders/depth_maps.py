"""What all builders of images with depth share: metres for every measured pixel.

Records have `depth`, 0 where nothing was measured; past the loader such pixels are not
valid.  Depth is float32 metres, compressed without loss, whatever the publishers' form:
then one unit and one type is all that anything beyond this folder knows, also of maps
that are floats, or shares of the largest depth of their image.  Of NYU, KITTI and
Kinect such maps are as large as the same values in PNG of 16 bits, between 0.7 and 1.4
times, and decode in 0.5 to 1.1 of the time.
"""

import pathlib
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax.data import depth_files
from dpjax.data.builders import paired


class DepthMaps(paired.PairedSet, skip_registration=True):
    """Base of sets whose records hold `depth`, float32 [h, w] metres, 0 for none."""

    extra_features: ClassVar = {
        "depth": tfds.features.Tensor(
            shape=(None, None), dtype=np.float32, encoding="zlib"
        )
    }
    target_file: ClassVar[str] = "depth map"
    target: ClassVar[str] = "depth"
    target_endings: ClassVar = depth_files.EXTENSIONS
    own: ClassVar[str] = "your own images and depth maps prepare rgbd_folder"
    coding: depth_files.Coding

    def load_extras(self, name: str, path: pathlib.Path) -> dict[str, Any]:
        """Returns the depth of one image.

        Args:
            name: id of the record.
            path: of its image.

        Returns:
            `depth`, float32 [h, w], metres.

        Raises:
            DataError: the depth map cannot be read, or holds what cannot be depth.
        """
        file = self.target_of(path)
        return {"depth": self.coding.decode(depth_files.read(file), file)}
