"""What builders of relative disparity from stereo share: pairs in, records out."""

import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import identity, image_files
from dpjax.data.builders import image_set
from dpjax.data.stereo import frames, report, store

_BATCH = 8  # frames that accelerators match together; processors take turns anyway


class StereoSet(image_set.ImageSet, skip_registration=True):
    """Base of sets whose records are made from two views.

    Records have `disparity`, float32, 0 and 1 at the 2nd and the 98th percentile of
    what could be matched, larger is closer, of unknown shift and scale; and
    `confidence`, 1 to 255 where it was matched and 0 where it was filled in.
    """

    source: ClassVar[str] = "the user's own stereo pairs"
    extra_features: ClassVar = {
        "disparity": tfds.features.Tensor(
            shape=(None, None), dtype=np.float32, encoding="zlib"
        ),
        "confidence": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8),
    }

    def __init__(
        self,
        *,
        config: str = "default",
        disparities: tuple[int, int] | None = None,
        grey: bool = False,
        **options: Any,
    ):
        """Keeps how pairs are matched.

        Args:
            config: the user's name for this folder.
            disparities: least and largest one, pixels at the recorded width; None takes
                1/15 of it to both sides.
            grey: whether views without colour are taken.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: disparities that do not rise.
        """
        self.settings = frames.Settings(disparities=disparities, has_grey=grey)
        super().__init__(config=tfds.core.BuilderConfig(name=config), **options)
        self._store = store.Store(self.kept, self.settings)

    def pairs_of(
        self, name: str, path: pathlib.Path
    ) -> Iterator[frames.Pair | frames.Rejection]:
        """Returns the pairs of one entry of `find`.

        Args:
            name: id of the entry.
            path: of its file.

        Yields:
            Pairs; rejections for what the file lacks.

        Raises:
            DataError: the file cannot be read.
        """
        raise NotImplementedError

    def _generate_examples(
        self,
        split: str,
        files: dict[str, pathlib.Path],
        done: Iterator[int],
        total: int,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        index = self.info.metadata[image_set.INDEX].setdefault(split, [])
        quality = report.Report(self.settings)
        for result in self._results(files, done, total):
            quality.add(result)
            if isinstance(result, frames.Rejection):
                self.leave_out(result.message)
                continue
            example = example_of(result)
            code = example["fingerprint"].tobytes()
            index.append([result.name, code.hex(), *result.image.shape[:2]])
            yield len(index) - 1, example
        if not index:
            reasons = self.info.metadata[image_set.BAD_LIST]
            raise errors.DataError(
                f"No frame of {self.folder} can be used; all were rejected, such as "
                f"{reasons[0] if reasons else 'none'}."
            )
        quality.write(pathlib.Path(self.data_dir))
        self.note(f"{quality.summary()}; see {report.COUNTS} and {report.PAGE} there")

    def _results(
        self, files: dict[str, pathlib.Path], done: Iterator[int], total: int
    ) -> Iterator[frames.Frame | frames.Rejection]:
        for group in _groups(self._read(files, done, total), batch_size()):
            yield from process(group, self.settings, self._store)

    def _read(
        self, files: dict[str, pathlib.Path], done: Iterator[int], total: int
    ) -> Iterator[frames.Pair | frames.Rejection]:
        for name, path in files.items():
            try:
                yield from self.pairs_of(name, path)
            except errors.DataError as error:
                if not self._skip_bad:
                    raise image_set.stopped(error) from error
                yield frames.Rejection(name, "damaged", str(error))
            if self._progress:
                self._progress(next(done), total)


def batch_size() -> int:
    """Returns how many frames are matched together here.

    Returns:
        1 on processors, where frames take turns.
    """
    import jax

    return 1 if jax.default_backend() == "cpu" else _BATCH


def process(
    group: list[frames.Pair | frames.Rejection],
    settings: frames.Settings,
    kept: store.Store,
) -> list[frames.Frame | frames.Rejection]:
    """Returns what becomes of pairs, some of which were rejected before.

    Args:
        group: pairs and rejections.
        settings: how pairs are matched.
        kept: results of a build that was killed, and those of this one.

    Returns:
        A frame or a rejection for each, in order.
    """
    results = [kept.get(one) if isinstance(one, frames.Pair) else one for one in group]
    places = [i for i, result in enumerate(results) if result is None]
    pairs = [group[i] for i in places]
    found = frames.process(pairs, settings, batch=batch_size())
    for i, pair, result in zip(places, pairs, found, strict=True):
        kept.put(pair, result)
        results[i] = result
    return results


def example_of(frame: frames.Frame) -> dict[str, Any]:
    """Returns a frame as records hold it.

    Args:
        frame: from `frames.process`.

    Returns:
        A value for each feature of `StereoSet`.
    """
    code = identity.fingerprint(frame.image)
    return {
        "image": image_files.encode_png(frame.image),
        "id": frame.name,
        "fingerprint": np.frombuffer(code, np.uint8),
        "disparity": frame.disparity,
        "confidence": image_files.encode_png(frame.confidence),
    }


def _groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
