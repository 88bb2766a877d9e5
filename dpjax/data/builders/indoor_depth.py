"""Depth of rooms: the labelled images of NYU Depth v2.

TFDS's `nyu_depth_v2` is another selection, 47 584 frames of the videos beside the 654
test images, rounded to halves and prepared through TensorFlow and HDF5; read are the
folders of pictures that everybody makes of the publishers' MATLAB file.
"""

import pathlib
from typing import ClassVar

from dpjax import errors
from dpjax.data import depth_files
from dpjax.data.builders import depth_maps, image_set, layouts

_MILLIMETRES = depth_files.Unit(per_metre=1000)
_SHARES = depth_files.Shares()
_PUBLISHED = "nyu_depth_v2_labeled.mat"


def _by_split(
    coding: depth_files.Coding,
    images: str,
    depth: str,
    *splits: str,
    beside: str | None = None,
) -> layouts.Layout:
    names = {split: split for split in splits}
    return layouts.by_split(coding, images, depth, beside=beside, **names)


class Nyudv2Depth(depth_maps.DepthMaps, skip_registration=True):
    """Depth of rooms: the 1449 labelled images of NYU Depth v2, 480x640.

    Read are, in folders train and test (or val): images and depth beside depth_max.csv,
    8 bits as shares of the largest depth of each image; rgb and depth, or images and
    depth, millimetres of 16 bits; or, in the folder official_splits of BTS, rgb_N.jpg
    and sync_depth_N.png in folders of scenes, millimetres of the raw depth, with holes.

    Pictures keep their white or black frame: the customary crops of scores count from
    the corner of 480x640 pixels.
    """

    source: ClassVar[str] = "Silberman et al., ECCV 2012"
    counts: ClassVar = {"train": 795, "test": 654}
    published: ClassVar = (
        _by_split(
            _SHARES,
            "{split}/images/{}",
            "{split}/depth/{}",
            *("train", "val", "test"),
            beside=f"{{split}}/{_SHARES.table}",
        ),
        _by_split(_MILLIMETRES, "{split}/rgb/{}", "{split}/depth/{}", "train", "test"),
        *(
            _by_split(
                _MILLIMETRES,
                f"{root}{{split}}/{{}}/rgb_{{}}",
                f"{root}{{split}}/{{}}/sync_depth_{{}}",
                *("train", "test"),
            )
            for root in ("official_splits/", "nyu_depth_v2/official_splits/")
        ),
        _by_split(
            _MILLIMETRES,
            "{split}/images/{}",
            "{split}/depth/{}",
            *("train", "val", "test"),
        ),
    )

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures of each split, and remembers their depth maps.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id.

        Raises:
            DataError: the folder does not hold the set, or depth maps are missing.
        """
        try:
            return super().find(folder)
        except errors.DataError as error:
            if not (folder / _PUBLISHED).is_file():
                raise
            raise errors.DataError(
                f"{error} {_PUBLISHED} is HDF5, which needs h5py: convert it once, "
                "images to train/rgb/0001.png ..., 1000 times depths as PNG of 16 bits "
                "to train/depth/0001.png ..., likewise test, by the publishers' "
                "splits.mat."
            ) from error
