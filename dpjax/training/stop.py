"""Stopping a run in time: SIGTERM and SIGINT ask, the loop answers after the step."""

import os
import signal
import threading
from types import FrameType

import jax


class StopRequest:
    """Remembers that the system or the user asked this run to stop.

    On several processes JAX's own preemption service agrees on the step at which all of
    them stop; on one process a handler of ours does.
    """

    def __init__(self):
        """Installs the handlers; only the main thread of one process can."""
        self._asked = False
        self._before: dict[int, object] = {}
        if threading.current_thread() is not threading.main_thread():
            return
        if jax.process_count() == 1:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        else:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._forward)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A second Ctrl-C must be able to end a run that hangs.
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def _forward(self, number: int, frame: FrameType | None) -> None:
        # JAX's service of several processes listens to SIGTERM only.
        os.kill(os.getpid(), signal.SIGTERM)

    @property
    def is_asked(self) -> bool:
        """Whether this process alone has been asked; always False on several."""
        return self._asked

    def reached(self, step: int) -> bool:
        """Returns whether the run shall save and end after this step.

        Args:
            step: updates done; all processes must ask for the same ones.

        Returns:
            True once a stop was asked for (on several processes: agreed on).
        """
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            return multihost_utils.reached_preemption_sync_point(step)
        return self._asked

    def restore(self) -> None:
        """Gives the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
