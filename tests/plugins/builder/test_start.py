"""The beginning of a build, and its cancelling, on a photo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import KEPT, latest, of_job, under_way
from flynn.core.change import Change, applied
from flynn.core.errors import Conflict, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.plugins.builder.cancel import cancel_build, cancel_job
from flynn.plugins.builder.start import Source, Supplies, begin

SOURCE, TOOLS = Source("a" * 64), Supplies("b" * 64)
HELLO = Facts.of({keys.app("hello"): model.App(name="hello", created=1.0)})


def begun(facts: Facts, id: str = "hello-build-1", now: float = 5.0) -> Facts:
    return applied(facts, begin(facts, "hello", id, SOURCE, TOOLS, now))


def ended(facts: Facts, state: str = "failed") -> Facts:
    build = under_way(facts, "hello")
    assert build is not None
    return applied(facts, Change({keys.build("hello", build.number): replace(build, state=state, reason="why")}))


def test_builds_are_numbered_and_the_last_ones_are_kept() -> None:
    facts = HELLO
    for number in range(1, KEPT + 6):
        facts = ended(begun(facts, f"hello-build-{number}"))
        assert len(facts.builds) == min(number, KEPT)
    assert sorted(build.number for build in facts.builds.values()) == list(range(6, KEPT + 6))
    last = latest(facts, "hello")
    assert last is not None
    assert (last.number, last.job) == (KEPT + 5, f"hello-build-{KEPT + 5}")
    assert of_job(facts, "hello", "hello-build-1") is None


def test_one_at_a_time_and_only_of_an_app_that_there_is() -> None:
    with pytest.raises(NotFound, match="there is no app other"):
        begin(HELLO, "other", "x", SOURCE, TOOLS, 5.0)
    with pytest.raises(Conflict, match=r"build 1 of hello is under way \(hello-build-1\)"):
        begun(begun(HELLO))
    large = {keys.app("hello"): model.App(name="hello", created=1.0, env={"K": "x" * 700_000})}
    with pytest.raises(Invalid, match="the config of hello is too large"):
        begun(Facts.of(large))


def test_cancelling_is_asked_for_once() -> None:
    facts = begun(HELLO)
    facts = applied(facts, cancel_build(facts, "hello", 1))
    assert facts.builds["hello/1"].cancel == "a user asked for it"
    assert cancel_build(facts, "hello", 1) == Change()
    assert cancel_job(facts, "hello", "hello-build-1", "the push broke off") == Change()
    assert cancel_job(facts, "hello", "no-such-job", "x") == Change()
    with pytest.raises(Conflict, match="build 1 of hello has ended already: why"):
        cancel_build(ended(facts), "hello", 1)
    complete = applied(facts, Change({keys.build("hello", 1): replace(facts.builds["hello/1"], state="complete")}))
    with pytest.raises(Conflict, match="it became v0"):
        cancel_build(complete, "hello", 1)
    for app, number in (("hello", 2), ("other", 1)):
        with pytest.raises(NotFound):
            cancel_build(facts, app, number)


@given(st.lists(st.sampled_from(["begin", "end", "cancel"]), max_size=60))
def test_whatever_happens_numbers_go_up_and_one_is_under_way_at_most(acts: list[str]) -> None:
    facts, highest = HELLO, 0
    for at, act in enumerate(acts):
        running = under_way(facts, "hello")
        if act == "begin" and running is None:
            facts = begun(facts, f"job-{at}")
            build = latest(facts, "hello")
            assert build is not None
            assert build.number == highest + 1
            highest += 1
        elif act == "end" and running:
            facts = ended(facts)
        elif act == "cancel" and running:
            facts = applied(facts, cancel_build(facts, "hello", running.number))
        assert sum(build.state == "building" for build in facts.builds.values()) <= 1
        assert len(facts.builds) <= KEPT


def test_a_build_is_held_to_the_rules_and_to_what_its_app_is_set_to() -> None:
    facts = begun(HELLO)
    (job,) = (queued.job for queued in facts.queues.values())
    assert (job.memory, job.memory_limit, job.pids, job.disk, job.time_limit) == (512, 2048, 2048, 6144, 915.0)
    app = model.App(name="hello", created=1.0, limits={"build": {"memory": 256, "cpu": 1500, "pids": 64, "files": 99}})
    facts = begun(Facts.of({keys.app("hello"): app}))
    (job,) = (queued.job for queued in facts.queues.values())
    assert (job.memory, job.memory_limit, job.cpu, job.pids, job.files) == (256, 256, 1500, 64, 99)
