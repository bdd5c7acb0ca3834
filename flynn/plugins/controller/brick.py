"""The controller brick: its API on every node, its loop on the elected leader."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from flynn.core.brick import Context
from flynn.core.bulk import commit_all
from flynn.core.change import Change
from flynn.core.election import Claim
from flynn.core.errors import Unavailable
from flynn.core.facts import Facts
from flynn.plugins.controller import (
    apps,
    buildpacks_api,
    deployment_api,
    explain_api,
    grid,
    hosts_api,
    jobs_api,
    limits_api,
    logs,
    queue_metrics,
    queues_api,
    releases_api,
    routes,
    run,
    sinks,
    usage,
    volumes_api,
)
from flynn.plugins.controller.cron import api as cron
from flynn.plugins.controller.deployment_api import strategies
from flynn.plugins.controller.events import api as events
from flynn.plugins.controller.events.chronicle import Chronicle, Witness
from flynn.plugins.controller.forgetting import forget
from flynn.plugins.controller.moment import Limits
from flynn.plugins.controller.news import news
from flynn.plugins.controller.place import Ground
from flynn.plugins.controller.planner import Planner
from flynn.plugins.controller.previews import api as previews
from flynn.plugins.controller.previews.keeper import Keeper
from flynn.plugins.controller.queue_limits import Queues
from flynn.plugins.controller.receipts_taker import Taker

RETRY = 0.5
"""Seconds until the next try after a store that did not answer."""

LONGEST = 30.0
"""Seconds after which it plans again though nothing has changed."""


class ControllerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds: how long a new release must be up before it takes over, how long a deploy may take until it has
    failed, and how long a silent host keeps its jobs. `rebalance`: how many jobs may be moved at a time to spread them
    better (0: none is), each after it has been up for `rest`. `queues`: see `queue_limits.py`."""

    settle: float = 10.0
    deploy: float = 300.0
    lost: float = 30.0
    rebalance: int = 2
    rest: float = 30.0
    queues: Queues = Queues()


class Controller:
    """Brick `controller`."""

    name = "controller"
    Config = ControllerConfig

    def __init__(self, config: ControllerConfig) -> None:
        self._limits = Limits(
            config.settle,
            config.deploy,
            config.lost,
            rebalance=config.rebalance,
            rest=config.rest,
            queues=config.queues,
        )

    async def run(self, ctx: Context) -> None:
        """Answer the API, stand for election, and plan while leading."""
        served = [
            route
            for part in (
                apps,
                buildpacks_api,
                limits_api,
                volumes_api,
                releases_api,
                deployment_api,
                jobs_api,
                logs,
                sinks,
                routes,
                grid,
                hosts_api,
                usage,
                events,
                previews,
            )
            for route in part.routes(ctx)
        ]
        self._limits = replace(self._limits, strategies=strategies(ctx))
        for limited in (run, queues_api, explain_api, cron):
            served += limited.routes(ctx, self._limits.queues)
        witness = Witness()
        witness.note(ctx.mirror.facts)
        with ctx.web.serving(*served), ctx.mirror.listening(witness.note):
            leading = asyncio.create_task(self._lead(ctx, witness), name="controller leader")
            stopping = asyncio.create_task(ctx.stopping.wait(), name="controller stop")
            ctx.ready()
            try:
                await asyncio.wait([leading, stopping], return_when=asyncio.FIRST_COMPLETED)
                if leading.done():
                    leading.result()
            finally:
                leading.cancel()
                stopping.cancel()
                await asyncio.gather(leading, stopping, return_exceptions=True)

    async def _lead(self, ctx: Context, witness: Witness) -> None:
        while True:
            ctx.say("stands by for the leader")
            async with ctx.leading("controller") as claim:
                leader = Leadership(ctx, claim, self._limits)
                chronicle = Chronicle(ctx, claim, witness, self._limits.lost, leader.rest)
                planning = asyncio.create_task(leader.run(), name="plan")
                telling = asyncio.create_task(chronicle.run(), name="tell what happens")
                taking = asyncio.create_task(Taker(ctx, claim).run(), name="take receipts of deploys")
                lost = asyncio.create_task(claim.lost(), name="leadership lost")
                forgetting = asyncio.create_task(forget(ctx, claim), name="forget keys")
                keeping = asyncio.create_task(Keeper(ctx, claim).run(), name="previews sleep and wake")
                tasks = (planning, telling, taking, forgetting, keeping, lost)
                try:
                    with ctx.metrics.offering("queues", queue_metrics.part(ctx, self._limits.queues)):
                        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(eq=False)
class Leadership:
    """One term as the leader: photo, plan, commits, again. `rest` is set while it waits for news."""

    ctx: Context
    claim: Claim
    limits: Limits
    new_id: Callable[[str, str], str] = field(default=lambda app, type: f"{app}-{type}-{secrets.token_hex(4)}")
    steady: Callable[[], float] = time.monotonic
    rest: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Plan for ever. What cannot be written now is planned again from the next photo."""
        await asyncio.to_thread(Ground)  # It loads numpy, which takes a tenth of a second.
        planner = Planner(self.limits, self.new_id)
        while True:
            facts = self.ctx.mirror.facts
            planned = planner.begin(facts, self.ctx.clock(), self.steady())
            self.ctx.say(planned.sentence)
            pause = RETRY
            try:
                if self.claim.held:
                    if await self._carry_out(facts, planned.changes()):
                        continue
                    wake = planned.wake()
                    pause = LONGEST if wake is None else min(max(wake - self.ctx.clock(), 0.01), LONGEST)
            except Unavailable:
                pass
            await self._news(facts, pause if self.claim.held else RETRY)

    async def _news(self, old: Facts, pause: float) -> None:
        """Wait for something to plan, this long at most."""
        self.rest.set()
        try:
            await self.ctx.mirror.until(news(old), pause)
        except TimeoutError:
            pass
        finally:
            self.rest.clear()

    async def _carry_out(self, facts: Facts, changes: Iterable[Change]) -> bool:
        """Commit all that still hold; whether the mirror has moved on to show them. Unavailable: some could not be."""
        outcome = await commit_all(self.ctx.store, facts, changes, self.claim.fence, self._tell)
        if outcome.revision:
            await self.ctx.mirror.reach(outcome.revision)
        return bool(outcome.revision)

    def _tell(self, done: Sequence[Change]) -> None:
        """One line for each commit."""
        self.ctx.log.info("%s", "; ".join(change.why for change in done))
