"""What builders of relative disparity from stereo share: pairs in, records out."""

import pathlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import identity, image_files
from dpjax.data.builders import image_set
from dpjax.data.stereo import frames, pipeline, report, results, store
from dpjax.ops.stereo import matching


class StereoSet(image_set.ImageSet, skip_registration=True):
    """Base of sets whose records are made from two views.

    Records have `disparity`, float32, 0 and 1 at the 2nd and the 98th percentile of
    what could be matched, larger is closer, of unknown shift and scale; and
    `confidence`, 1 to 255 where it was matched and 0 where it was filled in.
    """

    source: ClassVar[str] = "the user's own stereo pairs"
    is_signed: ClassVar[bool] = False  # see `frames.Settings`
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
        cost: matching.Cost = "census",
        beam_runner: str | None = None,
        beam_options: str = "",
        **options: Any,
    ):
        """Keeps how pairs are matched.

        Args:
            config: the user's name for this folder.
            disparities: least and largest one, pixels at the recorded width; None
                looks for those of each pair.
            grey: whether views without colour are taken.
            cost: of matching, "census", or "absolute" as RDIS has it.
            beam_runner: of Apache Beam, whose workers match the frames; None matches
                them here.
            beam_options: of its pipeline, as `pipeline.fill` takes them.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: an unknown cost, disparities that do not rise, a runner that Beam
                does not know, or options without a runner.
        """
        if beam_runner is not None:
            pipeline.check(beam_runner)
        elif beam_options:
            raise errors.UserError(
                "--beam-options are of a pipeline, and there is none without "
                "--beam-runner. Name one, such as --beam-runner DirectRunner."
            )
        self._beam = beam_runner, beam_options
        if cost not in frames.METHODS:
            raise errors.unknown_name("cost", cost, frames.METHODS)
        self.settings = frames.Settings(
            disparities=disparities,
            has_grey=grey,
            is_signed=self.is_signed,
            method=frames.METHODS[cost],
        )
        super().__init__(config=tfds.core.BuilderConfig(name=config), **options)
        self._store = store.Store(self.kept, self.settings)

    def reader(self, name: str, path: pathlib.Path) -> pipeline.Reader:
        """Returns what reads the pairs of one entry of `find`.

        Args:
            name: id of the entry.
            path: of its file.

        Returns:
            A function that can be pickled, without the builder; it raises DataError for
            a file that cannot be read, after the pairs that can.
        """
        raise NotImplementedError

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        runner, options = self._beam
        if runner is not None:
            files = [f for s in self.find(self.folder).values() for f in s.items()]
            pipeline.fill(
                [self.reader(name, path) for name, path in files],
                self.settings,
                self.kept,
                runner=runner,
                options=options,
            )
        return super()._split_generators(dl_manager)

    def _generate_examples(
        self,
        split: str,
        files: dict[str, pathlib.Path],
        done: Iterator[int],
        total: int,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        index = self.info.metadata[image_set.INDEX].setdefault(split, [])
        quality = report.Report(self.settings)
        found = self._read(files, done, total)
        for result in results.of_pairs(found, self.settings, self._store):
            quality.add(result)
            if isinstance(result, frames.Rejection):
                self.leave_out(result.message)
                continue
            example = example_of(result)
            code = example["fingerprint"].tobytes()
            index.append([result.name, code.hex(), *result.image.shape[:2]])
            yield len(index) - 1, example
        if not index:
            raise self._without_frames(quality)
        quality.write(pathlib.Path(self.data_dir))
        self.note(f"{quality.summary()}; see {report.COUNTS} and {report.PAGE} there")
        doubt = quality.doubt()
        if doubt is not None:
            self.note(doubt)

    def _without_frames(self, quality: report.Report) -> errors.DataError:
        """The error when all were rejected, with pictures to see why."""
        reasons = self.info.metadata[image_set.BAD_LIST]
        first = reasons[0].rstrip(".") if reasons else "none"
        said = f"{self.folder}: {quality.summary()}, such as {first}."
        if self.kept is not None:
            quality.write(self.kept)
            said += f" Pictures are in {self.kept / report.PAGE}."
        return errors.DataError(said)

    def _read(
        self, files: dict[str, pathlib.Path], done: Iterator[int], total: int
    ) -> Iterator[frames.Pair | frames.Rejection]:
        for name, path in files.items():
            try:
                yield from self.reader(name, path)()
            except errors.DataError as error:
                if not self._skip_bad:
                    raise image_set.stopped(error) from error
                yield frames.Rejection(name, "damaged", str(error))
            if self._progress:
                self._progress(next(done), total)


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
