"""The last ten releases are kept beside the one that serves; what is in use, whatever its age."""

from flynn.core import keys, model
from flynn.plugins.controller import decide
from flynn.plugins.controller.deploy.old_releases import KEPT
from flynn.plugins.controller.one_off import NewRun, run_job
from tests.plugins.controller.deploy.test_begin import served
from tests.plugins.controller.world import World


def versions(world: World) -> list[int]:
    return sorted(release.version for release in world.facts.releases.values())


def changed(world: World, value: str) -> None:
    world.write(decide.set_env(world.facts, "hello", {"A": value}, (), world.now))
    version = world.facts.deploys["hello"].new
    receipt = model.Receipt(app="hello", version=version, old=version - 1, started=world.now)
    world.put(keys.receipt("hello", version), receipt)
    world.run()


def test_the_last_ten_are_kept_with_their_receipts() -> None:
    world = served(web=1)
    for number in range(2, 31):
        changed(world, str(number))
    assert versions(world) == list(range(30 - KEPT, 31))
    assert sorted(receipt.version for receipt in world.facts.receipts.values()) == versions(world)
    world.write(decide.rollback(world.facts, "hello", 30 - KEPT, world.now))
    world.run()
    assert world.up("hello") == {(31, "web"): 1}


def test_what_has_jobs_is_kept() -> None:
    """A one-off job runs on for long; its release may be looked at meanwhile."""
    world = served(web=1)
    world.write(run_job(world.facts, "hello", NewRun("sleep 1000", detach=True), "long", world.now))
    for number in range(2, 20):
        changed(world, str(number))
    assert versions(world) == [1, *range(19 - KEPT, 20)]


def test_a_thousand_are_forgotten_bit_by_bit() -> None:
    world = served(web=1)
    for _ in range(200):
        world.release("hello", "web")
    world.run()
    assert versions(world) == [1, *range(202 - KEPT, 202)]
