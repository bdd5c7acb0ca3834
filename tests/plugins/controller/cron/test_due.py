"""Runs that are due: each tick once, whoever leads and whatever clocks do."""

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model, ticks
from flynn.core.change import Change
from flynn.core.errors import Conflict, NotFound
from flynn.core.facts import Facts
from flynn.core.model import Cron, Ledger, Run
from flynn.plugins.controller.cron import verbs
from flynn.plugins.controller.cron.due import GRACE, job_name
from flynn.plugins.controller.cron.ledger import KEPT
from flynn.plugins.controller.decide import stop_job
from flynn.plugins.controller.queue_limits import EphemeralLimits, Queues
from tests.plugins.controller.world import World

T0 = 1_800_000_000.0
"""A minute begins; so do five and an hour."""


def begin(**entry: Any) -> World:
    """An app that serves, with one entry named `tick`, each five minutes."""
    world = World(now=T0)
    world.host("a")
    world.app("hello", web=1)
    cron = Cron(**{"schedule": "*/5 * * * *", "command": "bin/tick", **entry})
    made = world.facts.releases["hello/1"]
    world.put(keys.release("hello", 1), replace(made, cron={"tick": cron}))
    world.put(keys.app("hello"), model.App(name="hello", created=T0, release=1))
    world.settle()
    return world


def ledger(world: World) -> Ledger:
    return world.facts.crons["hello/tick"]


def outcomes(world: World) -> list[str]:
    return [run.outcome for run in ledger(world).runs]


def pass_time(world: World, seconds: float) -> None:
    """Time passes as it does, a pass of the plan at each wake; hosts do what they are told."""
    end = world.now + seconds
    while world.now < end:
        world.now = min(world.now + 20, end)
        world.settle()
        world.obey()
        world.settle()


def end_jobs(world: World, code: int = 0, reason: str = "") -> None:
    """All runs under way end by themselves."""
    for a in list(world.facts.jobs.values()):
        if a.job.queue == "ephemeral":
            world.tell(a, "down", exit_code=code, reason=reason)
    world.settle()


def test_a_tick_for_whose_run_the_queue_has_no_room_is_skipped_and_says_so() -> None:
    world = begin()
    world.planner.limits = world.limits = dataclasses.replace(
        world.limits, queues=Queues(ephemeral=EphemeralLimits(bound=2))
    )
    world.put(keys.app("other"), model.App(name="other", created=T0))
    large = model.Job(id="", app="other", type="run", queue="ephemeral", created=T0, command="x", memory=1 << 20)
    waiting = [replace(large, id=f"other-run-{number}") for number in range(2)]
    for job in waiting:
        world.put(keys.queued("ephemeral", job.id), model.Queued(job=job))
    world.now = T0 + 300
    world.settle()
    [run] = ledger(world).runs
    full = "the queue ephemeral is full: 2 wait, and it takes 2"
    assert run == Run(due=T0 + 300, outcome="skipped", reason=full)
    world.write(Change(deletes=(keys.queued("ephemeral", waiting[0].id),)))
    world.now = T0 + 600
    world.settle()
    assert outcomes(world) == ["skipped", "queued"]


def test_a_run_from_its_tick_to_its_end() -> None:
    world = begin(limits={"memory": 256})
    world.now = T0 + 299
    world.settle()
    assert outcomes(world) == []
    assert world.plan().wake == T0 + 300
    world.now = T0 + 300
    world.settle()
    [run] = ledger(world).runs
    assert run == Run(due=T0 + 300, outcome="queued", job=job_name(ledger(world), T0 + 300), queued=T0 + 300)
    [a] = [a for a in world.facts.jobs.values() if a.job.queue == "ephemeral"]
    job = a.job
    assert (job.id, job.type, job.command, job.release, job.memory_limit) == (run.job, "tick", "bin/tick", 1, 256)
    world.now += 1
    world.tell(a, "up")
    world.settle()
    assert outcomes(world) == ["running"]
    world.now += 4
    world.tell(a, "down", exit_code=0)
    world.settle()
    [run] = ledger(world).runs
    assert (run.outcome, run.started, run.ended, run.exit_code) == ("done", T0 + 301, T0 + 305, 0)
    world.now = T0 + 600
    world.settle()
    end_jobs(world, 3, "exited with code 3")
    assert (outcomes(world), ledger(world).runs[-1].reason) == (["done", "failed"], "exited with code 3")


@pytest.mark.parametrize(
    ("missed", "late", "told"),
    [
        ("skip", GRACE, [("missed", 2), ("queued", 1)]),
        ("skip", GRACE + 1, [("missed", 3)]),
        ("once", GRACE, [("missed", 2), ("queued", 1)]),
        ("once", GRACE + 1, [("missed", 2), ("queued", 1)]),
    ],
)
def test_ticks_at_which_nobody_led(missed: str, late: float, told: list[tuple[str, int]]) -> None:
    world = begin(missed=missed)
    world.now = T0 + 900 + late
    world.settle()
    assert [(run.outcome, run.count) for run in ledger(world).runs] == told
    assert ledger(world).after == T0 + 900


@pytest.mark.parametrize(
    ("overlap", "told", "after"),
    [
        ("skip", ["running", "skipped", "skipped"], ["done", "skipped", "skipped"]),
        ("queue", ["running", "waiting", "waiting"], ["done", "waiting", "running"]),
        ("allow", ["running"] * 3, ["done"] * 3),
    ],
)
def test_a_tick_while_the_run_before_has_not_ended(overlap: str, told: list[str], after: list[str]) -> None:
    world = begin(overlap=overlap)
    pass_time(world, 900)
    assert outcomes(world) == told
    end_jobs(world)
    world.obey()
    world.settle()
    assert outcomes(world) == after


def test_what_runs_too_long_is_stopped() -> None:
    world = begin(timeout=100.0)
    pass_time(world, 320)
    assert outcomes(world) == ["running"]
    assert world.plan().wake == ledger(world).runs[0].started + 100
    pass_time(world, 100)
    [run] = ledger(world).runs
    assert (run.outcome, run.reason) == ("stopped", "stopped after 100 s, which is its timeout")


def test_what_a_user_stops_is_no_failure() -> None:
    world = begin()
    pass_time(world, 300)
    world.write(stop_job(world.facts, ledger(world).runs[0].job, world.now))
    world.obey()
    world.settle()
    [run] = ledger(world).runs
    assert (run.outcome, run.reason) == ("stopped", "stopped")


def test_what_was_lost_and_what_was_taken_out() -> None:
    world = begin()
    pass_time(world, 300)
    world.lose("a")
    world.settle()
    world.now += 40
    world.settle()
    assert outcomes(world) == ["lost"]
    world.now = T0 + 600
    world.settle()
    [key] = [key for key in world.facts.queues if key.startswith("ephemeral/")]
    world.write(Change(deletes=(f"queues/{key}",)))
    world.settle()
    assert outcomes(world) == ["lost", "cancelled"]


def test_a_clock_that_is_set_back_brings_no_tick_again() -> None:
    world = begin()
    world.now = T0 + 600
    world.settle()
    end_jobs(world)
    world.now = T0 + 310
    world.settle()
    assert world.plan().wake == T0 + 900
    pass_time(world, 500)
    assert [run.due for run in ledger(world).runs if run.job] == [T0 + 600]
    pass_time(world, 100)
    assert [run.due for run in ledger(world).runs if run.job] == [T0 + 600, T0 + 900]


def test_another_schedule_counts_from_its_deploy() -> None:
    world = begin()
    pass_time(world, 1000)
    made = world.facts.releases["hello/1"]
    entry = replace(made.cron["tick"], schedule="0 * * * *")
    world.put(keys.release("hello", 2), replace(made, version=2, cron={"tick": entry}))
    world.put(keys.app("hello"), replace(world.facts.apps["hello"], release=2))
    world.settle()
    assert ledger(world).after == world.now
    assert [run.due for run in ledger(world).runs] == [T0 + 300, T0 + 600, T0 + 900]
    world.put(keys.release("hello", 3), replace(made, version=3, cron={}))
    world.put(keys.app("hello"), replace(world.facts.apps["hello"], release=3))
    world.settle()
    assert "hello/tick" in world.facts.crons
    end_jobs(world)
    assert "hello/tick" not in world.facts.crons
    pass_time(world, 7200)
    assert not any(a.job.queue == "ephemeral" for a in world.facts.jobs.values())


def test_all_goes_with_the_app() -> None:
    world = begin()
    pass_time(world, 300)
    world.write(Change(deletes=(keys.app("hello"),)))
    for _ in range(3):
        world.settle()
        world.obey()
    assert not world.facts.crons
    assert not world.facts.jobs


def test_a_run_by_hand_pause_and_resume() -> None:
    world = begin()
    world.write(verbs.run_now(world.facts, "hello", "tick", "hello-tick-1", world.now))
    world.settle()
    [run] = ledger(world).runs
    assert (run.by_hand, run.outcome, run.job) == (True, "queued", "hello-tick-1")
    with pytest.raises(Conflict, match="hello-tick-1 has not ended"):
        verbs.run_now(world.facts, "hello", "tick", "hello-tick-2", world.now)
    end_jobs(world)
    world.write(verbs.pause(world.facts, "hello", "tick", True, world.now))
    assert verbs.pause(world.facts, "hello", "tick", True, world.now) == Change()
    pass_time(world, 1000)
    assert outcomes(world) == ["done"]
    assert verbs.coming(*verbs.find_entry(world.facts, "hello", "tick"), world.now) is None
    world.write(verbs.pause(world.facts, "hello", "tick", False, world.now))
    assert verbs.coming(*verbs.find_entry(world.facts, "hello", "tick"), world.now) == T0 + 1200
    pass_time(world, 200)
    assert outcomes(world) == ["done", "running"]
    with pytest.raises(NotFound, match="it has: tick"):
        verbs.find_entry(world.facts, "hello", "tock")


def test_the_ledger_is_bounded() -> None:
    world = begin(schedule="* * * * *")
    for _ in range(KEPT + 20):
        world.now += 60
        world.settle()
        end_jobs(world)
        for key in list(world.facts.states):
            world.write(Change(deletes=(f"states/{key}",)))
    assert len(ledger(world).runs) == KEPT
    assert ledger(world).runs[-1].due == world.now


@dataclass
class Grid:
    """Several leaders on one store: each plans on the photo that it has, which may be old; a commit is guarded."""

    world: World
    old: list[Facts] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    told: int = 0
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def plan(self, facts: Facts) -> None:
        """One pass of a leader that sees `facts`; the store refuses what was decided on what is no more."""
        here = self.world.facts
        self.world.facts = facts
        changes = self.world.plan().changes
        self.world.facts = here
        for change in changes:
            if all(guard == self.world.facts.unchanged(guard.key) for guard in change.guards(facts)):
                self._count(change)
                self.world.write(change)

    def _count(self, change: Change) -> None:
        new = (key for key in change.puts if self.world.facts.get(key) is None)  # Else it is told why it waits.
        self.started += [key for key in new if key.startswith("queues/ephemeral/")]
        for record in change.puts.values():
            if isinstance(record, Ledger):
                before = self.world.facts.crons.get("hello/tick")
                kept = {(run.due, run.count) for run in (before.runs if before else ())}
                self.told += sum(run.count for run in record.runs if (run.due, run.count) not in kept)


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.integers(-1200, 2400)),
        st.tuples(st.just("minute"), st.just(0)),
        st.tuples(st.just("plan"), st.integers(0, 3)),
        st.tuples(st.just("obey"), st.just(0)),
        st.tuples(st.just("end"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(ACTS, st.sampled_from(["skip", "once"]), st.sampled_from(["skip", "queue", "allow"]))
def test_each_tick_is_accounted_for_once(acts: list[tuple[str, int]], missed: str, overlap: str) -> None:
    """With leaders whose photos are old, and clocks that jump both ways: no run is started twice, and all ticks up to
    the last one that is done with are run, skipped or missed."""
    world = begin(missed=missed, overlap=overlap)
    grid, first = Grid(world), ledger(world).after
    for name, number in acts:
        grid.old.append(world.facts)
        if name == "time":
            world.now = max(world.now + number, T0)
        elif name == "minute":
            world.now += 60
        elif name == "plan":
            grid.plan(grid.old[-1 - min(number, len(grid.old) - 1)])
        elif name == "obey":
            world.obey()
        else:
            for a in list(world.facts.jobs.values()):
                state = world.facts.states.get(f"{a.host}/{a.job.id}")
                if a.job.queue == "ephemeral" and state and state.state != "down":
                    world.tell(a, "down", exit_code=0)
    assert len(grid.started) == len(set(grid.started))
    count, last = ticks.between("*/5 * * * *", "UTC", first, ledger(world).after)
    assert grid.told == count
    assert not count or last == ledger(world).after


def test_a_clock_that_is_behind_brings_no_tick_again_by_a_pause() -> None:
    world = begin()
    pass_time(world, 301)
    done = ledger(world).after
    for paused in (True, False):
        world.write(verbs.pause(world.facts, "hello", "tick", paused, done - 2))
    assert ledger(world).after == done
