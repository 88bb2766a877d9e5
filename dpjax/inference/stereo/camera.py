"""What a disparity is in metres, for a rectified pair of cameras."""

import dataclasses

import numpy as np

from dpjax import errors


@dataclasses.dataclass(frozen=True)
class Camera:
    """Two cameras side by side, as one.

    Attributes:
        focal_px: focal length, pixels of the pictures that are matched.
        baseline_m: between the cameras, metres.
        offset_px: added to every disparity: the column of the principal point in the
            right view less that in the left one, pixels; Middlebury's doffs.
    """

    focal_px: float
    baseline_m: float
    offset_px: float = 0.0

    def __post_init__(self) -> None:
        """Raises `UserError` for numbers that no camera has."""
        for name in ("focal_px", "baseline_m"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise errors.UserError(
                    f"A camera wants a positive {name}, got {value}. Take it from the "
                    "calibration, scaled to the size of the pictures."
                )
        if not np.isfinite(self.offset_px):
            raise errors.UserError(
                f"A camera wants a finite offset_px, got {self.offset_px}."
            )

    def depth(self, disparity: np.ndarray) -> np.ndarray:
        """Returns depth = focal_px baseline_m / (disparity + offset_px).

        Args:
            disparity: pixels, [h, w]; NaN where unknown.

        Returns:
            Metres, float32 [h, w]; 0 where the disparity is unknown or the point would
            not be in front of the cameras.
        """
        whole = np.asarray(disparity, np.float64) + self.offset_px
        seen = np.isfinite(whole) & (whole > 0)
        depth = self.focal_px * self.baseline_m / np.where(seen, whole, 1)
        return np.where(seen, depth, 0).astype(np.float32)
