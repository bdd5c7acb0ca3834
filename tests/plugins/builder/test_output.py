"""Which lines of a log are new after it had to be read again."""

from flynn.core.output import Seen


def lines(*times: float) -> list[dict[str, float]]:
    return [{"time": time} for time in times]


def test_nothing_is_told_twice_and_nothing_is_lost() -> None:
    seen = Seen()
    seen.begin()
    assert [seen.is_new(line) for line in lines(1, 1, 2, 2)] == [True] * 4
    seen.begin()
    assert [seen.is_new(line) for line in lines(1, 1, 2, 2, 2, 3)] == [False, False, False, False, True, True]
    seen.begin()
    assert [seen.is_new(line) for line in lines(2, 2, 2, 3, 3, 4)] == [False, False, False, False, True, True]
