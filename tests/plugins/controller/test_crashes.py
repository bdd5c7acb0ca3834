"""Processes that crash as soon as they run, again and again: what that costs the grid is bounded."""

import heapq
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.life.restart import LONGEST, STABLE, describe, next_restart
from tests.plugins.controller.world import World

HOUR = 3600.0
AT_ONCE = 5
"""Restarts of a row that are not waited for."""


def starts(lives: list[float], until: float) -> list[float]:
    """When a job is started that lives for so long each time (the last one again and again), up to `until`."""
    now, restarts, found = 0.0, 0, list[float]()
    while now < until:
        life = lives[min(len(found), len(lives) - 1)]
        found.append(now)
        restart = next_restart(restarts, life)
        now, restarts = now + life + restart.pause, restart.number
    return found


@given(st.lists(st.floats(0.01, STABLE - 0.01), min_size=1, max_size=100), st.floats(10.0, HOUR))
def test_no_stretch_of_time_has_more_starts_than_the_pauses_allow(lives: list[float], stretch: float) -> None:
    found = starts(lives, 3 * HOUR)
    most = 1 + AT_ONCE + stretch / 10.0
    for at, begin in enumerate(found):
        assert sum(begin <= later < begin + stretch for later in found[at:]) <= most
    assert all(then - now >= LONGEST for now, then in pairwise(found[23:]))


@pytest.mark.parametrize("comes_up", [False, True])
def test_twenty_that_crash_every_second_cost_the_leader_nothing_and_their_hosts_ever_less(comes_up: bool) -> None:
    world = World()
    for host in ("a", "b"):
        world.host(host)
    world.app("hello", web=20)
    world.run()
    began, by_hour = world.now, [0, 0, 0]
    jobs = {a.job.id: a for a in world.facts.jobs.values()}
    ends = [(began + 1.0, id, 0) for id in sorted(jobs)]
    while ends[0][0] < began + 3 * HOUR:
        world.now, id, restarts = heapq.heappop(ends)
        restart = next_restart(restarts, 1.0)
        reason = restart.after(describe(1))
        world.tell(jobs[id], "starting", failure="crash", restarts=restart.number, exit_code=1, reason=reason)
        assert world.plan().changes == ()
        if comes_up:
            world.tell(jobs[id], "up", restarts=restart.number)
            assert world.plan().changes == ()
        by_hour[int((world.now - began) // HOUR)] += 1
        heapq.heappush(ends, (world.now + restart.pause + 1.0, id, restart.number))
    assert set(world.facts.jobs) == {f"{a.host}/{id}" for id, a in jobs.items()}, "none is moved or replaced"
    assert by_hour[0] <= 20 * 35
    assert by_hour[1] <= 20 * 12
    assert by_hour[2] <= 20 * 12
