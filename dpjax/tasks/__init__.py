"""The tasks: one file each, and the protocol they share."""

from dpjax.data import degradations
from dpjax.data.superpixels import front_end
from dpjax.ops import depth_bins as bins
from dpjax.tasks import (
    classification,
    depth,
    depth_bins,
    relative_depth,
    restoration,
    segmentation,
    self_supervised_depth,
    superpixel_depth,
    task,
)

Task = task.Task
TYPES: tuple[type, ...] = (
    bins.Bins,
    classification.Classification,
    depth.Depth,
    depth_bins.DepthBins,
    front_end.Settings,
    relative_depth.RelativeDepth,
    restoration.Restoration,
    segmentation.Segmentation,
    self_supervised_depth.SelfSupervisedDepth,
    superpixel_depth.SuperpixelDepth,
    *degradations.TYPES,
)
