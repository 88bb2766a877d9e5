"""What can go wrong for a user, and the exit code each kind leaves with.

Every message says what was wanted, what came, and what to do.
"""

import difflib
from collections.abc import Iterable


class DpjaxError(Exception):
    """Base of all errors that a user can act on.

    Attributes:
        exit_code: status of the process when this error ends a command.
    """

    exit_code = 1


class UserError(DpjaxError, ValueError):
    """A mistake in a command, a configuration or an argument."""

    exit_code = 2


class DataError(DpjaxError, ValueError):
    """A file, record or data set that cannot be used as asked."""

    exit_code = 3


class NotFiniteError(DpjaxError, ArithmeticError):
    """Training kept producing infinities or NaNs."""

    exit_code = 4


class StorageError(DpjaxError, OSError):
    """Reading or writing failed: disk full, no permission, damaged checkpoint."""

    exit_code = 5


class Preempted(DpjaxError):
    """The run was asked to stop; its state is saved, running it again continues."""

    exit_code = 75


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Returns the error for a misspelt name, with its nearest matches.

    Args:
        kind: what was named, as in "model" or "data set".
        name: the name that was not found.
        known: every name that would have been right.

    Returns:
        A `UserError` that lists near matches, or all names when none is near.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = (
        f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    )
    return UserError(f"Unknown {kind} {name!r}. {hint}")
