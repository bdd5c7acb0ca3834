"""What is told of a change, in words, and that each change is told once whoever leads."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.events import history
from flynn.plugins.controller.events.chronicle import Witness
from flynn.plugins.controller.events.derive import Known, changes, derive
from flynn.plugins.controller.events.history import Bounds, written
from flynn.plugins.controller.events.views import QUIET
from tests.plugins.controller.test_properties import ACTS, act, begin
from tests.plugins.controller.world import World


def told(before: Facts, world: World) -> list[model.Event]:
    """What is told of the way from a photo to that of now."""
    return [event for event in derive(Known(before), world.facts, world.now, 30.0) if event]


def texts(events: list[model.Event]) -> list[str]:
    return [event.text for event in sorted(events, key=lambda event: event.time)]


def test_the_life_of_a_job_in_sentences() -> None:
    world = World()
    world.host("a")
    before = world.facts
    world.put(keys.app("hello"), model.App(name="hello", created=world.now))
    release = world.release("hello", "web")
    job = model.Job(
        id="hello-web-1", app="hello", type="web", queue="services", command="run", created=world.now, release=1
    )
    world.put(keys.queued("services", job.id), model.Queued(job=job))
    assert texts(told(before, world)) == [
        "the app hello is created", "release v1 of hello is made", "job hello-web-1 of v1 is queued",
    ]  # fmt: skip
    before = world.facts
    a = model.Assignment(job=job, host="a", assigned=world.now)
    world.write(Change(puts={keys.job("a", job.id): a}, deletes=(keys.queued("services", job.id),)))
    assert texts(told(before, world)) == ["job hello-web-1 starts on a"]
    steps: list[tuple[Callable[[], None], list[str]]] = [
        (lambda: world.tell(a, "starting"), []),
        (lambda: world.tell(a, "up", since=world.now + 0.4), ["job hello-web-1 is up on a after 0.4 s"]),
        (
            lambda: world.tell(a, "starting", restarts=1, reason="exited with code 1"),
            ["job hello-web-1 is started again on a (once): exited with code 1"],
        ),
        (lambda: world.tell(a, "stopping"), ["job hello-web-1 is being stopped on a"]),
        (
            lambda: world.tell(a, "down", exit_code=137, reason="killed"),
            ["job hello-web-1 has ended with code 137 on a: killed"],
        ),
        (lambda: world.write(Change(deletes=(keys.job("a", job.id),))), []),
        (lambda: world.write(Change(deletes=(keys.state("a", job.id),))), []),
    ]
    for step, said in steps:
        before = world.facts
        step()
        assert texts(told(before, world)) == said
    assert release.version == 1


def test_a_host_leaves_with_its_jobs() -> None:
    world = begin()
    world.run()
    before = world.facts
    world.lose("a")
    [event] = told(before, world)
    assert (event.kind, event.what, event.text) == ("host", "left", "a has left; its job waits 30 s for it")
    before = world.facts
    [(key, a)] = [(key, a) for key, a in world.facts.jobs.items() if a.host == "a"]
    world.write(Change(deletes=(f"jobs/{key}",)))
    [event] = told(before, world)
    assert (event.what, event.text) == ("lost", f"job {a.job.id} is lost with a")
    before = world.facts
    world.host("a")
    assert told(before, world)[0].text == "a joins, with 8192 MiB and 4 CPUs for jobs ()"


def test_what_is_wanted_of_a_host() -> None:
    world = World()
    wishes = [
        (model.Wish(host="a", drained=5.0), ["a is to be drained"]),
        (model.Wish(host="a", drained=5.0, force=True), ["the drain of a is told otherwise"]),
        (model.Wish(host="a", tags={"disk": "ssd", "old": ""}), ["a is not drained any more"]),
        (model.Wish(host="a", tags={"disk": "ssd"}), ["the tags of a are set: disk=ssd"]),
        (model.Wish(host="a"), ["the tags of a are set: only its own"]),
    ]
    for wish, said in wishes:
        before = world.facts
        world.put(keys.wish("a"), wish)
        assert texts(told(before, world)) == said


def test_a_whole_deploy_is_told_of() -> None:
    world = begin()
    world.run()
    before, kept = world.facts, world.facts.apps["hello"]
    world.deploy("hello", "web")
    world.run()
    said = texts(told(before, world))
    assert "the deploy of hello to v2 is complete" in said
    assert "release v2 of hello serves" in said
    before = world.facts
    where = {"web": model.Placement(tags={"disk": "ssd"}, one_per_host=True)}
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 2}, placement=where))
    assert texts(told(before, world)) == ["hello shall run web on hosts with disk=ssd, one on each at most"]
    before = world.facts
    world.put(keys.formation("hello"), model.Formation(app="hello", counts={"web": 3}))
    world.put(keys.app("hello"), replace(kept, release=2, env={"KEY": "secret"}))
    assert set(texts(told(before, world))) == {
        "hello shall run web=3 (before: web=2)", "the config of hello has other variables: KEY",
    }  # fmt: skip


@pytest.mark.parametrize("change", ["load", "reason", "value"])
def test_what_is_no_event(change: str) -> None:
    world = World()
    world.host("a")
    job = model.Job(id="j-1", app="hello", type="web", queue="services", command="run", created=1.0)
    world.put(keys.queued("services", "j-1"), model.Queued(job=job))
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, env={"A": "1"}))
    before = world.facts
    if change == "load":
        load = model.Load(load=3.0, memory_free=1, disk_free=1, disk=1)
        world.put(keys.host("a"), replace(world.facts.hosts["a"], load=load))
    elif change == "reason":
        world.put(keys.queued("services", "j-1"), model.Queued(job=job, reason="no host has room"))
    else:
        world.put(keys.app("hello"), replace(world.facts.apps["hello"], env={"A": "2"}))
    assert told(before, world) == []


def test_no_secret_is_told() -> None:
    world = World()
    before = world.facts
    secret = "hunter2"
    world.put(keys.app("hello"), model.App(name="hello", created=1.0, env={"PASSWORD": secret}))
    world.put(
        keys.sink("s"), model.Sink(id="s", url=f"https://me:{secret}@logs.example:1/{secret}?k={secret}", created=1.0)
    )
    made = model.Release(
        app="hello", version=1, created=1.0, artifact=model.Artifact(sha256="a"), env={"PASSWORD": secret},
        processes={"web": model.ProcessType(command=f"run {secret}")},
    )  # fmt: skip
    world.put(keys.release("hello", 1), made)
    found = told(before, world)
    assert len(found) == 3
    assert secret not in repr(found)
    assert "PASSWORD" in repr(found)


SMALL = Bounds(kept=10_000, page=3, puts=1)


@dataclass
class Chain:
    """Leaders one after the other over one world. Each node is a witness; the commits of one may stop half-way."""

    world: World = field(default_factory=begin)
    witness: Witness = field(default_factory=Witness)
    known: Known | None = None

    def see(self) -> None:
        self.witness.note(self.world.facts)

    def tell(self, commits: int) -> None:
        """Tell what is new; only the first `commits` of it get through."""
        facts = self.world.facts
        known = self.known or self.witness.known(facts)
        found = [event for event in derive(known, facts, self.world.now, 30.0) if event]
        done = written(facts, found, facts.revision, self.world.now, bounds=SMALL)
        for change in done[:commits] if found or not facts.events else []:
            self.world.write(change)
            self.see()
        self.known = Known(facts) if commits >= len(done) else None

    def next(self, fresh: bool) -> None:
        """Another leads: one that stood by, or one that has just been started."""
        self.known = None
        if fresh:
            self.witness = Witness()
            self.see()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("act"), ACTS.map(lambda acts: acts[:4])),
        st.tuples(st.just("tell"), st.integers(0, 40)),
        st.tuples(st.just("next"), st.booleans()),
    ),
    max_size=25,
)


@settings(max_examples=100)
@given(STEPS)
def test_each_change_is_told_once_whoever_leads(steps: list[tuple[str, object]]) -> None:
    chain = Chain()
    chain.see()
    chain.tell(100)
    for name, what in steps:
        if name == "act" and isinstance(what, list):
            for one, number in what:
                act(chain.world, one, number)
                chain.see()
        elif name == "tell" and isinstance(what, int):
            chain.tell(what)
        elif name == "next":
            chain.next(bool(what))
    chain.known = None
    chain.tell(1000)
    events = list(history.events(chain.world.facts))
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    _follow_on(events)
    _tell_all(chain.world.facts, events)


def _follow_on(events: list[model.Event]) -> None:
    """Each event goes on from what the one before it said of the same thing, and says something else."""
    last: dict[tuple[str, str], model.Event] = {}
    for event in events:
        was = last.get((event.kind, event.name))
        quiet = {*QUIET.get(event.kind, ()), "since"}
        if was is not None:
            before = {**event.data, **event.before}
            kept = {key: value for key, value in was.data.items() if key not in quiet}
            assert {key: before.get(key) for key in kept} == kept or not (was.data and event.before), (was, event)
            assert {k: v for k, v in event.data.items() if k not in quiet} != kept, (was, event)
        last[event.kind, event.name] = event


def _tell_all(facts: Facts, events: list[model.Event]) -> None:
    """The events say of each thing how it is now; what was there at the beginning may not be told of."""
    last = {(event.kind, event.name): event.data for event in events}
    for change in changes(Known(Facts()), facts):
        assert change.now is not None
        if (view := last.get((change.kind, change.name))) is not None:
            quiet = {*QUIET.get(change.kind, ()), "since"}
            assert {k: v for k, v in view.items() if k not in quiet} == {
                k: v for k, v in change.now.view.items() if k not in quiet
            }
        else:
            assert change.kind in ("app", "release", "formation", "deploy")
