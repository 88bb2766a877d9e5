"""KITTI: depth along roads, in the split of Eigen et al.

TFDS's `kitti` holds boxes and no depth, hence this reads the user's copy.
"""

import pathlib
import re
from typing import ClassVar

from dpjax import errors
from dpjax.data import depth_files, image_files
from dpjax.data.builders import depth_maps, image_set, layouts, paired

_LISTS = {
    split: tuple(
        pattern.format(split)
        for pattern in (
            "eigen_{}_files_with_gt.txt",
            "eigen_{}_files.txt",
            "{}_files.txt",
            "{}.txt",
        )
    )
    for split in ("train", "val", "test")
}
_RAW = ("", "raw", "raw_data", "kitti_raw")
_DEPTH = tuple(
    f"{root}{part}"
    for root in ("data_depth_annotated/", "depth_annotated/", "")
    for part in ("train", "val", "")
)
_ENDINGS = (".png", ".jpg")
# A path, as monodepth and BTS list frames, or drive, frame and side, as monodepth2.
_PATH = re.compile(
    r"(?:.*/)?(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_sync)/(?P<camera>image_0[23])/data/"
    r"(?P<frame>\d+)\.(?:png|jpg)"
)
_WORDS = re.compile(
    r"(?:.*/)?(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_sync) (?P<frame>\d+) (?P<side>[lr])"
)
_SIDES = {"l": "image_02", "r": "image_03"}


class KittiEigen(depth_maps.DepthMaps, skip_registration=True):
    """Depth along roads: KITTI's raw frames with its annotated depth, Eigen's split.

    Read are the raw data (2011_09_26/2011_09_26_drive_0001_sync/image_02/data), the
    annotated depth (train and val, or in data_depth_annotated), and the lists of
    frames that you have: eigen_train_files.txt, ..., of monodepth, ..._with_gt.txt of
    BTS, or train_files.txt of monodepth2.  Depth is sparse, value / 256 metres.

    Frames whose depth was not annotated are left out: 45 of the 697 to test on.  Scores
    on the raw scans of all 697 want those scans projected into depth maps, which
    rgbd_folder takes.
    """

    source: ClassVar[str] = "Geiger et al., IJRR 2013; Uhrig et al., 3DV 2017"
    counts: ClassVar = {"test": 652}

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures that the lists name, and remembers their depth maps.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id, DRIVE/CAMERA/FRAME.

        Raises:
            DataError: no list, no raw data or no depth, or a list is damaged.
        """
        image_files.check_folder(folder)
        listings = {
            split: next((folder / n for n in names if (folder / n).is_file()), None)
            for split, names in _LISTS.items()
        }
        if not any(listings.values()):
            raise errors.DataError(
                f"{folder} has no list of the frames of Eigen's split: there is no "
                f"{', '.join(_LISTS['train'])}, and none for val or test. It has "
                f"{layouts.content(folder)}. Copy the lists of monodepth, BTS or "
                "monodepth2 there."
            )
        self.coding = depth_files.Unit(per_metre=256)
        found = {
            split: self._pairs_listed(folder, split, listing)
            for split, listing in listings.items()
            if listing
        }
        self.tell_counts(found)
        return self.remember(found)

    def _pairs_listed(
        self, folder: pathlib.Path, split: str, listing: pathlib.Path
    ) -> dict[str, paired.Pair]:
        names = list(dict.fromkeys(_frames(listing)))
        images = {name: _image(folder, name) for name in names}
        absent = [name for name, path in images.items() if path is None]
        date = (absent or names)[0][:10]
        self.skip(
            [folder / date / name for name in absent],
            f"frames that {listing.name} lists are not there",
            f"Wanted the raw data in {folder} or its folder raw, such as {date}",
        )
        depth = {n: _depth(folder, n) for n, path in images.items() if path is not None}
        bare = sum(path is None for path in depth.values())
        pairs = {n: (images[n], path) for n, path in depth.items() if path is not None}
        if not pairs:
            raise errors.DataError(
                f"No frame of {listing.name} has depth in {folder}. Wanted "
                "DRIVE/proj_depth/groundtruth/image_02/FRAME.png in its folders train "
                "and val, or in data_depth_annotated."
            )
        if bare:
            self.note(
                f"{self.name}:{split} leaves out {bare} of {len(depth)} frames, whose "
                "depth was not annotated or is not in this copy"
            )
        return pairs


def _frames(listing: pathlib.Path) -> list[str]:
    """Ids of the frames, one a line; whatever else stands there is passed over."""
    found = []
    for number, line in enumerate(listing.read_text(errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        path = _PATH.fullmatch(words[0])
        frame = path or _WORDS.fullmatch(" ".join(words))
        if frame is None:
            raise errors.DataError(
                f"{listing}, line {number}, names no frame: {line[:80]!r}. Wanted "
                "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000005.png, "
                "or 2011_09_26/2011_09_26_drive_0001_sync 5 l."
            )
        camera = path["camera"] if path else _SIDES[frame["side"]]
        found.append(f"{frame['drive']}/{camera}/{int(frame['frame']):010d}")
    if not found:
        raise errors.DataError(f"{listing} lists nothing. Copy it again.")
    return found


def _image(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    drive, camera, frame = name.split("/")
    for root in _RAW:
        for inner in (f"{drive[:10]}/{drive}", drive):  # below its date, or not
            for ending in _ENDINGS:
                path = folder / root / inner / camera / "data" / f"{frame}{ending}"
                if path.is_file():
                    return path
    return None


def _depth(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    drive, camera, frame = name.split("/")
    inside = f"{drive}/proj_depth/groundtruth/{camera}/{frame}.png"
    paths = (folder / root / inside for root in _DEPTH)
    return next(filter(pathlib.Path.is_file, paths), None)
