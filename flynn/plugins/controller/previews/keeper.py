"""Puts preview apps to sleep that nobody asks for, and wakes those that are asked for: on the leader, by what routers
count. A request that finds a preview asleep is answered 503, and wakes it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

import aiohttp
import msgspec

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.change import Change, commit
from flynn.core.election import Claim
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts
from flynn.core.route_stats import RouteStats
from flynn.plugins.controller.previews.decide import forsaken
from flynn.plugins.controller.previews.rest import Counted, Seen, is_asleep, is_busy, look, rested

EVERY = 2.0
"""Seconds between two looks at those that sleep."""

ASK = 2.0
"""Seconds that a router has for its answer."""

PART = 20
"""Those that are awake are looked at so often in the time after which they sleep."""

RARELY = 60.0
"""Seconds between two looks at those that are awake, at most."""


class Told(msgspec.Struct, frozen=True):
    """What one router answers, as far as it matters here."""

    routes: dict[str, RouteStats] = {}


class Keeper:
    """One term of the leader."""

    def __init__(self, ctx: Context, claim: Claim) -> None:
        self._ctx, self._claim = ctx, claim
        self._apps: object = None
        self._previews: tuple[str, ...] = ()
        self._seen: dict[str, Seen] = {}
        self._due: dict[str, float] = {}
        """When each is looked at next."""

    async def run(self) -> None:
        """For ever."""
        while True:
            facts = self._ctx.mirror.facts
            if facts.tables.get("apps") is not self._apps:
                self._apps = facts.tables.get("apps")
                self._previews = tuple(sorted(app.name for app in facts.apps.values() if app.preview))
                self._seen = {name: one for name, one in self._seen.items() if name in self._previews}
                self._due = {name: when for name, when in self._due.items() if name in self._previews}
            if not self._previews:
                await self._ctx.mirror.until(lambda facts: facts.tables.get("apps") is not self._apps, None)
                continue
            await self._round(facts, asyncio.get_running_loop().time())
            await asyncio.sleep(EVERY)

    async def _round(self, facts: Facts, now: float) -> None:
        for change in list(forsaken(facts, self._ctx.clock())):
            await self._carry_out(facts, change)
        due = [name for name in self._previews if self._due.get(name, 0.0) <= now and name in facts.apps]
        told = await self._ask(facts, due) if due else {}
        facts = self._ctx.mirror.facts
        for name in due:
            if (app := facts.apps.get(name)) and app.preview:
                await self._look(facts, app, told.get(name, {}), now)

    async def _look(self, facts: Facts, app: model.App, told: Mapping[str, Counted], now: float) -> None:
        assert app.preview
        used = is_asleep(facts, app) or is_busy(facts, app.name)
        self._seen[app.name], asked = look(self._seen.get(app.name), told, app.release, now, used)
        parent = facts.apps.get(app.preview.of)
        idle = parent.previewing.idle if parent else 0
        change = rested(facts, app.name, idle, now - self._seen[app.name].since, asked)
        if change.puts:
            await self._carry_out(facts, change)
        self._due[app.name] = now + (
            EVERY if change.puts or is_asleep(facts, app) else min(max(idle / PART, EVERY), RARELY)
        )

    async def _carry_out(self, facts: Facts, change: Change) -> None:
        """What cannot be written now is decided again in the next round."""
        try:
            await self._ctx.mirror.reach(await commit(self._ctx.store, facts, change, self._claim.fence))
            self._ctx.log.info("%s", change.why)
        except (Conflict, Unavailable) as error:
            self._ctx.log.info("%s: not yet: %s", change.why, error)

    async def _ask(self, facts: Facts, names: list[str]) -> dict[str, dict[str, Counted]]:
        """By app, what each router that answers counts for it."""
        query = {"app": names[0]} if len(names) == 1 else {}
        routers = sorted(facts.routers.items())
        answers = await asyncio.gather(*(self._one(router.url, query) for _, router in routers))
        found: dict[str, dict[str, Counted]] = {name: {} for name in names}
        for (host, _), answer in zip(routers, answers, strict=True):
            if answer:
                for name, counted in summed(answer.routes.values(), found).items():
                    found[name][host] = counted
        return found

    async def _one(self, url: str, query: dict[str, str]) -> Told | None:
        try:
            async with asyncio.timeout(ASK), self._ctx.http.get(f"{url}/v1/router/stats", params=query) as response:
                response.raise_for_status()
                return msgspec.json.decode(await response.read(), type=Told)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
            return None


def summed(routes: Iterable[RouteStats], names: Iterable[str]) -> dict[str, Counted]:
    """Of each of these apps what its routes counted; 0 where they had no request."""
    answers: dict[str, int] = defaultdict(int)
    in_flight: dict[str, int] = defaultdict(int)
    for route in routes:
        answers[route.app] += sum(route.answers.values())
        in_flight[route.app] += route.in_flight
    return {name: Counted(answers[name], in_flight[name]) for name in names}
