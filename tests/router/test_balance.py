"""The choice among instances, with numbers for time and chance."""

import random

from hypothesis import given
from hypothesis import strategies as st

from flynn.router.balance import ASIDE, Load, choose


def load(in_flight: int = 0, aside: float = 0.0) -> Load:
    made = Load()
    made.in_flight, made.aside = in_flight, aside
    return made


def test_nothing_to_choose_from() -> None:
    assert choose([], [], 0, random.random) is None
    one = load()
    assert choose([one], [one], 0, random.random) is None


def test_of_two_drawn_the_lighter_one_is_taken() -> None:
    loads = [load(3), load(1), load(2)]
    draws = iter([0.0, 0.9])
    assert choose(loads, [], 0, lambda: next(draws)) is loads[2]
    draws = iter([0.5, 0.0])
    assert choose(loads, [], 0, lambda: next(draws)) is loads[1]


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.integers())
def test_the_heaviest_is_never_taken_while_one_is_lighter(weights: list[int], seed: int) -> None:
    loads = [load(weight) for weight in weights]
    pick = choose(loads, [], 0, random.Random(seed).random)
    assert pick is not None
    if weights.count(max(weights)) == 1:
        assert pick.in_flight < max(weights)


@given(st.integers(2, 6), st.data())
def test_no_instance_is_tried_twice(count: int, data: st.DataObject) -> None:
    loads = [load(aside=data.draw(st.sampled_from([0.0, 5.0, 50.0]))) for _ in range(count)]
    tried: list[Load] = []
    while (pick := choose(loads, tried, 10.0, random.Random(1).random)) is not None:
        assert pick not in tried
        tried.append(pick)
    assert len(tried) == count


def test_a_failing_instance_is_set_aside_and_tried_again_by_one_request() -> None:
    bad, good = load(), load(100)
    bad.failed(0.0)
    assert not bad.aside
    bad.failed(0.0)
    chance = random.Random(1).random
    assert {choose([bad, good], [], ASIDE[0] - 0.1, chance) for _ in range(50)} == {good}
    picks = [choose([bad, good], [], ASIDE[0] + 0.1, chance) for _ in range(50)]
    assert picks.count(bad) == 1
    bad.failed(6.0)
    assert bad.aside == 6.0 + ASIDE[1]
    bad.answered()
    assert bad in {choose([bad, good], [], 6.0, chance) for _ in range(50)}


def test_one_set_aside_is_better_than_none() -> None:
    only, other = load(aside=9.0), load(aside=9.0)
    assert choose([only], [], 0, random.random) is only
    assert choose([only, other], [only], 0, random.random) is other
