"""The pages of the history: their bounds, and what becomes of a burst."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts, encode
from flynn.core.store import COMMIT_LIMIT, check_commit
from flynn.plugins.controller.events import history
from flynn.plugins.controller.events.chronicle import Witness
from flynn.plugins.controller.events.derive import Known, derive, last_of
from flynn.plugins.controller.events.history import BOUNDS, Bounds, written
from tests.plugins.controller.world import World


def event(time: float, text: str = "it is so") -> model.Event:
    return model.Event(id=0, time=time, kind="app", name="hello", what="so", text=text, app="hello")


def tell(world: World, count: int, bounds: Bounds = BOUNDS, text: str = "it is so") -> int:
    """Tell of so many events; the number of commits."""
    told = [event(world.now + at, text) for at in range(count)]
    changes = written(world.facts, told, world.facts.revision, world.now, bounds=bounds)
    for change in changes:
        check_commit(change.ops())
        assert sum(len(encode(record)) for record in change.puts.values()) < 1_000_000
        world.write(change)
    return len(changes)


def ids(facts: Facts) -> list[int]:
    return [one.id for one in history.events(facts)]


def test_a_page_grows_until_it_is_full() -> None:
    world = World()
    for _ in range(7):
        assert tell(world, 30) == 1
    assert ids(world.facts) == list(range(1, 211))
    assert [(page.first, len(page.events)) for page in history.pages(world.facts)] == [(1, 100), (101, 100), (201, 10)]
    tell(world, 30, text="x" * 60_000)
    assert [len(page.events) for page in history.pages(world.facts)][2:4] == [11, 1]


def test_only_the_newest_are_kept() -> None:
    world = World()
    bounds = Bounds(kept=20, page=5, puts=2, deletes=2)
    for _ in range(30):
        tell(world, 7, bounds)
        assert 20 <= len(ids(world.facts)) < 27 or ids(world.facts)[0] == 1
    assert ids(world.facts)[-1] == 210


def test_of_a_burst_the_newest_are_written_and_the_ids_say_what_is_missing() -> None:
    world = World()
    tell(world, 10)
    commits = tell(world, 50_000)
    assert commits == 10
    found = ids(world.facts)
    assert found == list(range(40_011, 50_011))
    assert BOUNDS.puts + BOUNDS.deletes <= COMMIT_LIMIT
    assert [one.id for one in history.since(world.facts, 50_000)] == list(range(50_001, 50_011))
    assert len(history.since(world.facts, 3)) == 10_000


def test_what_is_too_old_goes_but_never_the_newest_page() -> None:
    world = World()
    for _ in range(5):
        tell(world, 100)
    world.now += BOUNDS.age + 1000
    assert tell(world, 0) == 1
    [page] = history.pages(world.facts)
    assert (page.first, page.next) == (401, 501)
    assert tell(world, 0) == 0


def test_a_leader_without_a_photo_tells_nothing_again_whose_event_is_gone() -> None:
    """All daemons were away; of the history only the newest page is left."""
    world = World()
    world.put(keys.app("old"), model.App(name="old", created=1.0))
    world.put(keys.route("r"), model.Route(id="r", service="old-web", domain="a.b", app="old"))
    tell(world, 3, Bounds(kept=1))
    world.put(keys.route("r"), replace(world.facts.routes["r"], sticky=True))
    world.put(keys.app("new"), model.App(name="new", created=1.0))
    last = history.newest(world.facts)
    assert last
    known = Known(Facts(), last.revision, last_of(history.pages(world.facts)))
    found = [one for one in derive(known, world.facts, world.now, 30.0) if one]
    assert [one.text for one in found if one.name != "hello"] == ["the app new is created"]


def test_a_grid_that_was_moved_to_a_store_that_counts_anew_tells_what_happens_there() -> None:
    world = World()
    world.put(keys.app("old"), model.App(name="old", created=1.0))
    told = [event(1.0, "the app old is created")]
    [change] = written(world.facts, told, 5000, 1.0)
    world.write(change)
    witness = Witness()
    witness.note(world.facts)
    world.put(keys.app("new"), model.App(name="new", created=1.0))
    found = [one for one in derive(witness.known(world.facts), world.facts, world.now, 30.0) if one]
    assert [one.text for one in found if one.name != "hello"] == ["the app new is created"]
