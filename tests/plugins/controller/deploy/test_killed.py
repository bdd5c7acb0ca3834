"""The daemon that leads dies at random moments of deploys: each ends whole, on the new release or on the old one."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.change import commit
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts, encode
from flynn.core.sqlite import open_sqlite
from flynn.core.store import Item, Op, Put, Range, Store, Unchanged
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.deploy.orders import cancel
from flynn.plugins.controller.deploy.strategies import OWN
from flynn.plugins.controller.releases import Draft, begin_deploy, process_types
from tests.harness import TestNode, open_node
from tests.plugins.controller.test_api import SLUG, obedient

DEPLOYS = 200
COUNT = 3
LIMIT = 60.0


@dataclass(eq=False)
class Mortal:
    """The store as one daemon sees it that dies at its commit number `left`: before it is sent, or before it is heard
    of. From then on it writes nothing."""

    store: Store
    left: int
    heard: bool
    died: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.store.name

    async def get(self, key: str) -> Item | None:
        return await self.store.get(key)

    async def range(self, prefix: str = "") -> Range:
        return await self.store.range(prefix)

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        self.left -= 1
        if self.left <= 0:
            if self.left == 0 and self.heard:
                await self.store.commit(ops, guards)
            self.died.set()
            raise Unavailable("this daemon is dead")
        return await self.store.commit(ops, guards)

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[object]:
        return self.store.watch(prefix, after)


async def live(node: TestNode, store: Mortal, task: "asyncio.Task[object]") -> None:
    """One life of the daemon: it leads until it dies, or the task is done."""
    ctx = node.context("controller")
    ctx.store = store  # type: ignore[assignment]
    leading = asyncio.create_task(Controller(ControllerConfig(settle=0.0)).run(ctx))
    died = asyncio.create_task(store.died.wait())
    try:
        await asyncio.wait([leading, died, task], timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if leading.done():
            leading.result()
    finally:
        for one in (leading, died):
            one.cancel()
        await asyncio.gather(leading, died, return_exceptions=True)


def whole(facts: Facts) -> bool:
    """Whether the last deploy is over, and exactly what is wanted of the release that serves is up."""
    deploy, app = facts.deploys["hello"], facts.apps["hello"]
    up = Counter(a.job.release for key, a in facts.jobs.items() if not a.stop and key in facts.states)
    queued = any(q.job.app == "hello" for q in facts.queues.values())
    ended = len(up) == 1 and len(facts.jobs) == COUNT and not queued
    return deploy.state != "running" and ended and up == {app.release: COUNT}


async def begin(node: TestNode, number: int, chance: random.Random) -> None:
    """A deploy of a release that is good, or one of which a process never comes up."""
    facts = node.mirror.facts
    bad = chance.random() < 0.3
    types = process_types({"web": f"{'bad' if bad else 'serve'} {number}"})
    how = model.Deploying(
        strategy=chance.choice([name for name in OWN if name != "canary"]), batch=chance.randint(1, 2)
    )
    change, _ = begin_deploy(facts, "hello", Draft(SLUG, types, {}, ""), time.time(), how)
    await node.mirror.reach(await commit(node.store, facts, change))


async def cancelled(node: TestNode, pause: float) -> None:
    """Someone cancels it meanwhile, unless it is over."""
    await asyncio.sleep(pause)
    facts = node.mirror.facts
    if facts.deploys["hello"].state == "running":
        with suppress(Conflict):
            await commit(node.store, facts, cancel(facts, "hello", time.time()))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_the_leader_dies_at_random_moments_of_two_hundred_deploys(tmp_path: Path, kind: str) -> None:
    if kind == "sqlite":
        async with open_sqlite(tmp_path / "store.db") as store:
            await _deploy_and_die(tmp_path, store)
    else:
        await _deploy_and_die(tmp_path, None)


async def _deploy_and_die(data: Path, store: Store | None) -> None:
    chance, outcomes, deaths = random.Random(5), Counter[str](), 0
    async with open_node(data, store) as node:
        app = model.App(name="hello", created=1.0)
        formation = model.Formation(app="hello", counts={"web": COUNT})
        await node.mirror.reach(await _put(node, {keys.app("hello"): app, keys.formation("hello"): formation}))
        host = asyncio.create_task(obedient(node))
        for number in range(DEPLOYS):
            before = node.mirror.facts.apps["hello"].release
            await begin(node, number, chance)
            is_whole = whole if number else lambda facts: facts.deploys["hello"].state != "running"
            over = asyncio.create_task(node.mirror.until(is_whole, LIMIT))
            orders = asyncio.create_task(cancelled(node, 0.02)) if chance.random() < 0.1 else None
            while not over.done():
                await live(node, Mortal(node.store, chance.randint(1, 9), chance.random() < 0.5), over)
                deaths += not over.done()
            await asyncio.gather(over, *([orders] if orders else []))
            facts = node.mirror.facts
            deploy = facts.deploys["hello"]
            outcomes[deploy.state] += 1
            assert facts.apps["hello"].release == (deploy.new if deploy.state == "complete" else before)
        host.cancel()
    assert deaths > DEPLOYS
    assert outcomes["complete"] > DEPLOYS / 3
    assert outcomes["failed"] > DEPLOYS / 10


async def _put(node: TestNode, records: dict[str, model.Record]) -> int:
    return await node.store.commit([Put(key, encode(record)) for key, record in records.items()])
