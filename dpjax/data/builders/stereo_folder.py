"""A user's stereo pairs, under a name of the user's."""

import pathlib
from collections.abc import Iterator

from dpjax.data import image_files
from dpjax.data.builders import image_set, stereo_set
from dpjax.data.stereo import frames, pairs


class StereoFolder(stereo_set.StereoSet, skip_registration=True):
    """Relative disparity of stereo pairs of yours, in folders left and right.

    left/NAME.png goes with right/NAME.png, or SCENE/left.png with SCENE/right.png, in
    any format of images.  Views are rectified: the same point is in the same row, up to
    a constant offset.  Frames that cannot be matched are left out and listed.
    """

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the left views, and remembers the right ones.

        Args:
            folder: the user's copy.

        Returns:
            The split train, with the path of each record id.

        Raises:
            DataError: no pairs, or a view without the other.
        """
        self._pairs = pairs.find(folder)
        return {"train": {name: files.left for name, files in self._pairs.items()}}

    def pairs_of(self, name: str, path: pathlib.Path) -> Iterator[frames.Pair]:
        """Returns one pair.

        Args:
            name: id of the record.
            path: of the left view.

        Yields:
            The pair.

        Raises:
            DataError: one of its files cannot be read.
        """
        left, right = self._pairs[name]
        views = (image_files.load(file).image for file in (left, right))
        yield frames.Pair(name, *views, f"{left} and {right}")
