"""Everything that is done to one pair: doubts, disparities, files."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from dpjax.data.stereo import points
from dpjax.inference.stereo import camera, doubts, engines, maps, pairs
from dpjax.ops.stereo import matching

_FEW = 0.5  # share of consistent pixels below which the sides may be exchanged


class Checked(NamedTuple):
    """A match and its warnings.

    Attributes:
        match: what was found.
        warnings: lines of text, none if nothing looks wrong.
    """

    match: engines.Match
    warnings: list[str]


@dataclasses.dataclass(frozen=True)
class Matcher:
    """What is the same for every pair.

    Attributes:
        settings: of the matching.
        engine: "jax" or "opencv".
        rig: the camera, if it is known.
        suffix: of maps of fractions.
        force: warn of pairs that look swapped or not rectified, instead of refusing.
    """

    settings: matching.Settings
    engine: str
    rig: camera.Camera | None = None
    suffix: str = ".npy"
    force: bool = False

    def match(self, views: pairs.Views) -> Checked:
        """Returns the disparities of a pair, unless it looks swapped or not rectified.

        Args:
            views: left and right, uint8 [h, w, 1 or 3], from `pairs.read`.

        Returns:
            Disparities and warnings.

        Raises:
            UserError: a pair that looks swapped, or settings that cannot be used.
            DataError: a pair that is not rectified.
        """
        seen = points.match(*views)
        told = doubts.of_views(*views) + doubts.of_points(seen, self.settings)
        self._refuse(told)
        found = self._engine(*views)
        may_be_swapped = seen is None and self.settings.min_disparity >= 0
        sides = []
        if may_be_swapped and found.valid.mean() < _FEW:
            sides = doubts.of_sides(found, self._engine(*views[::-1]))
            self._refuse(sides)
        told += sides
        told += doubts.of_winners(found, self.settings, few_are_told=bool(sides))
        return Checked(found, [doubt.text for doubt in told])

    def save(self, found: engines.Match, target: Path) -> None:
        """Writes the picture of disparities and the maps beside it.

        Args:
            found: from `match`.
            target: where the picture goes.

        Raises:
            UserError: an ending that cannot be written.
            StorageError: the place cannot be written.
        """
        maps.save(target, maps.of(found, self.rig), self.suffix)

    def files(self, target: Path) -> list[Path]:
        """Returns what `save` may write.

        Args:
            target: where the picture goes.

        Returns:
            The picture, and the maps that there can be.
        """
        return [target, *maps.paths(target, self.suffix).values()]

    def _engine(self, left, right):
        return engines.match(left, right, self.settings, self.engine)

    def _refuse(self, told):
        for doubt in told:
            if doubt.error is not None and not self.force:
                raise doubt.error(f"{doubt.text} --force matches it all the same.")
