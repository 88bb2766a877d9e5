"""DIW: photographs in which people said which of two points is farther."""

from typing import ClassVar

from dpjax.data.builders import point_pairs

_FOLDERS = ("", "DIW_Annotations/", "DIW_Annotations_splitted/", "data/")


class Diw(point_pairs.PointPairs, skip_registration=True):
    """Photographs of anything with one judged pair of points each: DIW.

    Read are the publishers' lists DIW_train.csv, DIW_val.csv and DIW_test.csv, of which
    you may have some only, and the folders DIW_train_val and DIW_test of their two
    archives.  No pair is equally far.
    """

    source: ClassVar[str] = "Chen et al., NIPS 2016, Depth in the Wild"
    lists: ClassVar = {
        split: tuple(f"{folder}DIW_{split}.csv" for folder in _FOLDERS)
        for split in ("train", "val", "test")
    }
    folders: ClassVar = ("DIW_train_val", "DIW_test")
