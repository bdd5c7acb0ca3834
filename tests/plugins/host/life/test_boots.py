"""When an instance that boots is looked at."""

from hypothesis import given
from hypothesis import strategies as st

from flynn.core.model import Check, Job
from flynn.plugins.host.life import boots
from flynn.plugins.host.life.boots import Boots, Span, counted, pause
from flynn.plugins.host.life.health import BOOTING, boot_pause

LEAST = 0.0005


def job(app: str) -> Job:
    return Job(id=f"{app}-web-1", app=app, type="web", queue="services", command="serve", created=1.0, release=1)


def looks(expected: Span, taken: float) -> tuple[int, float]:
    """How often one is looked at that takes so long, and how late it is found."""
    waited, count = 0.0, 0
    while waited < taken:
        waited, count = waited + pause(expected, waited, boot_pause(Check(), waited), LEAST), count + 1
    return count, waited - taken


def test_one_that_takes_as_long_as_the_last_is_found_sooner_with_fewer_looks() -> None:
    for taken in (0.05, 0.1, 1.0, 8.0):
        learnt, unknown = looks(Span(taken, taken), taken), looks(Span(), taken)
        assert learnt[0] < unknown[0]
        assert learnt[1] <= max(taken * boots.OFTEN, LEAST)


def test_one_that_takes_as_long_as_any_of_the_last_is_found_as_soon() -> None:
    known = Boots()
    for taken in (0.5, 0.14, 0.1, 0.12):
        known.learn(job("app"), taken)
    assert known.expected(job("app")) == Span(0.1, 0.14)
    for taken in (0.1, 0.12, 0.14):
        assert looks(known.expected(job("app")), taken)[1] <= LEAST


@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.floats(0.001, 100.0))
def test_no_pause_is_long_whatever_was_learnt(one: float, other: float, waited: float) -> None:
    """One that is quicker than the last is found a tenth of a second later at most."""
    unknown = boot_pause(Check(), waited)
    assert 0 < pause(Span(min(one, other), max(one, other)), waited, unknown, LEAST) <= BOOTING


@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0), st.floats(0.05, 100.0))
def test_no_more_than_some_hundred_looks_more_whatever_was_learnt(one: float, other: float, taken: float) -> None:
    """Also where one was quick, and another slow: the pauses grow with what has been waited."""
    learnt, unknown = looks(Span(min(one, other), max(one, other)), taken), looks(Span(), taken)
    assert learnt[0] <= unknown[0] + 1500


def test_the_more_boot_the_less_often_each_is_looked_at() -> None:
    known = Boots()
    with counted(known), counted(known):
        assert known.booting == 2
        assert pause(Span(0.1, 0.1), 0.1, 0.002, LEAST * known.booting) == LEAST * 2
    assert known.booting == 0


def test_where_nothing_is_known_or_it_took_far_longer_all_is_as_ever() -> None:
    assert pause(Span(), 0.3, 0.006, LEAST) == 0.006
    assert pause(Span(0.1, 0.2), 5.0, BOOTING, LEAST) == BOOTING


def test_what_is_known_is_bounded() -> None:
    known = Boots()
    for number in range(boots.MOST + 1):
        known.expected(job("app-0"))
        known.learn(job(f"app-{number}"), 1.0 + number)
    assert known.expected(job("app-0")) == Span(1.0, 1.0)
    assert known.expected(job("app-1")) == Span()
    assert known.expected(job(f"app-{boots.MOST}")).least == 1.0 + boots.MOST
    assert len(known._last) == boots.MOST
