"""What the node API and Prometheus are told of this host's jobs and of the machine."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping

import msgspec
from aiohttp import web

from flynn.core.model import Job
from flynn.core.usage import Told
from flynn.core.web import answer, query
from flynn.plugins.host.life.life import Life
from flynn.plugins.host.usage import families
from flynn.plugins.host.usage.meter import Meter


class OfApp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`app`: its running jobs too, or those of all (empty)."""

    app: str | None = None


class UsageApi:
    """`jobs`: those of `lives` and more, by id."""

    def __init__(self, meter: Meter, lives: Mapping[str, Life], jobs: Mapping[str, Job]) -> None:
        self.meter, self.lives, self.jobs = meter, lives, jobs

    async def usage(self, request: web.Request) -> web.StreamResponse:
        """The machine, and with `app` the running jobs of that app, or of all (empty)."""
        app = query(request, OfApp).app
        jobs = await self.meter.jobs(app) if app is not None else {}
        return answer(Told(host=await self.meter.host(paced=app is None), jobs=jobs))

    async def part(self) -> AsyncGenerator[bytes, None]:
        """This brick's part of the metrics."""
        used = await self.meter.jobs(paced=False)
        for text in families.of_jobs({id: one for id, one in used.items() if id in self.jobs}, self.jobs):
            yield text.encode()
        states: Counter[str] = Counter(life.state.state for life in self.lives.values())
        yield families.of_host(await self.meter.host(paced=False), states).encode()
