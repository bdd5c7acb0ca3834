"""The agent at work: it opens what the jobs of this host stand on (`ground.py`), and keeps them told (`jobs.py`)."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from flynn.core.blobs import fetch
from flynn.core.brick import Context
from flynn.core.builds import cache_of
from flynn.core.room import MIB
from flynn.plugins.host.api import Api
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.backends.choice import IMAGES, Choice
from flynn.plugins.host.concern import follow
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.disk.budget import budget
from flynn.plugins.host.disk.caches import Caches
from flynn.plugins.host.disk.watch import DiskWatch
from flynn.plugins.host.docker.engine_watch import EngineWatch, until_open
from flynn.plugins.host.docker.image_build import ImageBuild, end_all
from flynn.plugins.host.docker.images import Images
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.jobs import Jobs
from flynn.plugins.host.layers import Layers
from flynn.plugins.host.life.kept import Kept
from flynn.plugins.host.limits.cgroup_mounts import clear_leftovers
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.logs.logtidy import DAY, Bounds, Tidy
from flynn.plugins.host.logs.shippers import Shippers
from flynn.plugins.host.ports import Ports
from flynn.plugins.host.presence import Presence
from flynn.plugins.host.sockets import Sockets
from flynn.plugins.host.turns import Turns
from flynn.plugins.host.usage.meter import Meter
from flynn.plugins.host.usage.usage_api import UsageApi


class Agent:
    """`ground` and `jobs` are there once it works."""

    def __init__(
        self,
        ctx: Context,
        config: HostConfig,
        choice: Choice,
        backends: Mapping[str, Backend],
        ports: Ports,
        sockets: Sockets,
    ) -> None:
        self.ctx, self.config, self.choice, self.backends = ctx, config, choice, backends
        self.ports, self.sockets = ports, sockets
        self.engine: EngineWatch | None = None
        self.presence: Presence | None = None
        self.left = contextlib.ExitStack()
        """What is to be ended when its work has."""

    async def work(self, kept: Iterable[Kept]) -> None:
        """Take the jobs of before over, then run those assigned, for ever."""
        async with asyncio.TaskGroup() as tasks:
            self.ground = self._ground(tasks)
            jobs = self.jobs = Jobs(self.ground, self._closed, self._trouble)
            presence = Presence(self.ground, jobs.begun, self._trouble)
            await presence.beat.begin()
            await self.ground.disk.begin()
            await presence.tell()
            self.presence = presence
            jobs.take_over(kept, self.ctx.mirror.facts)
            tasks.create_task(self.ground.logs.run(), name="job logs")
            tasks.create_task(self.ground.logs.relief.run(), name="log relief")
            tasks.create_task(self.ground.logs.untold.run(), name="log losses")
            if self.choice.images or self.config.backend == "auto":
                tasks.create_task(self._watch_engine(), name="engine")
            tasks.create_task((await self._tidy()).run(), name="old logs")
            tasks.create_task(self.ground.disk.run(), name="disk")
            shippers = Shippers(self.ctx, self.ground.logs, self.ctx.data / "sinks")
            tasks.create_task(shippers.run(), name="log sinks")
            tasks.create_task(presence.beat.run(), name="load")
            tasks.create_task(self._clear_leftovers(), name="left control groups")
            usage = UsageApi(Meter(jobs.lives, self.ctx.data), jobs.lives, jobs.known)
            api = Api(self.ctx, self.ground.logs, usage, jobs.lives, jobs.known)
            offered = self.ctx.metrics.offering("host", usage.part)
            with self.ctx.web.serving(*api.routes(), *shippers.routes()), offered:
                self.ctx.ready()
                await follow(self.ctx.mirror, self.ctx.host, jobs.look)

    async def leave(self) -> None:
        """The daemon stops: what it has not begun yet is begun elsewhere. Its jobs run on."""
        if self.presence:
            await self.presence.leave()

    def _ground(self, tasks: asyncio.TaskGroup) -> Ground:
        ctx, config = self.ctx, self.config
        logs = Logs(ctx.data / "logs", ctx.data / "jobs", max(config.log_size, 1) * MIB, ctx.clock)
        self.left.callback(logs.end)
        needed, leave = lambda: self.jobs.layers(), lambda: self.ground.disk.leave
        layers = Layers(ctx, ctx.data / "layers", config.layers_size * MIB, needed, tasks, leave)
        caches = Caches(ctx.data / "cache", lambda: {job.cache for job in self.jobs.live()}, self._caches)
        disk = DiskWatch(ctx.data, config, [layers, caches], lambda: self.jobs.known, self._tell_of_host)
        images, turns = Images(ctx.data, tasks, self._fetch, lambda: self.jobs.live()), Turns(config.starts)
        builds: dict[str, ImageBuild] = {}
        self.left.callback(end_all, builds)
        return Ground(
            ctx, config, self.choice, self.backends, layers, images, self.ports, self.sockets, logs, turns, disk, tasks,
            image_builds=builds, changed=lambda: self.jobs.say(),
        )  # fmt: skip

    async def _clear_leftovers(self) -> None:
        try:
            if count := await asyncio.to_thread(clear_leftovers, self.ctx.data):
                self.ctx.log.info("%d control groups are removed, of daemons whose data are gone", count)
        except OSError as error:  # As this daemon lacks open files. The next one goes on.
            self.ctx.log.info("control groups of daemons whose data are gone stay for now: %s", error.strerror)

    async def _fetch(self, sha256: str, path: Path) -> None:
        await fetch(self.ctx, sha256, path, self.ground.disk.leave)

    async def _watch_engine(self) -> None:
        """Begin with images once there is an engine, and keep an eye on that."""
        if self.choice.images is None:
            await until_open(self.backends[IMAGES])
            self.choice = self.ground.choice = dataclasses.replace(self.choice, images=self.backends[IMAGES])
            self.ctx.log.info("images run in the backend docker from now on")
            await self._tell()
        self.engine = EngineWatch(self.ctx, self.ground.images, self.backends[IMAGES], self._tell_of_host)
        await self.engine.run()

    def _tell_of_host(self) -> None:
        """So that no image is placed here while the engine is away, and nothing while the disk is nearly full."""
        self.ground.later(self._tell(), "tell of the host")
        self.jobs.look(self.ctx.mirror.facts)

    async def _tell(self) -> None:
        if self.presence:
            await self.presence.tell()
        self.jobs.look(self.ctx.mirror.facts)

    def _trouble(self) -> str:
        return self.engine.trouble if self.engine else ""

    def _closed(self) -> str:
        return self.presence.closed if self.presence else self.ground.disk.full

    async def _tidy(self) -> Tidy:
        """Logs take half of the disk's budget at most."""
        most = budget(await self.ground.disk.look(), self.config.disk_budget) // 2
        bounds = Bounds(min(max(self.config.logs_size, 1) * MIB, most), max(self.config.log_days, 1) * DAY)
        return Tidy(self.ground.logs, bounds)

    def _caches(self) -> Collection[str] | None:
        """The names of all apps' caches, once the store has told of this host too, and while it tells of anything."""
        facts, is_known = self.ctx.mirror.facts, self.ctx.mirror.stale_since is None
        return {cache_of(app) for app in facts.apps.values()} if is_known and self.ctx.host in facts.hosts else None
