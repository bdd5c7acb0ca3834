"""What share of the requests took no longer than how long, estimated from how many fell in each class of duration."""

from collections.abc import Sequence


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The duration, in the unit of `bounds`, that a `share` (0 to 1) of all did not exceed. None: there were none.

    `counts[i]` fell above `bounds[i - 1]` and up to `bounds[i]`; the last of `counts` above all bounds, where nothing
    more is known than the highest bound. Within a class they are taken as evenly spread.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below, lower = 0, 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count and below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, bound
    return lower
