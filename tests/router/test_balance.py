"""The choice among instances, with numbers for time and chance."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.router.balance import ASIDE, Load, choose


def load(in_flight: int = 0, aside: float = 0.0) -> Load:
    made = Load()
    made.in_flight, made.aside = in_flight, aside
    return made


def test_nothing_to_choose_from() -> None:
    assert choose([], [], 0, random.Random(1).getrandbits) is None
    one = load()
    assert choose([one], [one], 0, random.Random(1).getrandbits) is None


def test_of_two_drawn_the_lighter_one_is_taken() -> None:
    loads = [load(3), load(1), load(2)]
    assert choose(loads, [], 0, lambda bits: 1 << 16 | 0) is loads[2]
    assert choose(loads, [], 0, lambda bits: 1 << 24 | 1 << 16 | 0) is loads[1]


def test_the_one_that_answers_sooner_is_taken_but_the_other_is_not_forgotten() -> None:
    slow, fast = load(), load(3)
    slow.pace, fast.pace = 0.1, 0.01
    assert choose([slow, fast], [], 0, lambda bits: 1 << 16) is fast
    assert choose([slow, fast], [], 0, lambda bits: 0) is slow
    draw = random.Random(1).getrandbits
    picks = [choose([slow, fast], [], 0, draw) for _ in range(10_000)]
    assert 20 < picks.count(slow) < 200


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.integers(0, 2**40 - 1))
def test_the_heaviest_is_never_taken_while_one_is_lighter(weights: list[int], drawn: int) -> None:
    loads = [load(weight) for weight in weights]
    pick = choose(loads, [], 0, lambda bits: drawn | 1 << 16)
    assert pick is not None
    if weights.count(max(weights)) == 1:
        assert pick.in_flight < max(weights)


@given(st.integers(2, 6), st.data())
def test_no_instance_is_tried_twice(count: int, data: st.DataObject) -> None:
    loads = [load(aside=data.draw(st.sampled_from([0.0, 5.0, 50.0]))) for _ in range(count)]
    tried: list[Load] = []
    while (pick := choose(loads, tried, 10.0, random.Random(1).getrandbits)) is not None:
        assert pick not in tried
        tried.append(pick)
    assert len(tried) == count


def test_a_failing_instance_is_set_aside_and_tried_again_by_one_request() -> None:
    bad, good = load(), load(100)
    bad.failed(0.0)
    assert not bad.aside
    bad.failed(0.0)
    draw = random.Random(1).getrandbits
    assert {choose([bad, good], [], ASIDE[0] - 0.1, draw) for _ in range(50)} == {good}
    picks = [choose([bad, good], [], ASIDE[0] + 0.1, draw) for _ in range(50)]
    assert picks.count(bad) == 1
    bad.failed(6.0)
    assert bad.aside == 6.0 + ASIDE[1]
    bad.answered()
    assert bad in {choose([bad, good], [], 6.0, draw) for _ in range(50)}


def test_after_a_trial_one_failure_is_enough() -> None:
    bad = load()
    bad.failed(0.0, strikes=2)
    assert bad.aside
    bad.answered()
    assert not bad.aside
    bad.failed(9.0)
    assert bad.aside == 9.0 + ASIDE[0]


@pytest.mark.parametrize(("every", "aside"), [(2, True), (4, True), (50, False)])
def test_one_that_fails_now_and_then_is_set_aside_if_it_is_often(every: int, aside: bool) -> None:
    flaps, found = load(), False
    for number in range(1000):
        if number % every:
            flaps.answered()
        else:
            flaps.failed(0.0)
        found = found or bool(flaps.aside)
    assert found == aside


def test_one_that_never_answered_is_not_taken_for_a_quick_one() -> None:
    unknown, slow = load(2), load(1)
    slow.pace = 0.5
    for loads in ([unknown, slow], [slow, unknown]):
        assert choose(loads, [], 0, lambda bits: 1 << 16) is slow


def test_one_set_aside_is_better_than_none() -> None:
    only, other = load(aside=9.0), load(aside=9.0)
    assert choose([only], [], 0, random.Random(1).getrandbits) is only
    assert choose([only, other], [only], 0, random.Random(1).getrandbits) is other


def test_one_slow_answer_starves_nobody_and_many_are_noticed() -> None:
    load = Load()
    for _ in range(50):
        load.paced(0.005)
    usual = load.pace
    load.paced(20.0)
    assert load.pace < 2 * usual
    for _ in range(10):
        load.paced(0.005)
    assert load.pace < 1.4 * usual
    for _ in range(12):
        load.paced(0.05)
    assert load.pace > 5 * usual
