"""How a set of relative disparities came about: counts, reasons, and pictures."""

import collections
import dataclasses
import json
import pathlib

import numpy as np

from dpjax.data.stereo import frames
from dpjax.viz import depth_maps, panels

COUNTS = "quality.json"
PAGE = "quality.png"

# Of all frames together: 0.3 on Middlebury's pairs, 0.6 with their views exchanged.
_MOST_VOTES_BEFORE, _FEWEST_VOTES = 0.45, 200
_SHOWN = 8  # frames on the page, and as many rejected ones
_COLOURS = "magma"  # near is bright


class Report:
    """Counts results as they come, and keeps a few of them to show."""

    def __init__(self, settings: frames.Settings):
        """Has counted nothing yet.

        Args:
            settings: that frames are matched with, for the record.
        """
        self._settings = settings
        self._accepted: list[dict] = []
        self._rejected: list[frames.Rejection] = []
        self._kept: list[frames.Frame] = []
        self._step = 1
        self._votes = np.zeros(2, np.int64)

    def add(self, result: frames.Frame | frames.Rejection) -> None:
        """Counts one result.

        Args:
            result: from `frames.process`.
        """
        if isinstance(result, frames.Rejection):
            is_first = all(one.reason != result.reason for one in self._rejected)
            kept = result.picture if is_first else None
            self._rejected.append(dataclasses.replace(result, picture=kept))
            return
        if len(self._accepted) % self._step == 0:
            self._kept.append(result)
        if len(self._kept) > 2 * _SHOWN:  # frames from all of a film, not its titles
            self._kept = self._kept[::2]
            self._step *= 2
        self._votes += result.votes
        self._accepted.append(
            {
                "id": result.name,
                "confident": round(result.confident, 4),
                "spread_px": round(result.spread, 3),
                "disparities": list(result.disparities),
                "rows_offset": result.rows,
                "black_bars": list(result.bars),
            }
        )

    def counts(self) -> dict[str, int]:
        """Returns how many frames were rejected, by reason.

        Returns:
            The most frequent reason first.
        """
        reasons = collections.Counter(one.reason for one in self._rejected)
        return dict(reasons.most_common())

    def summary(self) -> str:
        """Returns the counts in a line.

        Returns:
            For example "8 of 10 frames are used; 2 low spread".
        """
        total = len(self._accepted) + len(self._rejected)
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.counts().items())
        said = f"{len(self._accepted)} of {total} frames are used"
        return f"{said}; {reasons}" if reasons else said

    def doubt(self) -> str | None:
        """Returns what looks wrong with all frames together.

        Returns:
            That the views are probably exchanged, a sentence; None if nothing does.
        """
        before, count = int(self._votes[1]), int(self._votes.sum())
        if count < _FEWEST_VOTES or before <= _MOST_VOTES_BEFORE * count:
            return None
        return (
            f"{before} of {count} occlusions look like what is nearer: left and right "
            f"may be exchanged, and near and far with them; look at {PAGE}, where near "
            "is bright"
        )

    def write(self, folder: pathlib.Path) -> None:
        """Writes `quality.json`, and `quality.png` if there is something to show.

        Args:
            folder: made if it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "frames": len(self._accepted) + len(self._rejected),
            "accepted": len(self._accepted),
            "rejected": self.counts(),
            "rejections": [
                {"id": one.name, "reason": one.reason, "message": one.message}
                for one in self._rejected
            ],
            "accepted_frames": self._accepted,
            "settings": dataclasses.asdict(self._settings),
        }
        (folder / COUNTS).write_text(json.dumps(content, indent=1) + "\n")
        page = self.page()
        if page is not None:
            import PIL.Image

            PIL.Image.fromarray(page).save(folder / PAGE)

    def page(self) -> np.ndarray | None:
        """Returns frames from all over the set, and one rejected for each reason.

        Returns:
            uint8 [h, w, 3]; None if there is nothing to show.
        """
        places = np.linspace(0, len(self._kept) - 1, min(_SHOWN, len(self._kept)))
        rows = [_row(self._kept[i]) for i in dict.fromkeys(np.rint(places).astype(int))]
        shown = [one for one in self._rejected if one.picture is not None][:_SHOWN]
        rows += [
            panels.compose(
                [(one.message, one.picture)],
                title=f"{one.name}: left out, {one.reason}",
                largest=frames.THUMBNAIL,
            )
            for one in shown
        ]
        if not rows:
            return None
        width = max(row.shape[1] for row in rows)
        return np.concatenate(
            [
                np.pad(
                    row,
                    ((0, 0), (0, width - row.shape[1]), (0, 0)),
                    constant_values=255,
                )
                for row in rows
            ]
        )


def _row(frame: frames.Frame) -> np.ndarray:
    """A photograph, its disparity whole, and what of it was matched."""
    known = frame.confidence > 0
    maps = [
        depth_maps.colours(frame.disparity, where, least=0, most=1, name=_COLOURS)
        for where in (None, known)
    ]
    return panels.compose(
        [
            ("left view", frame.image),
            ("relative disparity, near is bright", maps[0]),
            (f"matched: {100 * frame.confident:.0f} %", maps[1]),
        ],
        title=f"{frame.name}: spread {frame.spread:.1f} pixels",
        largest=frames.THUMBNAIL,
    )
