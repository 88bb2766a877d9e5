"""Faults of the files of a set, told all at once and by kind instead of one a run."""

import pathlib

SHOWN = 10  # of each kind


class Faults:
    """Collects what is wrong with files, and says it in one message."""

    def __init__(self):
        """Has found nothing yet."""
        self._found: dict[str, list[tuple[pathlib.Path, str]]] = {}

    def __len__(self) -> int:
        """How many faults there are, of all kinds."""
        return sum(map(len, self._found.values()))

    def add(self, kind: str, path: pathlib.Path, message: str) -> None:
        """Takes one more fault.

        Args:
            kind: what is wrong with files like it, as in "masks without a picture".
            path: of the file.
            message: names the file and says what is wrong, then how to go on.
        """
        self._found.setdefault(kind, []).append((path, message))

    def message(self) -> str:
        """Returns all faults, the first of each kind with the way to go on.

        Returns:
            A single fault as it is; of several one a line below their kind, and how
            many more there are of a kind that has more than `SHOWN`.
        """
        if len(self) == 1:
            return next(iter(self._found.values()))[0][1]
        lines = [f"{len(self)} faults:"]
        for kind, found in self._found.items():
            lines.append(f"{kind}, {len(found)}:")
            lines.append(f"  {found[0][1]}")
            lines += [f"  {_first_sentence(*fault)}" for fault in found[1:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"  and {len(found) - SHOWN} more")
        return "\n".join(lines)


def _first_sentence(path: pathlib.Path, message: str) -> str:
    """What is wrong; how to go on was said of the first such file."""
    behind = message.find(str(path)) + len(str(path))  # a name may hold full stops
    end = message.find(". ", behind)
    return message if end < 0 else message[: end + 1]
