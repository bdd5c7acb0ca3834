"""Takes the receipts of deploys, on the leader: asks the routers what they count when a deploy begins, moves on, ends.

It only looks on: no deploy waits for its receipt. One whose leader died is gone on with by the next leader.
"""

import asyncio

import aiohttp
import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.change import Change, commit
from flynn.core.election import Claim
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts
from flynn.core.route_stats import GridStats
from flynn.plugins.controller.deploy.receipts import LEAVING, begun, counted, left, noted, summed

ASK = 2.0
"""Seconds that a router has for its answer."""

EVERY = 2.0
"""Seconds between two looks at a canary that is watched, and at processes that are about to end."""


class Told(GridStats, frozen=True, kw_only=True):
    """What one router answers."""

    started: float = 0.0


class Taker:
    """One term of the leader."""

    def __init__(self, ctx: Context, claim: Claim) -> None:
        self._ctx, self._claim = ctx, claim
        self._open: set[str] = set()
        """The apps whose last deploy has no final receipt yet."""
        self._seen: object = None
        self._asked: dict[str, float] = {}
        """When routers were asked last, by app, on a clock that nobody sets."""
        self._begun: dict[str, model.Receipt] = {}
        """By key: receipts that were begun and could not be written yet."""

    async def run(self) -> None:
        """For ever."""
        while True:
            facts = self._ctx.mirror.facts
            if facts.tables.get("deploys") is not self._seen:
                self._seen = facts.tables.get("deploys")
                self._open = {deploy.app for deploy in facts.deploys.values() if self._unfinished(facts, deploy)}
            for app in sorted(self._open):
                await self._take(app)
            await self._news(facts)

    async def _news(self, old: Facts) -> None:
        """Wait for another photo, and a while at most; while no receipt is open, for one of other deploys."""
        mirror = self._ctx.mirror
        if self._open:
            await mirror.catch_up(old, EVERY)
        else:
            await mirror.until(lambda facts: facts.tables.get("deploys") is not self._seen, None)

    def _unfinished(self, facts: Facts, deploy: model.Deploy) -> bool:
        receipt = facts.receipts.get(f"{deploy.app}/{deploy.new}")
        if receipt is None:
            return deploy.state == "running" or self._ctx.clock() < deploy.ended + LEAVING
        return not receipt.ended

    async def _take(self, app: str) -> None:
        facts = self._ctx.mirror.facts
        deploy = facts.deploys.get(app)
        if deploy is None or app not in facts.apps or not self._unfinished(facts, deploy):
            self._open.discard(app)
            self._asked.pop(app, None)
            self._begun = {key: one for key, one in self._begun.items() if one.app != app}
            return
        key = keys.receipt(app, deploy.new)
        receipt = facts.receipts.get(f"{app}/{deploy.new}") or self._begun.get(key)
        over = deploy.state != "running" and left(facts, deploy, self._ctx.clock())
        watched = deploy.held > 0 and not deploy.promoted
        if receipt and noted(receipt, deploy) == receipt:
            early = asyncio.get_running_loop().time() < self._asked.get(app, 0.0) + EVERY
            if early or not (over or watched or key in self._begun):
                return
        self._asked[app] = asyncio.get_running_loop().time()
        await self._write(facts, deploy, receipt, over)

    async def _write(self, facts: Facts, deploy: model.Deploy, receipt: model.Receipt | None, over: bool) -> None:
        """What there is to tell now; the receipt of a deploy before, if it is open still, ends with this one."""
        told, silent = await self._ask(facts, deploy.app)
        now = {host: counted(one.started, one) for host, one in told.items()}
        bounds = next((one.bounds for one in told.values() if one.bounds), ())
        new = noted(receipt, deploy) if receipt else begun(deploy, now)
        new = summed(new, now, silent, bounds)
        new = replace(new, ended=self._ctx.clock()) if over else new
        key = keys.receipt(deploy.app, deploy.new)
        if new == facts.get(key):
            return
        puts: dict[str, model.Record] = {
            keys.receipt(deploy.app, one.version): replace(one, ended=self._ctx.clock())
            for one in facts.receipts_of(deploy.app).values()
            if not one.ended and one.version != deploy.new
        }
        puts[key] = new
        seen = (keys.release(deploy.app, deploy.new),)
        try:
            revision = await commit(self._ctx.store, facts, Change(puts=puts, seen=seen), self._claim.fence)
            self._begun.pop(key, None)
            await self._ctx.mirror.reach(revision)
        except (Conflict, Unavailable) as error:
            self._begun[key] = new
            self._ctx.log.info("the receipt of %s v%d is taken later: %s", deploy.app, deploy.new, error)

    async def _ask(self, facts: Facts, app: str) -> tuple[dict[str, Told], list[str]]:
        """What each router counts for an app, and the names of those that do not answer."""
        routers = sorted(facts.routers.items())
        answers = await asyncio.gather(*(self._one(router.url, app) for _, router in routers))
        told = {host: answer for (host, _), answer in zip(routers, answers, strict=True) if answer}
        return told, [host for host, _ in routers if host not in told]

    async def _one(self, url: str, app: str) -> Told | None:
        try:
            async with asyncio.timeout(ASK):
                async with self._ctx.http.get(f"{url}/v1/router/stats", params={"app": app}) as response:
                    response.raise_for_status()
                    return msgspec.json.decode(await response.read(), type=Told)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            return None
