"""What becomes of a stream of pairs, computed once.

One machine and the workers of a pipeline both go through this file.
"""

from collections.abc import Iterable, Iterator

from dpjax.data.stereo import frames, store

_BATCH = 8  # frames that accelerators match together; on processors they take turns


def of_pairs(
    pairs: Iterable[frames.Pair | frames.Rejection],
    settings: frames.Settings,
    kept: store.Store,
) -> Iterator[frames.Frame | frames.Rejection]:
    """Returns what becomes of pairs, some of which were rejected before.

    Args:
        pairs: pairs and rejections.
        settings: how pairs are matched.
        kept: results of a build that was killed, or of workers, and those of this one.

    Yields:
        A frame or a rejection for each, in order.
    """
    size = _batch_size()
    group: list[frames.Pair | frames.Rejection] = []
    for pair in pairs:
        group.append(pair)
        if len(group) == size:
            yield from _of_group(group, settings, kept, size)
            group = []
    yield from _of_group(group, settings, kept, size)


def _batch_size() -> int:
    import jax

    return 1 if jax.default_backend() == "cpu" else _BATCH


def _of_group(group, settings, kept, size):
    results = [kept.get(one) if isinstance(one, frames.Pair) else one for one in group]
    places = [i for i, result in enumerate(results) if result is None]
    pairs = [group[i] for i in places]
    found = frames.process(pairs, settings, batch=size)
    for i, pair, result in zip(places, pairs, found, strict=True):
        kept.put(pair, result)
        results[i] = result
    return results
