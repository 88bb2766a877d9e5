"""A failed save is told once: what is left out, and that nothing else is."""

import asyncio
import gc
import logging
import sys
import weakref

import pytest
from absl import logging as absl_logging

from dpjax.training import failed_saves

_PLACE = "/runs/a/checkpoints/4.orbax-checkpoint-tmp/state: No space left on device"


@pytest.fixture(autouse=True)
def unraisable(monkeypatch):
    """Quiet for one test; what is reported nevertheless."""
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    failed_saves.quiet.cache_clear()
    loggers = (absl_logging.get_absl_logger(), logging.getLogger("asyncio"))
    before = [list(logger.filters) for logger in loggers]
    failed_saves.quiet()
    yield reported
    for logger, filters in zip(loggers, before, strict=True):
        logger.filters[:] = filters
    failed_saves.quiet.cache_clear()


def _log(message, error):
    try:
        raise error
    except type(error):
        absl_logging.exception(message, "json_ch_save")


@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("OUT_OF_RANGE")])
def test_errors_that_orbax_hands_on_are_not_logged_as_well(caplog, error):
    _log("[thread=%s] _SignalingThread.run() raised an exception: full", error)
    assert caplog.text == ""


def test_other_messages_and_other_errors_of_orbax_are_logged(caplog):
    _log("Failed to remove checkpoint (%s)", OSError(13, "Permission denied"))
    assert "Permission denied" in caplog.text
    _log("[thread=%s] _SignalingThread.run() raised an exception", TypeError("a bug"))
    assert "TypeError: a bug" in caplog.text
    absl_logging.error("[thread=%s] _SignalingThread.run() raised an exception", "x")
    assert "[thread=x]" in caplog.text


def _forget(error):
    """A future that fails and that nobody waits for."""
    loop = asyncio.new_event_loop()
    loop.create_future().set_exception(error)
    gc.collect()
    loop.close()


def _forget_together(error):
    """Several futures gathered into one, as Orbax writes the pieces of an array."""
    loop = asyncio.new_event_loop()
    one, other = loop.create_future(), loop.create_future()
    together = asyncio.gather(one, other)
    one.set_exception(error)
    loop.run_until_complete(asyncio.sleep(0))
    assert together.done()
    del one, other, together
    gc.collect()
    loop.close()


@pytest.mark.parametrize("forget", [_forget, _forget_together])
def test_writes_that_nobody_waits_for_are_not_logged(caplog, forget):
    forget(ValueError(f"RESOURCE_EXHAUSTED: Error writing {_PLACE}"))
    assert caplog.text == ""


@pytest.mark.parametrize("forget", [_forget, _forget_together])
@pytest.mark.parametrize("error", [ValueError("other"), RuntimeError(_PLACE)])
def test_other_futures_that_nobody_waits_for_are_logged(caplog, forget, error):
    forget(error)
    assert "Future exception was never retrieved" in caplog.text


class _Thing:
    """Something that a weak reference can point to."""


def _drop_with(callback):
    """Has the interpreter itself call something, as TensorStore does."""
    thing = _Thing()
    reference = weakref.ref(thing, callback)
    del thing
    assert reference() is None


def test_late_answers_of_native_code_to_a_closed_loop_are_dropped(unraisable):
    loop = asyncio.new_event_loop()
    loop.close()
    _drop_with(loop.call_soon_threadsafe)
    assert unraisable == []
    _drop_with(lambda reference: loop.call_soon_threadsafe(reference))
    assert [str(report.exc_value) for report in unraisable] == ["Event loop is closed"]


def test_other_errors_that_nobody_can_catch_are_reported(unraisable):
    _drop_with(lambda reference: 1 // 0)
    assert [report.exc_type for report in unraisable] == [ZeroDivisionError]
