"""What a receipt says, from what routers count; and that a canary is judged by it."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.route_stats import GridStats, RouteStats, ServiceStats, Tally
from flynn.plugins.controller.deploy.receipts import OVER, begun, counted, noted, summed
from tests.plugins.controller.world import World

DEPLOY = model.Deploy(app="hello", old=1, new=2, started=100.0, stepped=100.0, reason="step 1: 1 web of v2")
BOUNDS = (0.1, 1.0)


def told(
    releases: dict[str, tuple[int, int]], failed: int = 0, held: int = 0, durations: tuple[int, ...] = ()
) -> GridStats:
    tallies = {name: Tally(answers=answers, failed=bad) for name, (answers, bad) in releases.items()}
    route = RouteStats(answers={"2xx": 9, "5xx": failed}, retries=held, durations=durations)
    return GridStats(services={"hello-web": ServiceStats(releases=tallies)}, routes={"r": route})


def counts(started: float = 1.0, **releases: tuple[int, int]) -> model.Counted:
    return counted(started, told(releases))


def test_it_counts_what_came_since_the_beginning() -> None:
    before = counted(1.0, told({"v1": (100, 1)}, failed=3, held=1, durations=(90, 10, 0)))
    after = counted(1.0, told({"v1": (150, 1), "v2": (30, 2)}, failed=5, held=2, durations=(160, 20, 0)))
    receipt = summed(begun(DEPLOY, {"a": before}), {"a": after}, (), BOUNDS)
    assert receipt.served == {"v1": model.Served(answers=50), "v2": model.Served(answers=30, failed=2)}
    assert (receipt.failed, receipt.held, receipt.slowest, receipt.silent) == (2, 1, 1.0, ())


def test_it_adds_up_all_routers_and_names_the_silent() -> None:
    receipt = begun(DEPLOY, {"a": counts(v1=(10, 0)), "b": counts(v1=(20, 0))})
    now = {"a": counts(v1=(11, 0)), "b": counts(v1=(22, 0))}
    assert summed(receipt, now, ["c"], BOUNDS).served == {"v1": model.Served(answers=3)}
    assert summed(receipt, now, ["c"], BOUNDS).silent == ("c",)


def test_a_router_that_starts_anew_or_is_heard_late_takes_nothing_back() -> None:
    receipt = begun(DEPLOY, {"a": counts(v1=(10, 0))})
    now = {"a": counts(150.0, v2=(5, 0)), "late": counts(50.0, v1=(1000, 0))}
    receipt = summed(receipt, now, (), BOUNDS)
    assert receipt.served == {"v2": model.Served(answers=5)}
    later = {"a": counts(150.0, v2=(6, 0)), "late": counts(50.0, v1=(1001, 0))}
    assert summed(receipt, later, (), BOUNDS).served == {"v1": model.Served(answers=1), "v2": model.Served(answers=6)}


def test_an_answer_beyond_all_classes_is_told_as_such() -> None:
    now = {"a": counted(1.0, told({}, durations=(0, 0, 1)))}
    assert summed(begun(DEPLOY, {"a": counted(1.0, told({}))}), now, (), BOUNDS).slowest == OVER


def test_it_notes_each_step_once_and_the_end() -> None:
    receipt = begun(DEPLOY, {})
    assert noted(receipt, DEPLOY) == receipt
    settled = replace(DEPLOY, reason="all are up")
    receipt = noted(noted(receipt, settled), settled)
    ended = replace(DEPLOY, state="failed", reason="web crashed", ended=130.0)
    receipt = noted(noted(receipt, ended), ended)
    assert [(step.at, step.words) for step in receipt.steps] == [
        (100.0, "v2 is made"), (100.0, "step 1: 1 web of v2"), (100.0, "all are up"), (130.0, "failed: web crashed"),
    ]  # fmt: skip
    assert (receipt.state, receipt.reason) == ("failed", "web crashed")


def canary(served: dict[str, model.Served]) -> World:
    """A canary of v2 that is watched, after these answers."""
    world = World()
    world.host("a")
    world.app("hello", web=3)
    world.run()
    world.deploy("hello", "web", strategy="canary", hold=60)
    for _ in range(5):
        world.settle()
        world.obey()
        world.now += 2
    receipt = model.Receipt(app="hello", version=2, old=1, started=world.now, served=served)
    world.put(keys.receipt("hello", 2), receipt)
    world.settle()
    return world


def test_a_canary_with_more_errors_goes_back() -> None:
    world = canary({"v1": model.Served(answers=1000, failed=10), "v2": model.Served(answers=50, failed=5)})
    deploy = world.facts.deploys["hello"]
    assert deploy.state == "failed"
    assert deploy.reason == "the canary answers 10.0% of its requests with errors, the others 1.0%"
    world.run()
    assert world.up("hello") == {(1, "web"): 3}


def test_a_canary_as_good_as_the_others_goes_on() -> None:
    world = canary({"v1": model.Served(answers=1000, failed=100), "v2": model.Served(answers=50, failed=5)})
    world.run(100)
    assert world.up("hello") == {(2, "web"): 3}


def test_of_few_answers_nothing_is_concluded() -> None:
    world = canary({"v1": model.Served(answers=1000), "v2": model.Served(answers=19, failed=19)})
    world.run(100)
    assert world.facts.deploys["hello"].state == "complete"
