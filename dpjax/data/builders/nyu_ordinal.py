"""NYU Depth v2 as Chen et al. made it ordinal: pairs of points instead of depth."""

from typing import ClassVar

from dpjax.data.builders import point_pairs

_TRAIN = "from_795_NYU_MITpaper_train_imgs_800_points_resize_240_320.csv"
_FOLDERS = ("", "data/")


class Nyudv2Ordinal(point_pairs.PointPairs, skip_registration=True):
    """Rooms with hundreds of point pairs each: NYUv2's labelled images, made ordinal.

    Read are the three lists and the pictures of the authors' data.tar.gz: 750 and 45 of
    the 795 training images at 240x320, and the 654 test images at 480x640, in which
    points may be equally far.  Test pictures have the white frame of NYUv2; the authors
    leave out 10 pixels on each side before the network sees them.
    """

    source: ClassVar[str] = "Chen et al., NIPS 2016; Silberman et al., ECCV 2012"
    lists: ClassVar = {
        split: tuple(folder + name for folder in _FOLDERS)
        for split, name in {
            "train": f"750_train_{_TRAIN}",
            "val": f"45_validate_{_TRAIN}",
            "test": "654_NYU_MITpaper_test_imgs_orig_size_points.csv",
        }.items()
    }
    has_equal: ClassVar[bool] = True
