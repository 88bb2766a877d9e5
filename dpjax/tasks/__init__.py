"""The tasks: one file each, and the protocol they share."""

from dpjax.data import degradations
from dpjax.tasks import classification, restoration, segmentation, task

Task = task.Task
TYPES: tuple[type, ...] = (
    classification.Classification,
    restoration.Restoration,
    segmentation.Segmentation,
    *degradations.TYPES,
)
