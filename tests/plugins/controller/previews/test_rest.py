"""When previews sleep and wake, by what routers counted."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts
from flynn.core.route_stats import RouteStats
from flynn.plugins.controller.previews.keeper import summed
from flynn.plugins.controller.previews.rest import Counted, Seen, is_asleep, look, rested, wake
from tests.plugins.controller.world import World

APP = model.App(name="p", created=1.0, release=1, preview=model.Preview(of="hello", branch="b"))
COUNTS = {"web": 2, "worker": 1, "cron": 0}


def world() -> World:
    made = World()
    made.put(keys.app("p"), APP)
    made.put(keys.formation("p"), model.Formation(app="p", counts=COUNTS))
    return made


def counts(facts: Facts) -> dict[str, int]:
    return dict(facts.formations["p"].counts)


def told(*answers: int, in_flight: int = 0) -> dict[str, Counted]:
    return {f"host-{number}": Counted(count, in_flight) for number, count in enumerate(answers)}


def test_what_was_counted_before_it_was_looked_at_is_no_request() -> None:
    seen, asked = look(None, told(5, 7), 1, 10.0)
    assert (seen, asked) == (Seen({"host-0": 5, "host-1": 7}, 10.0, 1), False)
    assert look(seen, told(5, 7), 1, 20.0) == (seen, False)


def test_a_request_at_any_router_counts_also_at_one_that_began_anew() -> None:
    seen, _ = look(None, told(5, 7), 1, 10.0)
    assert look(seen, told(5, 8), 1, 20.0) == (Seen({"host-0": 5, "host-1": 8}, 20.0, 1), True)
    assert look(seen, told(0, 7), 1, 20.0)[1] is False, "it has begun anew, and nobody asked since"
    assert look(seen, told(2, 7), 1, 20.0)[1] is True
    assert look(seen, {}, 1, 20.0) == (seen, False), "who says nothing is no news"
    assert look(seen, told(5, 7, 1), 1, 20.0)[1] is True, "another router"
    assert look(seen, told(5, 7, in_flight=1), 1, 20.0)[1] is True, "as a WebSocket that is open"


def test_a_deploy_counts_as_use() -> None:
    seen, _ = look(None, told(5), 1, 10.0)
    assert look(seen, told(5), 2, 30.0)[0].since == 30.0


def test_its_time_begins_anew_while_it_sleeps_or_is_busy() -> None:
    seen, _ = look(None, told(5), 1, 10.0)
    assert look(seen, told(5), 1, 30.0, used=True) == (Seen(seen.counts, 30.0, 1), False)


def test_it_does_not_sleep_while_it_is_built_and_who_builds_it_wakes_it() -> None:
    grid = world()
    grid.write(rested(grid.facts, "p", 60, 60.0, False))
    grid.put(keys.build("p", 1), model.Build(app="p", number=1, job="p-push-1", source="", started=1.0))
    grid.write(rested(grid.facts, "p", 60, 60.0, False))
    assert counts(grid.facts) == COUNTS
    assert not rested(grid.facts, "p", 60, 60.0, False).puts
    grid.put(keys.build("p", 1), model.Build(app="p", number=1, job="p-push-1", source="", started=1.0, state="failed"))
    slept = rested(grid.facts, "p", 60, 60.0, False)
    assert keys.build("p", 2) in slept.seen, "not if a build begins just now"


def test_it_sleeps_after_its_time_and_wakes_as_it_was() -> None:
    grid = world()
    assert not rested(grid.facts, "p", 60, 59.9, False).puts
    assert not rested(grid.facts, "p", 0, 1e9, False).puts, "never, if so said"
    assert not rested(grid.facts, "p", 60, 90.0, True).puts
    grid.write(rested(grid.facts, "p", 60, 60.0, False))
    assert is_asleep(grid.facts, grid.facts.apps["p"])
    assert counts(grid.facts) == {"web": 0, "worker": 0, "cron": 0}
    assert not rested(grid.facts, "p", 60, 1e9, False).puts, "it sleeps on"
    asleep = grid.facts
    grid.write(rested(grid.facts, "p", 60, 0.0, True))
    assert (counts(grid.facts), grid.facts.apps["p"]) == (COUNTS, APP)
    assert rested(asleep, "p", 0, 0.0, False).puts, "those that shall never sleep do not sleep on"


def test_who_scales_it_wakes_it_and_who_scaled_it_to_nothing_wants_that() -> None:
    grid = world()
    grid.write(rested(grid.facts, "p", 60, 60.0, False))
    grid.put(keys.formation("p"), model.Formation(app="p", counts={"web": 1}))
    grid.write(rested(grid.facts, "p", 60, 60.0, False))
    assert (counts(grid.facts), grid.facts.apps["p"]) == ({"web": 1}, APP)
    grid.put(keys.formation("p"), model.Formation(app="p", counts={"web": 0}))
    for asked in (True, False):
        assert not rested(grid.facts, "p", 60, 90.0, asked).puts
    assert not wake(grid.facts, "p").puts


def test_it_does_not_sleep_while_it_is_deployed_or_was_never() -> None:
    grid = world()
    grid.put(keys.deploy("p"), model.Deploy(app="p", new=1, old=0, started=1.0))
    assert grid.facts.deploys["p"].state == "running"
    assert not rested(grid.facts, "p", 60, 90.0, False).puts
    assert rested(grid.facts, "p", 60, 90.0, False) == rested(grid.facts, "none", 60, 90.0, False)
    grid.put(keys.app("p"), replace(APP, release=0))
    assert not rested(grid.facts, "p", 60, 90.0, True).puts


def test_the_routes_of_an_app_are_summed() -> None:
    routes = [
        RouteStats(app="p", answers={"2xx": 3, "5xx": 1}),
        RouteStats(app="p", answers={"2xx": 2}, in_flight=1),
        RouteStats(app="q", answers={"2xx": 9}),
    ]
    assert summed(routes, ["p", "r"]) == {"p": Counted(6, 1), "r": Counted(0, 0)}
