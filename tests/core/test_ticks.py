"""When schedules come: through changes of the clock, and which are none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import ticks
from flynn.core.errors import Invalid

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def coming(schedule: str, zone: str, after: str, count: int) -> list[str]:
    """The next ticks, in UTC."""
    found, last = [], at(after)
    for _ in range(count):
        tick = ticks.following(schedule, zone, last)
        assert tick is not None
        found.append(datetime.fromtimestamp(tick, UTC).strftime("%d %H:%M"))
        last = tick
    return found


def test_a_time_that_the_clock_jumps_over_comes_at_the_first_moment_after() -> None:
    """On 29 March 2026 at 02:00 clocks in Berlin are set to 03:00."""
    assert coming("30 2 * * *", BERLIN, "2026-03-28T03:00+01:00", 2) == ["29 01:00", "30 00:30"]
    assert coming("30 * * * *", BERLIN, "2026-03-29T01:00+01:00", 3) == ["29 00:30", "29 01:30", "29 02:30"]


def test_a_time_that_the_clock_shows_twice_comes_once() -> None:
    """On 25 October 2026 at 03:00 clocks in Berlin are set to 02:00."""
    assert coming("30 2 * * *", BERLIN, "2026-10-24T03:00+02:00", 2) == ["25 00:30", "26 01:30"]
    assert coming("30 * * * *", BERLIN, "2026-10-25T01:00+02:00", 4) == ["24 23:30", "25 00:30", "25 01:30", "25 02:30"]
    for after in ("2026-10-25T02:30+02:00", "2026-10-25T02:10+01:00", "2026-10-25T02:40+01:00"):
        assert coming("30 2 * * *", BERLIN, after, 1) == ["26 01:30"]


def test_days() -> None:
    assert coming("0 0 13 * FRI", "UTC", "2026-11-01T00:00Z", 3) == ["06 00:00", "13 00:00", "20 00:00"]
    assert coming("0 0 */2 * FRI", "UTC", "2026-11-01T00:00Z", 1) == ["13 00:00"]
    assert coming("@weekly", "UTC", "2026-11-01T00:00Z", 1) == ["08 00:00"]
    assert coming("0 12 L * *", "UTC", "2026-11-01T00:00Z", 1) == ["30 12:00"]


def test_the_ticks_of_a_while_are_counted() -> None:
    begin = at("2026-11-01T00:00Z")
    assert ticks.between("*/5 * * * *", "UTC", begin, begin + 299) == (0, 0.0)
    assert ticks.between("*/5 * * * *", "UTC", begin, begin + 300) == (1, begin + 300)
    assert ticks.between("*/5 * * * *", "UTC", begin, begin + 3600 * 24) == (288, begin + 3600 * 24)
    assert ticks.between("* * * * *", "UTC", begin, begin + 86400 * 400 + 7) == (ticks.MOST, begin + 86400 * 400)
    assert ticks.between("0 3 * * *", "UTC", begin, begin - 86400) == (0, 0.0)


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15 2,3 * * SUN", "@daily"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.integers(int(at("2026-03-01T00:00Z")), int(at("2026-12-01T00:00Z"))),
    st.integers(1, 4 * 86400),
)
def test_no_tick_comes_twice_or_never_however_the_time_is_cut(
    schedule: str, zone: str, begin: int, length: int
) -> None:
    whole = ticks.between(schedule, zone, float(begin), float(begin + length))
    middle = begin + length // 3
    first, then = (ticks.between(schedule, zone, *cut) for cut in ((begin, middle), (middle, begin + length)))
    assert whole == (first[0] + then[0], then[1] or first[1])
    if whole[0]:
        assert begin < whole[1] <= begin + length


@pytest.mark.parametrize(
    ("schedule", "zone", "word"),
    [
        ("daily", "UTC", "write five fields"),
        ("* * * * * *", "UTC", "write five fields"),
        ("@reboot", "UTC", "@hourly"),
        ("61 * * * *", "UTC", "minute"),
        ("0 0 31 2 *", "UTC", "day of month"),
        ("0 0 " + "1," * 60 + "1 * *", "UTC", "write five fields"),
        ("0 0 * * *", "Europe/Berlinn", "is no time zone"),
        ("0 0 * * *", "../../etc/passwd", "is no time zone"),
        ("0 0 * * *", "", "is no time zone"),
    ],
)
def test_what_is_none(schedule: str, zone: str, word: str) -> None:
    with pytest.raises(Invalid, match=word):
        ticks.check(schedule, zone)


@pytest.mark.parametrize("schedule", [*ticks.SHORT, "@Daily", "*/5 0-6 1,15 JAN MON-FRI", "0 0 29 2 *"])
def test_what_is_one(schedule: str) -> None:
    ticks.check(schedule, BERLIN)
