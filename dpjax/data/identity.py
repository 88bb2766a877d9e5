"""Whether two images show the same picture, for checks of train/test leakage.

The identity of an image is 256 bits: the signs of its 16x16 lowest DCT coefficients of
luma, at low resolution.  Signs survive JPEG, grey against colour, rescaling, brightness
and contrast.  Mirrors and rotations only flip or transpose signs, so all eight are
compared without touching the pixels.  Crops change everything: `KNOWN_OVERLAPS` lists
what is known of the public sets.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from dpjax import config, errors
from dpjax.data import records, sources

SIZE_BYTES = records.FINGERPRINT_BYTES
SAME_BITS = 64  # of 255; unrelated photographs differ in 89 or more, 115 on average
_SIDE = 64
_LOW = 16
_FLAT = 1e-2  # rounding noise of a constant image stays below
_CHUNK = 512  # pictures compared with as many others at once, bounds the memory
_CHECKER_ROWS = np.arange(_LOW)[:, None] % 2 * np.ones((1, _LOW), int)
_SHOWN = 4  # pairs named in a message


@dataclasses.dataclass(frozen=True)
class KnownOverlap:
    """Shared pictures of two public sets, whatever their fingerprints say.

    Attributes:
        train: source trained on, "name:split".
        test: source scored, "name:split".
        pairs: (train id, test id) of shared pictures; None in place of an id means any;
            empty means that whole sets overlap.
        why: what is known, for the message.
    """

    train: str
    test: str
    why: str
    pairs: tuple[tuple[str | None, str], ...] = ()


KNOWN_OVERLAPS = (
    KnownOverlap("bsds500:val", "bsd68:test", "BSD68 is part of BSDS500 val"),
    KnownOverlap(
        "train400:train", "bsds500:test", "Train400 is cut from BSDS500 train and test"
    ),
    KnownOverlap(
        "train400:train", "bsds500:train", "Train400 is cut from BSDS500 train and test"
    ),
    KnownOverlap(
        "bsds500:train",
        "set12:test",
        "the starfish of Set12 is cut from it",
        pairs=(("12003", "04"),),
    ),
    KnownOverlap(
        "train400:train",
        "set12:test",
        "the starfish of Set12 and Train400 are cut from BSDS500 train",
        pairs=((None, "04"),),
    ),
    KnownOverlap(
        "train400:train",
        "set5:test",
        "the woman of Set5 and Train400 are cut from BSDS500 train",
        pairs=((None, "woman_GT"), (None, "woman")),
    ),
    *(
        KnownOverlap(train, test, "SUN RGB-D holds crops of NYU Depth v2")
        for nyu in ("nyudv2", "nyudv2_depth")
        for train, test in (
            (f"{nyu}:train", "sun_rgbd:test"),
            ("sun_rgbd:train", f"{nyu}:val"),
            ("sun_rgbd:train", f"{nyu}:test"),
        )
    ),
)


def fingerprint(image: np.ndarray) -> bytes:
    """Returns the perceptual identity of an image.

    Args:
        image: uint8 RGB, [h, w, 3], at least 8 pixels on each side.

    Returns:
        32 bytes; compare with `distances`.
    """
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    # AREA averages when shrinking, so the result does not depend on the resolution.
    small = cv2.resize(
        luma.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
    )
    low = cv2.dct(small - small.mean())[:_LOW, :_LOW]
    low[0, 0] = 0  # the mean is not part of the picture
    return np.packbits(low > _FLAT).tobytes()


def distances(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Returns how many bits differ, at best over the eight flips and rotations.

    Args:
        one: fingerprints, uint8 [n, 32].
        many: fingerprints, uint8 [m, 32].

    Returns:
        int [n, m], 0 for the same picture, about 128 for unrelated ones.
    """
    best = None
    many = np.ascontiguousarray(many).view(np.uint64)  # 8 bytes at a time
    for variant in _variants(one):
        words = variant.view(np.uint64)
        differ = np.bitwise_count(words[:, None] ^ many[None]).sum(-1, dtype=np.int32)
        best = differ if best is None else np.minimum(best, differ)
    return best


def find_overlap(train: sources.Source, test: sources.Source) -> list[tuple[str, str]]:
    """Returns the pictures that two sources share, by fingerprint.

    Args:
        train: records trained on.
        test: records scored.

    Returns:
        Pairs (train id, test id): the same picture, perhaps recompressed, resized, in
        grey, flipped or rotated by quarter turns.
    """
    train_ids, test_ids = train.ids(), test.ids()
    train_codes, test_codes = train.fingerprints(), test.fingerprints()
    return [
        (train_ids[i], test_ids[j]) for i, j in _close_pairs(train_codes, test_codes)
    ]


def shared_pictures(
    train: sources.Source, test: sources.Source
) -> tuple[list[tuple[str, str]], list[str]]:
    """Returns what two sources share, by fingerprint and by what is known of them.

    Args:
        train: records trained on, of one set.
        test: records scored, of one set.

    Returns:
        Pairs (train id, test id), and what is known beyond the fingerprints; there may
        be no pair and yet a reason.
    """
    pairs, reasons = find_overlap(train, test), []
    for known in KNOWN_OVERLAPS:
        more = _known_pairs(known, train, test)
        news = set(more or ()) - set(pairs)
        if news or more == []:
            pairs += sorted(news)
            reasons.append(known.why)
    return pairs, reasons


def find_duplicates(source: sources.Source) -> list[tuple[str, str]]:
    """Returns the pictures that a source holds more than once, by fingerprint.

    Args:
        source: the records.

    Returns:
        Pairs of ids; the first comes first in the source.
    """
    ids, codes = source.ids(), source.fingerprints()
    return [(ids[i], ids[j]) for i, j in _close_pairs_within(codes)]


def first_of_each(fingerprints: np.ndarray) -> list[int]:
    """Returns for each picture the first one that shows the same, perhaps itself.

    What looks like a copy of a copy belongs to them too.

    Args:
        fingerprints: uint8 [n, 32].

    Returns:
        n places; pictures with the same place belong together.
    """
    first = list(range(len(fingerprints)))

    def find(place: int) -> int:
        while first[place] != place:
            place = first[place]
        return place

    for i, j in _close_pairs_within(fingerprints):
        low, high = sorted((find(i), find(j)))
        first[high] = low
    return [find(place) for place in first]


def check_disjoint(data: config.Data, *, is_trained: bool = False) -> None:
    """Raises an error if a picture of the evaluation is trained on.

    Args:
        data: sources; those of `allow_overlap` are not checked, written with or without
            split.
        is_trained: the training is over, so that the message cannot suggest another.

    Raises:
        DataError: shared pictures that are not allowed; names sets and ids.
        UserError: `allow_overlap` names something that is not evaluated.
    """
    tests = {name: _open(name, "evaluate", data) for name in data.evaluate}
    allowed = _allowed(data, tests)
    found = []
    for train_name in data.train:
        train = _open(train_name, "train", data)
        for test_name in data.evaluate:
            if test_name not in allowed:
                found += _complaints(train, tests[test_name], test_name, is_trained)
    if found:
        raise errors.DataError(" ".join(found))


def _close_pairs(one: np.ndarray, many: np.ndarray) -> Iterator[tuple[int, int]]:
    for i in range(0, len(one), _CHUNK):
        for j in range(0, len(many), _CHUNK):
            bits = distances(one[i : i + _CHUNK], many[j : j + _CHUNK])
            for first, second in np.argwhere(bits <= SAME_BITS):
                yield i + int(first), j + int(second)


def _close_pairs_within(codes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Places i < j."""
    for start in range(0, len(codes), _CHUNK):
        rest = codes[start:]
        for i, j in _close_pairs(rest[:_CHUNK], rest):
            if i < j:
                yield start + i, start + j


def _open(name: str, role: sources.Role, data: config.Data) -> sources.Source:
    return sources.open_sources([name], role=role, directory=data.directory)


def _allowed(data: config.Data, tests: dict[str, sources.Source]) -> set[str]:
    """The entries of `evaluate` that may overlap."""
    allowed = set()
    for name in data.allow_overlap:
        matching = {
            given
            for given, source in tests.items()
            if name in (given, source.names[0], sources.parse(given).name)
        }
        if not matching:
            raise errors.unknown_name("evaluated source", name, tests)
        allowed |= matching
    return allowed


def _complaints(
    train: sources.Source, test: sources.Source, test_name: str, is_trained: bool
) -> list[str]:
    """What is wrong with training on one source and scoring another."""
    unknown = [s.names[0] for s in (train, test) if not s.is_indexed]
    if unknown:
        flag = "--allow-overlap" if is_trained else "--data.allow-overlap"
        return [
            f"Whether {test.names[0]} would be scored on pictures of {train.names[0]} "
            f"cannot be told: {unknown[0]} was prepared by TFDS itself, without "
            f"fingerprints. To go on, allow it by name with {flag} {test_name}."
        ]
    pairs, reasons = shared_pictures(train, test)
    if not pairs and not reasons:
        return []
    return [_message(train, test, test_name, is_trained, pairs, reasons)]


def _known_pairs(
    known: KnownOverlap, train: sources.Source, test: sources.Source
) -> list[tuple[str, str]] | None:
    """Pairs that the sources hold; [] if whole sets overlap, None if nothing does."""
    for name, source in ((known.train, train), (known.test, test)):
        opened = sources.parse(source.names[0])
        if name != f"{opened.name}:{opened.split}":
            return None
    train_ids, test_ids = set(train.ids()), set(test.ids())
    held = [
        (first or "a crop", second)
        for first, second in known.pairs
        if second in test_ids and (first is None or first in train_ids)
    ]
    return held if held or not known.pairs else None


def _message(
    train: sources.Source,
    test: sources.Source,
    test_name: str,
    is_trained: bool,
    pairs: list[tuple[str, str]],
    reasons: list[str],
) -> str:
    shown = ", ".join(f"{first} = {second}" for first, second in pairs[:_SHOWN])
    if len(pairs) > _SHOWN:
        shown += f" and {len(pairs) - _SHOWN} more"
    said = "; ".join(filter(None, (shown, *reasons)))
    verb, source, flag = "train", train, "--data.allow-overlap"
    if is_trained:
        verb, source, flag = "score", test, "--allow-overlap"
    remedy = f"allow it by name with {flag} {test_name}"
    shared = sorted({pair[is_trained] for pair in pairs})
    if 0 < len(shared) <= _SHOWN and set(shared) <= set(source.ids()):
        name = source.names[0]
        separator = "," if sources.parse(name).without else "-"
        without = f"{name}{separator}{','.join(shared)}"
        remedy = f"{verb} without them (write the source {without!r}) or {remedy}"
    return (
        f"{test.names[0]} would be scored on pictures of {train.names[0]}: {said}. "
        f"To go on, {remedy}."
    )


def _variants(fingerprints: np.ndarray) -> list[np.ndarray]:
    bits = np.unpackbits(fingerprints, axis=-1).reshape(-1, _LOW, _LOW)
    found = []
    for turned in (bits, bits.swapaxes(1, 2)):
        for rows in (0, _CHECKER_ROWS):  # odd frequencies change sign when mirrored
            for columns in (0, _CHECKER_ROWS.T):
                flipped = (turned ^ rows ^ columns).astype(np.uint8)
                found.append(np.packbits(flipped.reshape(len(bits), -1), axis=-1))
    return found
