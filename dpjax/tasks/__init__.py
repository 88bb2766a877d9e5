"""The tasks: one file each, and the protocol they share."""

from dpjax.data import degradations
from dpjax.tasks import restoration, task

Task = task.Task
TYPES: tuple[type, ...] = (restoration.Restoration, *degradations.TYPES)
