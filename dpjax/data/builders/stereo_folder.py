"""A user's stereo pairs, under a name of the user's."""

import functools
import pathlib
from collections.abc import Iterator

from dpjax.data import image_files
from dpjax.data.builders import image_set, stereo_set
from dpjax.data.stereo import frames, pairs, pipeline


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
            DataError: no pairs, or a view without the other that is not to be left out.
        """
        self._pairs = pairs.find(folder, self.leave_out if self._skip_bad else None)
        return {"train": {name: files.left for name, files in self._pairs.items()}}

    def reader(self, name: str, path: pathlib.Path) -> pipeline.Reader:
        """Returns what reads one pair.

        Args:
            name: id of the record.
            path: of the left view.

        Returns:
            A function of nothing.
        """
        return functools.partial(_read, name, self._pairs[name])


def _read(name: str, files: pairs.Files) -> Iterator[frames.Pair]:
    views = (image_files.load(file).image for file in files)
    yield frames.Pair(name, *views, f"{files.left} and {files.right}")
