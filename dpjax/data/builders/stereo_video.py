"""A user's stereo films, under a name of the user's."""

import pathlib
from collections.abc import Iterator
from typing import Any

from dpjax import errors
from dpjax.data.builders import image_set, stereo_set
from dpjax.data.stereo import frames, video


class StereoVideo(stereo_set.StereoSet, skip_registration=True):
    """Relative disparity of stereo films of yours, both views in each picture.

    The views are side by side or one over the other, squeezed or not, as --layout says;
    of every film each --every-th frame is taken.  Frames that cannot be matched are
    left out and listed.
    """

    def __init__(
        self,
        *,
        layout: video.Layout = "side-by-side-half",
        every: int = 24,
        **options: Any,
    ):
        """Keeps where the views are.

        Args:
            layout: of the pictures.
            every: frames from one that is taken to the next.
            **options: of `stereo_set.StereoSet`.

        Raises:
            UserError: an unknown layout, or `every` below 1.
        """
        if layout not in video.Layout.__args__:
            raise errors.unknown_name("layout", layout, video.Layout.__args__)
        if every < 1:
            raise errors.UserError(f"--every is 1 or more, got {every}.")
        self._layout = layout
        self._every = every
        super().__init__(**options)

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the films.

        Args:
            folder: the user's copy.

        Returns:
            The split train, with the path of each film by its name.

        Raises:
            DataError: no films, or two of one name.
        """
        return {"train": video.find(folder)}

    def pairs_of(self, name: str, path: pathlib.Path) -> Iterator[frames.Pair]:
        """Returns the frames of a film.

        Args:
            name: of the film.
            path: of its file.

        Yields:
            Pairs, called NAME/NUMBER.

        Raises:
            DataError: it cannot be read, or, after its sound frames, it ends early.
        """
        for number, picture in video.read(path, every=self._every):
            views = video.split(picture, self._layout)
            origin = f"{path}, frame {number}"
            yield frames.Pair(f"{name}/{number:06d}", *views, origin)
