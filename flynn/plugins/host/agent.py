"""The agent at work: look at the facts, decide (`plan.py`), begin and stop jobs, say one sentence.

Each job then lives by itself (`life.py`).
"""

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from flynn.core import keys
from flynn.core.blobs import fetch
from flynn.core.brick import Context
from flynn.core.builds import cache_of
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY
from flynn.core.model import Assignment, Job, JobState
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
from flynn.plugins.host.lacking import is_lack
from flynn.plugins.host.layers import Layers
from flynn.plugins.host.life.kept import Kept, save
from flynn.plugins.host.life.life import AGAIN, Life
from flynn.plugins.host.limits.cgroup_mounts import clear_leftovers
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.logs.logtidy import DAY, Bounds, Tidy
from flynn.plugins.host.logs.shippers import Shippers
from flynn.plugins.host.plan import Ended, decide, mine, sentence
from flynn.plugins.host.ports import Ports
from flynn.plugins.host.presence import Presence
from flynn.plugins.host.sockets import Sockets
from flynn.plugins.host.trees import remove_tree
from flynn.plugins.host.turns import Turns
from flynn.plugins.host.usage.meter import Meter
from flynn.plugins.host.usage.usage_api import UsageApi

JOB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class Agent:
    """`lives`: the jobs that are not down yet; `ended`: those that are, and are not forgotten yet."""

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
        self.lives: dict[str, Life] = {}
        self.ended: dict[str, Kept] = {}
        self.jobs: dict[str, Job] = {}
        self.engine: EngineWatch | None = None
        self.presence: Presence | None = None
        self._looks_again = False
        self.left = contextlib.ExitStack()
        """What is to be ended when its work has."""

    async def work(self, kept: Iterable[Kept]) -> None:
        """Take the jobs of before over, then run those assigned, for ever."""
        async with asyncio.TaskGroup() as tasks:
            self.ground = self._ground(tasks)
            presence = Presence(self.ground, self._begun, self._trouble)
            await presence.beat.begin()
            await self.ground.disk.begin()
            await presence.tell()
            self.presence = presence
            self._take_over(kept, self.ctx.mirror.facts)
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
            usage = UsageApi(Meter(self.lives, self.ctx.data), self.lives, self.jobs)
            api = Api(self.ctx, self.ground.logs, usage, self.lives, self.jobs)
            offered = self.ctx.metrics.offering("host", usage.part)
            with self.ctx.web.serving(*api.routes(), *shippers.routes()), offered:
                self.ctx.ready()
                await follow(self.ctx.mirror, self.ctx.host, self._pass)

    async def leave(self) -> None:
        """The daemon stops: what it has not begun yet is begun elsewhere. Its jobs run on."""
        if self.presence:
            await self.presence.leave()

    def _ground(self, tasks: asyncio.TaskGroup) -> Ground:
        ctx, config = self.ctx, self.config
        logs = Logs(ctx.data / "logs", ctx.data / "jobs", max(config.log_size, 1) * MIB, ctx.clock)
        self.left.callback(logs.end)
        leave = lambda: self.ground.disk.leave  # noqa: E731
        layers = Layers(ctx, ctx.data / "layers", config.layers_size * MIB, self._needed, tasks, leave)
        caches = Caches(ctx.data / "cache", lambda: {job.cache for job in self._live_jobs()}, self._caches)
        disk = DiskWatch(ctx.data, config, [layers, caches], lambda: self.jobs, self._tell_of_host)
        images, turns = Images(ctx.data, tasks, self._fetch, self._live_jobs), Turns(config.starts)
        builds: dict[str, ImageBuild] = {}
        self.left.callback(end_all, builds)
        return Ground(
            ctx, config, self.choice, self.backends, layers, images, self.ports, self.sockets, logs, turns, disk, tasks,
            image_builds=builds, changed=self._say,
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
        self._pass(self.ctx.mirror.facts)

    async def _tell(self) -> None:
        if self.presence:
            await self.presence.tell()
        self._pass(self.ctx.mirror.facts)

    def _begun(self) -> list[JobState]:
        return [*(life.state for life in self.lives.values()), *(kept.state for kept in self.ended.values())]

    def _trouble(self) -> str:
        return self.engine.trouble if self.engine else ""

    @property
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

    def _needed(self) -> set[str]:
        """The layers that jobs use now."""
        return {sha256 for job in self._live_jobs() for sha256 in (*job.layers.values(), *job.under)}

    def _live_jobs(self) -> list[Job]:
        """Those that are not down yet."""
        return [life.job for life in self.lives.values()]

    def _take_over(self, kept: Iterable[Kept], facts: Facts) -> None:
        """Adopt what runs, tell again what ended, clear the store of what is true no more."""
        assigned = mine(facts.jobs_by_host.get(self.ctx.host, EMPTY), self.ctx.host)
        for one in sorted(kept, key=lambda kept: kept.state.since):
            self.jobs[one.job.id] = one.job
            if one.state.state == "down":
                self.ended[one.job.id] = one
                if facts.states.get(f"{self.ctx.host}/{one.job.id}") != one.state:
                    self.ground.tell(one.state)
                continue
            life = Life(self.ground, one)
            if one.job.id not in assigned or assigned[one.job.id].stop:
                life.stop()
            self._let_live(life)
        for key in self._stale(facts, assigned):
            self.ground.later(self.ctx.lease.delete(key), f"clear {key}")

    def _stale(self, facts: Facts, assigned: Mapping[str, Assignment]) -> list[str]:
        """Keys of this host that no job of it stands behind: instances that died, states without a directory."""
        host = self.ctx.host
        alive = {id for id, life in self.lives.items() if life.running and life.running.alive()}
        known = {*self.lives, *self.ended, *assigned}
        dead = [keys.instance(i.service, i.id) for i in facts.services.values() if i.host == host and i.job]
        lost = [s.id for key, s in facts.states.items() if key.startswith(f"{host}/") and s.id not in known]
        return [*(k for k in dead if k.rpartition("/")[2] not in alive), *(keys.state(host, id) for id in lost)]

    def _pass(self, facts: Facts) -> None:
        """One look, and what follows from it."""
        ended = [Ended(kept.job.id, kept.job.app) for kept in self.ended.values()]
        fresh = self.ctx.mirror.stale_since is None
        assigned = mine(facts.jobs_by_host.get(self.ctx.host, EMPTY), self.ctx.host)
        plan = decide(assigned, self.lives.keys(), ended, fresh)
        closed = self._closed
        began = [a.job.id for a in plan.begin if (a.stop or not closed) and self._begin(a)]
        stopped = [id for id in plan.stop if not self.lives[id].stopping]
        for id in stopped:
            self.lives[id].stop((id in assigned and assigned[id].reason) or "stopped")
        for id in plan.forget:
            self._forget(id)
        self.ground.volumes.look(facts)
        self._say(began, stopped)

    def _say(self, began: Collection[str] = (), stopped: Collection[str] = ()) -> None:
        up = sum(1 for life in self.lives.values() if life.state.state == "up")
        said = sentence(up, len(self.lives), began, stopped)
        closed = f"no new job starts: {self._closed}" if self._closed else ""
        self.ctx.say("; ".join(filter(None, [said, self._trouble(), closed])))

    def _begin(self, assignment: Assignment) -> bool:
        job, now = assignment.job, self.ctx.clock()
        if not JOB_ID.fullmatch(job.id):
            self.ctx.log.error("the job %r has no good id and is passed over", job.id[:120])
            return False
        state = JobState(
            id=job.id, app=job.app, type=job.type, queue=job.queue, release=job.release, host=self.ctx.host,
            state="starting", since=now, created=now, meta=job.meta,
        )  # fmt: skip
        kept = Kept(job=job, state=state)
        self.jobs[job.id] = job
        try:
            (self.ground.jobs / job.id).mkdir(mode=0o700, exist_ok=True)
            save(self.ground.jobs / job.id, kept)
        except OSError as error:
            if is_lack(error):  # Of open files, say: that is for a while.
                self._look_again()
                return False
            self._refuse(kept, f"the disk of {self.ctx.host} cannot take the job: {error.strerror}")
            return False
        life = Life(self.ground, kept)
        if assignment.stop:
            life.stop(assignment.reason or "stopped")
        self._let_live(life)
        return True

    def _look_again(self) -> None:
        """In a while; once, however many jobs there are that could not be begun."""
        if not self._looks_again:
            self._looks_again = True
            self.ground.later(self._later_pass(), "look again at what could not be begun")

    async def _later_pass(self) -> None:
        await asyncio.sleep(AGAIN)
        self._looks_again = False
        self._pass(self.ctx.mirror.facts)

    def _refuse(self, kept: Kept, reason: str) -> None:
        """A job that cannot even be written down is down at once."""
        down = replace(kept.state, state="down", failure="start", reason=reason)
        self.ended[kept.job.id] = replace(kept, state=down)
        self.ground.tell(down)

    def _let_live(self, life: Life) -> None:
        self.lives[life.job.id] = life
        self.ground.later(self._live(life), f"job {life.job.id}")

    async def _live(self, life: Life) -> None:
        await life.run()
        del self.lives[life.job.id]
        self.ended[life.job.id] = life.kept
        self._pass(self.ctx.mirror.facts)

    def _forget(self, id: str) -> None:
        del self.ended[id], self.jobs[id]
        self.ground.later(asyncio.to_thread(remove_tree, self.ground.jobs / id), f"forget {id}")
        self.ground.later(self.ctx.lease.delete(keys.state(self.ctx.host, id)), f"forget {id}")
