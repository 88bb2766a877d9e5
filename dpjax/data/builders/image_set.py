"""What all builders of plain image sets share.

A builder says which files belong to which split; this class turns them into records.
It yields encoded bytes only, so that writing ArrayRecord needs no TensorFlow.
"""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import identity, image_files

Splits = dict[str, dict[str, pathlib.Path]]
BAD_LIST = "skipped"
NOTES = "notes"
INDEX = "index"
UNITS = "units"
CLASSES = "classes"
_SKIP = "--skip-bad"


def stopped(error: errors.DataError) -> errors.DataError:
    """Returns the error about a bad file with the way to do without such files.

    Args:
        error: what is wrong with the file.

    Returns:
        The same, for a user who has not passed --skip-bad.
    """
    if _SKIP in str(error):
        return error
    return errors.DataError(f"{error} To leave out files like it, pass {_SKIP}.")


def of_another_size(
    target: str,
    place: pathlib.Path,
    shape: tuple[int, ...],
    image: pathlib.Path,
    size: tuple[int, int],
    reason: str = "Both must show the same pixels.",
) -> errors.DataError:
    """Returns the error about targets that do not have the size of their image.

    Args:
        target: what the file holds, such as "labels".
        place: the file.
        shape: of the targets, height and width first.
        image: path of the image.
        size: height and width of the image.
        reason: why this is a fault, a sentence.

    Returns:
        Which files, and both sizes.
    """
    return errors.DataError(
        f"The size of the {target} in {place} is {shape[0]}x{shape[1]}, that of the "
        f"image {image} is {size[0]}x{size[1]} (height x width). {reason}"
    )


class ImageSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of all image sets; records hold `image`, `id`, `fingerprint`, and targets.

    A set with targets, such as labels or depth, declares them in `extra_features` and
    reads them in `load_extras`; they then stand in every record under their names.

    Beside the records, `metadata.json` lists id, fingerprint, height and width of each
    record in order, so that checks of identity need not read the images; and what was
    left out, and what else is worth knowing.

    Attributes:
        VERSION: of the record format.
        needs_folder: whether the user has to bring the files.
        source: where the pictures come from, for people.
        extra_features: TFDS features of the targets by name; pixels of 8 or 16 bits are
            `Image`, float32 maps `Tensor` of shape (None, None), encoding "zlib".
        units: what one level of a stored target means; a record then holds float32, as
            metres where {"depth": 0.001} turns millimetres into them.
        own_size: height and width of targets that are of another size than the image,
            but show the same view.
        classes: what the labels of `label` or `labels` stand for, in their order; empty
            for sets without.
        url_infos: checksums of downloads; empty.
    """

    VERSION = tfds.core.Version("1.0.0")
    needs_folder: ClassVar[bool] = True
    source: ClassVar[str] = ""
    extra_features: ClassVar[dict[str, tfds.features.FeatureConnector]] = {}
    units: ClassVar[dict[str, float]] = {}
    own_size: ClassVar[dict[str, tuple[int, int]]] = {}
    classes: tuple[str, ...] = ()
    url_infos: ClassVar[dict[str, Any]] = {}  # nothing is downloaded, no checksum file

    def __init__(
        self,
        *,
        folder: pathlib.Path | None = None,
        skip_bad: bool = False,
        progress: Callable[[int, int], None] | None = None,
        kept: pathlib.Path | None = None,
        **options: Any,
    ):
        """Keeps where the files are; reads nothing.

        Args:
            folder: the user's copy.
            skip_bad: leave out files that cannot be used, instead of failing.
            progress: called with (files done, files in all) after each file.
            kept: a folder, which need not exist, for results that are too dear to
                compute again if the build is killed; None keeps none.
            **options: of `tfds.core.GeneratorBasedBuilder`, such as `data_dir`.
        """
        self.folder = folder
        self._skip_bad = skip_bad
        self._progress = progress
        self.kept = kept
        super().__init__(file_format="array_record", **options)

    def find(self, folder: pathlib.Path | None) -> Splits:
        """Returns the files of each split.

        Args:
            folder: the user's copy; None for sets that bring their own.

        Returns:
            For each split, the path of each record id, in record order.

        Raises:
            DataError: the folder does not hold this data set.
        """
        raise NotImplementedError

    def load_extras(self, name: str, path: pathlib.Path) -> dict[str, Any]:
        """Returns the targets of one image.

        Args:
            name: id of the record.
            path: of its image.

        Returns:
            A value for each of `extra_features`; pixels as uint8 or uint16 arrays, and
            maps of floats, [h, w] or [h, w, c], upright and of the size of the image,
            or of `own_size`, before `trim`.

        Raises:
            DataError: a file is missing or damaged.
        """
        return {}

    def place_of(self, path: pathlib.Path) -> pathlib.Path:
        """Returns the file that the targets of an image come from, for messages.

        Args:
            path: of the image, from `find`.

        Returns:
            The image itself, unless a set knows better.
        """
        return path

    def trim(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the part of a picture, or of a target of pixels, that is recorded.

        Args:
            pixels: [h, w] or [h, w, c].

        Returns:
            All of it, unless the set has pictures with a frame around them.
        """
        return pixels

    def stopping(self, error: errors.DataError) -> errors.DataError:
        """Returns what `prepare` ends with when a file cannot be used.

        Args:
            error: what is wrong with the first such file.

        Returns:
            `stopped`, unless a set tells all of its faults.
        """
        return stopped(error)

    def leave_out(self, message: str) -> None:
        """Lists files that were left out, for `prepare` to print.

        Args:
            message: which, and why; said twice, it is listed once.
        """
        self._tell(BAD_LIST, message)

    def note(self, message: str) -> None:
        """Lists something that is no fault but worth knowing, for `prepare` to print.

        Args:
            message: a sentence; said twice, it is listed once.
        """
        self._tell(NOTES, message)

    def _tell(self, kind: str, message: str) -> None:
        if message not in self.info.metadata[kind]:
            self.info.metadata[kind].append(message)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{type(self).__doc__.strip()}\n\nSource: {self.source}",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "id": tfds.features.Text(),
                    "fingerprint": tfds.features.Tensor(
                        shape=(identity.SIZE_BYTES,), dtype=np.uint8
                    ),
                    **self.extra_features,
                }
            ),
            metadata=tfds.core.MetadataDict(
                {
                    INDEX: {},
                    BAD_LIST: [],
                    NOTES: [],
                    UNITS: self.units,
                    CLASSES: [],
                }
            ),
            disable_shuffling=True,  # the pipeline shuffles; people read lists in order
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        splits = self.find(self.folder)
        self.info.metadata[CLASSES] = list(self.classes)
        total = sum(len(files) for files in splits.values())
        done = iter(range(1, total + 1))
        return {
            name: self._generate_examples(name, files, done, total)
            for name, files in splits.items()
        }

    def _generate_examples(
        self,
        split: str,
        files: dict[str, pathlib.Path],
        done: Iterator[int],
        total: int,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        index = self.info.metadata[INDEX].setdefault(split, [])
        for name, path in files.items():
            try:
                picture = self._trimmed(image_files.load(path))
                extras = self._encoded_extras(name, path, picture.image.shape[:2])
            except errors.DataError as error:
                if not self._skip_bad:
                    raise self.stopping(error) from error
                self.leave_out(str(error))
                picture = None
            if self._progress:
                self._progress(next(done), total)
            if picture is None:
                continue
            code = identity.fingerprint(picture.image)
            height, width = picture.image.shape[:2]
            index.append([name, code.hex(), height, width])
            yield (
                len(index) - 1,
                {
                    "image": picture.encoded,
                    "id": name,
                    "fingerprint": np.frombuffer(code, np.uint8),
                    **extras,
                },
            )
        if not index:
            raise errors.DataError(
                f"No usable image for split {split!r} of {self.info.full_name}: all "
                f"{len(files)} files were skipped."
            )

    def _trimmed(self, picture: image_files.Picture) -> image_files.Picture:
        kept = self.trim(picture.image)
        if kept.shape == picture.image.shape:
            return picture  # its compressed bytes stay
        return image_files.Picture(image_files.encode_png(kept), kept)

    def _encoded_extras(
        self, name: str, path: pathlib.Path, size: tuple[int, int]
    ) -> dict[str, Any]:
        extras = self.load_extras(name, path)
        for target, feature in self.extra_features.items():
            if feature.shape[:2] != (None, None):
                continue
            extras[target] = self.trim(extras[target])
            wanted = self.own_size.get(target, size)
            # A photograph that was turned upright, with labels that were not.
            if extras[target].shape[:2] != wanted:
                reason = "Both must show the same pixels."
                if target in self.own_size:
                    reason = f"{self.name} has {wanted[0]}x{wanted[1]} for it."
                raise of_another_size(
                    target,
                    self.place_of(path),
                    extras[target].shape,
                    path,
                    size,
                    reason,
                )
            if isinstance(feature, tfds.features.Image):
                extras[target] = image_files.encode_png(extras[target])
        return extras
