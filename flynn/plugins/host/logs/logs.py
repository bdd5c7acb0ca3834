"""The logs of this host: what its jobs print is taken in as soon as the kernel tells of it, each app's in its log."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from flynn.core import model
from flynn.core.logframe import Block
from flynn.core.threads import begun
from flynn.plugins.host.logs.applog import RECENT, AppLog
from flynn.plugins.host.logs.inotify import Inotify
from flynn.plugins.host.logs.intake import Intake
from flynn.plugins.host.logs.relief import Relief
from flynn.plugins.host.logs.untold import Untold
from flynn.plugins.host.race import in_thread, whole

log = logging.getLogger(__name__)

PAUSE = 0.002
"""Seconds between two turns at least: what is printed meanwhile is taken in together."""

LOOK, BLIND = 2.0, 0.05
"""Seconds between two looks at all jobs, where the kernel tells of what they print and where it does not."""

HELD = 64 << 20
"""Bytes of the newest blocks that are held of all logs together, about."""

T = TypeVar("T")


class Logs:
    """The logs below `dir`, of the jobs below `jobs`. `limit`: bytes of an app's; `clock`: seconds since the epoch."""

    def __init__(self, dir: Path, jobs: Path, limit: int, clock: Callable[[], float]) -> None:
        self.dir, self.jobs, self.limit, self.clock = dir, jobs, limit, clock
        self.readers, self._writer = begun(2, "log reader"), begun(1, "log writer")
        self._logs: dict[str, AppLog] = {}
        self._open: dict[str, Intake] = {}
        self._failed: set[str] = set()
        self._unheard: set[str] = set()
        self._fresh: set[str] = set()
        """Jobs to look at, be it that nothing was heard of them."""
        self._taking = asyncio.Lock()
        self._inotify = Inotify()
        self.relief, self.untold = Relief(), Untold(self.note)
        self.ended = asyncio.Event()
        self._look_at = 0.0

    async def open(self, job: model.Job, given: Mapping[str, int] | None = None) -> None:
        """Begin to take in what the job prints, from where it was left. `given`: as for `Intake`."""
        log = await self.of(job.app)
        dir = self.jobs / job.id
        self._open[job.id] = Intake(dir, job, log, given)
        self._watch(job.id)
        self._fresh.add(job.id)

    async def of(self, app: str) -> AppLog:
        """The log of an app; there may be nothing in it."""
        found = self._logs.get(app)
        return found if found else await self._write(self._made, app)

    @property
    def known(self) -> set[str]:
        """The apps whose logs were opened."""
        return set(self._logs)

    async def apps(self) -> list[str]:
        """The apps that have a log here."""
        return await asyncio.to_thread(lambda: sorted(unquote(path.name) for path in _dirs(self.dir)))

    def jobs_open(self, app: str) -> bool:
        """Whether jobs of the app may still print."""
        return any(intake.job.app == app for intake in self._open.values())

    async def say(self, job: str, text: str) -> None:
        """The agent's own word on a job."""
        await self._take([job], lambda intake: intake.say(self.clock(), text))

    async def note(self, app: str, text: str) -> None:
        """The agent's own word on an app's log. OSError: it cannot be written now."""
        log = await self.of(app)

        async def noted() -> None:
            log.publish(await self._write(log.note, self.clock(), text))

        async with self._taking:
            await whole(noted())

    def needed(self, job: str, stream: str) -> int:
        """Before which byte of what the job printed there the log needs nothing. Quick."""
        found = self._open.get(job)
        return found.needed(stream) if found else sys.maxsize

    def wanted(self, job: str) -> int:
        """How many bytes of each stream of a job with a client are kept. Quick."""
        found = self._open.get(job)
        return found.most if found and found.streams else 0

    async def finish(self, job: str) -> None:
        """The job's process has ended: take in the rest."""
        while await self._take([job], lambda intake: intake.take(self.clock(), ended=True)):
            pass

    def close(self, job: str) -> None:
        """The job is down. What it has printed and could not be taken in is lost."""
        if intake := self._open.pop(job, None):
            if lost := intake.waiting():
                self.untold.add(intake.job.app, job, lost)
            intake.log.forget(job)
            self._inotify.remove(job)
            self._failed.discard(job)
            self._unheard.discard(job)

    async def take_in(self, app: str) -> None:
        """What the jobs of an app have printed until now, a turn's worth of each at most."""
        ids = [id for id, intake in self._open.items() if intake.job.app == app and intake.grown()]
        if ids:
            await self._take(ids, lambda intake: intake.take(self.clock()))

    async def run(self) -> None:
        """Take in what is new, for ever; with pauses, so that one who floods leaves some of the machine to others."""
        self._inotify.open()
        try:
            for job in self._open:
                self._watch(job)
            now = asyncio.get_running_loop().time
            while True:
                await self._quiet()
                begun = now()
                if ids := self._next(now()):
                    await self._take(ids, lambda intake: intake.take(self.clock()))
                await asyncio.sleep(max((now() - begun) / 2, PAUSE))
        finally:
            self._inotify.close()

    def end(self) -> None:
        """The agent ends: so do the threads, and who follows a log asks the next one."""
        self.ended.set()
        for threads in (self.readers, self._writer, self.relief.thread):
            threads.shutdown(wait=False)

    async def rotate(self, app: str) -> None:
        """Begin a new file in the log of an app. OSError: the disk is full or broken."""
        found = await self.of(app)
        await self._write(found.rotate, self.clock())

    def _made(self, app: str) -> AppLog:
        """In the writer's thread, so one at a time."""
        if app not in self._logs:
            self._logs[app] = AppLog(self.dir / quote(app, safe="").replace(".", "%2E"), app, self.limit)
        return self._logs[app]

    async def _write(self, work: Callable[..., T], *args: object) -> T:
        return await in_thread(self._writer, work, *args)

    def _watch(self, job: str) -> None:
        """Hear of what the job prints; the kernel may have no room for one more to be watched."""
        if not self._inotify.add(job, self.jobs / job):
            self._unheard.add(job)
        else:
            self._unheard.discard(job)

    async def _quiet(self) -> None:
        """Until something may be there to take in."""
        loop = asyncio.get_running_loop()
        due = [intake.due - self.clock() for intake in self._open.values() if intake.due]
        look_at = 0.0 if self._fresh else self._look_at
        wait = min([max(look_at - loop.time(), 0.0), *(min(max(each, 0.0), LOOK) for each in due)])
        if self._inotify.file < 0 or self._unheard:
            await asyncio.sleep(min(wait, BLIND))
            return
        heard = asyncio.Event()
        loop.add_reader(self._inotify.file, heard.set)
        try:
            async with asyncio.timeout(wait):
                await heard.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(self._inotify.file)

    def _next(self, now: float) -> list[str]:
        """The jobs that have something to take in."""
        heard, clock = self._inotify.heard(), self.clock()
        fresh, self._fresh = self._fresh, set()
        if heard is None or now >= self._look_at or self._unheard:
            heard = set(self._open)
            self._look_at = now + LOOK
            self._share()
        due = {id for id, intake in self._open.items() if intake.is_due(clock)}
        return [*due, *(id for id in (heard | fresh) - due if id in self._open and self._open[id].grown())]

    def _share(self) -> None:
        """What is held for those who follow is bounded for all logs together."""
        followed = [log for log in self._logs.values() if log.woken]
        for each in followed:
            each.hold(min(RECENT, HELD // len(followed)))

    async def _take(self, ids: Iterable[str], take: Callable[[Intake], list[Block]]) -> int:
        """How many blocks were taken. One thread for all, one at a time, so that followers see each log in order."""
        async with self._taking:
            return await whole(self._take_now([self._open[id] for id in ids if id in self._open], take))

    async def _take_now(self, found: list[Intake], take: Callable[[Intake], list[Block]]) -> int:
        """What was written is told, too, though who asked for it goes meanwhile."""
        taken = await self._write(self._take_each, found, take)
        for intake, blocks in taken:
            intake.log.publish(blocks)
            if intake.grown():
                self._fresh.add(intake.job.id)
                self.relief.look(intake)
        return sum(len(blocks) for _, blocks in taken)

    def _take_each(
        self, found: list[Intake], take: Callable[[Intake], list[Block]]
    ) -> list[tuple[Intake, list[Block]]]:
        taken = []
        for intake in found:
            id = intake.job.id
            try:
                if blocks := take(intake):
                    taken.append((intake, blocks))
                self._failed.discard(id)
            except OSError as error:
                if id not in self._failed:
                    log.warning("the log of %s cannot be written and waits: %s", id, error.strerror)
                self._failed.add(id)
                intake.relieve()  # It may be long until the log can be written, and the job prints on.
        return taken


def _dirs(dir: Path) -> list[Path]:
    try:
        return [path for path in dir.iterdir() if path.is_dir()]
    except OSError:
        return []
