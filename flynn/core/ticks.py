"""When a schedule of cron comes: five fields (or `@daily` and its like) in a time zone. Told the time, never asking it.

As Debian's cron has it. A schedule of fixed hours and minutes that a clock jumps over (it is set forward in spring)
comes at the first moment after; one that a clock shows twice (it is set back in autumn) comes the first time only.
One with a `*` in its hours or minutes goes on by real time through both. If neither day field begins with `*`, a day
that fits either is a day.
"""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from flynn.core.errors import Invalid

SHORT = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip

LONGEST = 100
"""Characters of a schedule."""

MOST = 1000
"""Ticks that are counted one by one."""


def check(schedule: str, zone: str) -> None:
    """Invalid: it is no schedule, or never comes; or there is no such time zone."""
    _zone(zone)
    fields = SHORT.get(schedule.strip().lower(), schedule).split()
    if len(schedule) > LONGEST or len(fields) != 5:
        raise Invalid(
            f"{schedule[:60]!r} is no schedule; write five fields (minute hour day month weekday: 30 3 * * *), "
            f"or one of {', '.join(SHORT)}"
        )
    try:
        came = following(schedule, zone, 0.0)
    except CronSimError as error:
        raise Invalid(f"{schedule!r} is no schedule: {_why(error)}") from None
    if came is None:
        raise Invalid(f"{schedule!r} never comes")


@lru_cache(4096)
def following(schedule: str, zone: str, after: float) -> float | None:
    """The first tick after a time; None: it never comes (in fifty years)."""
    return next(_ticks(schedule, zone, after), None)


def between(schedule: str, zone: str, after: float, now: float) -> tuple[int, float]:
    """How many ticks there are after `after` up to `now` (MOST: so many or more), and the last of them (0: none)."""
    if (first := following(schedule, zone, after)) is None or first > now:
        return 0, 0.0
    count, last = 0, 0.0
    for tick in _ticks(schedule, zone, after):
        if tick > now:
            return count, last
        count, last = count + 1, tick
        if count == MOST:
            break
    return count, max(last, _last(schedule, zone, now))


def _last(schedule: str, zone: str, now: float) -> float:
    """The last tick up to a time."""
    ticks = CronSim(_fields(schedule), datetime.fromtimestamp(int(now) + 1, _zone(zone)), reverse=True)
    return next((at for tick in ticks if (at := tick.timestamp()) <= now), 0.0)


def _ticks(schedule: str, zone: str, after: float) -> Iterator[float]:
    """In the hour that a clock shows twice the library may begin before `after`."""
    last = after
    for tick in CronSim(_fields(schedule), datetime.fromtimestamp(after, _zone(zone))):
        if (at := tick.timestamp()) > last:
            yield (last := at)


def _fields(schedule: str) -> str:
    return SHORT.get(schedule.strip().lower(), schedule)


@lru_cache(1024)
def _zone(name: str) -> tzinfo:
    try:
        if not name or name.startswith(("/", ".")):
            raise ValueError(name)
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise _no_zone(name) from None
    except KeyError:
        raise _no_zone(name) from None


def _no_zone(name: str) -> Invalid:
    return Invalid(f"{name[:60]!r} is no time zone; write one as Europe/Berlin, or UTC")


def _why(error: CronSimError) -> str:
    return str(error).replace("Bad ", "its field is no good: ").replace("-", " ")
