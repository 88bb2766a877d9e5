"""The tasks: one file each, and the protocol they share."""

from dpjax.data import degradations
from dpjax.data.superpixels import front_end
from dpjax.tasks import (
    classification,
    depth,
    restoration,
    segmentation,
    self_supervised_depth,
    superpixel_depth,
    task,
)

Task = task.Task
TYPES: tuple[type, ...] = (
    classification.Classification,
    depth.Depth,
    front_end.Settings,
    restoration.Restoration,
    segmentation.Segmentation,
    self_supervised_depth.SelfSupervisedDepth,
    superpixel_depth.SuperpixelDepth,
    *degradations.TYPES,
)
