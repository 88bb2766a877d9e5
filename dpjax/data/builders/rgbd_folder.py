"""A user's images and depth maps, under a name of the user's."""

import pathlib
from typing import Any, ClassVar

from dpjax import errors
from dpjax.data import depth_files, depth_units
from dpjax.data.builders import depth_maps, paired, paired_folder


class RgbdFolder(
    paired_folder.PairedFolder, depth_maps.DepthMaps, skip_registration=True
):
    """Images and depth maps of yours, in folders images and depth.

    A depth map has the name of its image, up to the ending, and is of its size: PNG or
    TIFF of one channel, or an array in a .npy file.  What its numbers mean has to be
    said, by --unit or by depth.json beside the folders, such as {"unit":
    "millimetres"}; that file may say more, see `depth_units`.  0 and NaN were not
    measured.
    """

    target_folders: ClassVar = ("depth", "depths")

    def __init__(
        self,
        *,
        config: str = "default",
        ratio: float | None = None,
        test_list: pathlib.Path | None = None,
        unit: str | None = None,
        ignore: int | None = None,
        **options: Any,
    ):
        """Keeps what the depth maps hold and how the files are split.

        Args:
            config: the user's name for this folder.
            ratio: share of the training split, 0 to 1; 1 trains on everything.
            test_list: a text file that names the test images, one path a line, written
                relative to the folder images.
            unit: what a number means, as `depth_units.parse` takes it.
            ignore: number of pixels that were not measured, besides 0.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: an option is out of range.
        """
        self._per_metre = None if unit is None else depth_units.parse(unit)
        self._ignored = () if ignore is None else (ignore,)
        super().__init__(config=config, ratio=ratio, test_list=test_list, **options)

    def learn(self, folder: pathlib.Path, pairs: paired.PairedSplits) -> None:
        """Takes note of what the depth maps hold.

        Args:
            folder: the user's copy.
            pairs: for each folder of a split and record id, picture and depth map.

        Raises:
            DataError: the description cannot be read.
            UserError: nothing says the unit, or two things do.
        """
        listing = folder / depth_units.FILE
        if listing.is_file():
            if self._per_metre is not None:
                raise errors.UserError(
                    f"{listing} says the unit of the depth maps. Leave out --unit, or "
                    "remove the file."
                )
            self.coding = depth_units.read(listing, ignore=self._ignored)
        elif self._per_metre is not None:
            self.coding = depth_files.Unit(self._per_metre, self._ignored)
        else:
            raise errors.UserError(
                f"What do the numbers in the depth maps of {folder} mean? Pass --unit "
                "millimetres, or write it beside them, as in "
                f'`echo \'{{"unit": "millimetres"}}\' > {listing}`. A unit is '
                f"{depth_units.WANTED}."
            )
        ignored = ", ".join(f"{n:g}" for n in (0, *self.coding.ignore))
        self.note(f"depth is read as {self.coding}; {ignored} and NaN as not measured")
