"""A user's stereo films, under a name of the user's."""

import functools
import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

from dpjax import errors
from dpjax.data import video_files
from dpjax.data.builders import image_set, stereo_set
from dpjax.data.stereo import frames, pipeline, video
from dpjax.ops.stereo import matching


class StereoVideo(stereo_set.StereoSet, skip_registration=True):
    """Relative disparity of stereo films of yours, both views in each picture.

    The views are side by side or one over the other, squeezed or not, as --layout says;
    of every film each --every-th frame is taken.  Frames that cannot be matched are
    left out and listed.
    """

    is_signed: ClassVar[bool] = True

    def __init__(
        self,
        *,
        config: str = "default",
        disparities: tuple[int, int] | None = None,
        grey: bool = False,
        cost: matching.Cost = "census",
        beam_runner: str | None = None,
        beam_options: str = "",
        layout: video.Layout = "side-by-side-half",
        every: int = 24,
        **options: Any,
    ):
        """Keeps where the views are.

        Args:
            config: as for `stereo_set.StereoSet`.
            disparities: likewise.
            grey: likewise.
            cost: likewise.
            beam_runner: likewise.
            beam_options: likewise.
            layout: of the pictures.
            every: frames from one that is taken to the next.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: an unknown layout, or `every` below 1.
        """
        if layout not in video.Layout.__args__:
            raise errors.unknown_name("layout", layout, video.Layout.__args__)
        if every < 1:
            raise errors.UserError(f"--every is 1 or more, got {every}.")
        self._layout = layout
        self._every = every
        super().__init__(
            config=config,
            disparities=disparities,
            grey=grey,
            cost=cost,
            beam_runner=beam_runner,
            beam_options=beam_options,
            **options,
        )

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

    def reader(self, name: str, path: pathlib.Path) -> pipeline.Reader:
        """Returns what reads the frames of a film, called NAME/NUMBER.

        Args:
            name: of the film.
            path: of its file.

        Returns:
            A function of nothing.
        """
        return functools.partial(_read, name, path, self._layout, self._every)


def _read(
    name: str, path: pathlib.Path, layout: video.Layout, every: int
) -> Iterator[frames.Pair]:
    for number, picture in video_files.read(path, every=every):
        views = video.split(picture, layout)
        origin = f"{path}, frame {number}"
        yield frames.Pair(f"{name}/{number:06d}", *views, origin)
