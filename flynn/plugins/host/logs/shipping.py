"""One log sink as this host sends to it: from where it was left, as fast as it takes it.

What it has not taken yet waits in the logs on disk, so that a sink which is slow or away costs neither memory nor an
app its time. What goes from disk before it was taken is dropped, counted, and said.
"""

import asyncio
import logging
import os
from pathlib import Path

import msgspec

from flynn.core import model
from flynn.core.logframe import Block, Frame, Lost
from flynn.core.logquery import Wanted
from flynn.plugins.host.logs.applog import AppLog
from flynn.plugins.host.logs.logs import Logs
from flynn.plugins.host.logs.past import Past
from flynn.plugins.host.logs.sink import Refused, Sink
from flynn.plugins.host.race import in_thread

log = logging.getLogger(__name__)

BATCH = 512 * 1024
"""Bytes of lines that are sent at once, of each app."""

SEND = 30.0
"""Seconds that a batch may take."""

RETRY, RETRY_MOST = 0.5, 60.0
"""Seconds of the pause after a failure, which doubles."""

GATHER = 0.05
"""Seconds in which lines come together before they are sent."""

LOOK = 2.0
"""Seconds between two looks for logs that are new."""

SAVE = 1.0
"""Seconds between two times that the progress is kept."""

TELL = 10.0
"""Seconds between two times that a log says what was dropped of it."""


class Progress(msgspec.Struct):
    """How it goes. `at`: by app, the number of the line to be sent next; `dropped`: lines that never will be."""

    at: dict[str, int] = {}
    sent: int = 0
    dropped: int = 0
    problem: str = ""


class Shipping:
    """`file` keeps the progress. `sink` None: its kind is unknown here, `problem` says so."""

    def __init__(self, record: model.Sink, sink: Sink, logs: Logs, file: Path, host: str) -> None:
        self.record, self.sink, self.logs, self.file, self.host = record, sink, logs, file, host
        self.progress = Progress()
        self._open: dict[str, tuple[AppLog, Past]] = {}
        self._woken = asyncio.Event()
        self._saved, self._told = 0.0, -TELL
        self._dirty = self._begun = False
        self._unsaid: dict[str, tuple[int, str]] = {}

    async def run(self) -> None:
        """Send for ever. What is under way when it is cancelled is sent again when it is run again."""
        try:
            await self._begin()
            while True:
                self._woken.clear()
                await self._look()
                if not await self._turn():
                    await self._wait()
        finally:
            for found, past in self._open.values():
                found.woken.discard(self._woken.set)
                past.close()
            self._open.clear()
            if self._begun:
                self._save()
            await self.sink.close()

    def shown(self) -> dict[str, object]:
        """What `flynn sink` tells of it. `behind`: lines that wait on disk."""
        told = self.progress
        behind = sum(max(found.told + 1 - told.at[app], 0) for app, (found, _) in self._open.items())
        return {"sent": told.sent, "dropped": told.dropped, "behind": behind, "problem": told.problem}

    async def _begin(self) -> None:
        """Where it was left; a new sink begins with what comes from now on."""
        try:
            self.progress = msgspec.json.decode(await asyncio.to_thread(self.file.read_bytes), type=Progress)
        except (OSError, msgspec.DecodeError):
            for app in await self._apps():
                self.progress.at[app] = (await self.logs.of(app)).told + 1
            self._save()
        self._begun = True

    async def _apps(self) -> list[str]:
        return [self.record.app] if self.record.app else [*{*await self.logs.apps(), *self.logs.known}]

    async def _look(self) -> None:
        """Open the logs that are new."""
        wanted = {self.record.app} if self.record.app else self.logs.known | self.progress.at.keys()
        for app in wanted - self._open.keys():
            found = await self.logs.of(app)
            at = self.progress.at.get(app, 1)
            if at > found.told + 1:  # That log was lost and has begun anew.
                at = 1
            self.progress.at[app] = at
            self._open[app] = (found, Past(found.dir, Wanted(), at))
            found.woken.add(self._woken.set)

    async def _turn(self) -> bool:
        """Send a batch of each log; whether there was anything."""
        any = False
        for app, (found, past) in list(self._open.items()):
            frames = await self._next(found, past)
            if blocks := [frame for frame in frames if isinstance(frame, Block)]:
                await self._deliver(app, blocks)
            if lost := sum(frame.lines for frame in frames if isinstance(frame, Lost)):
                await self._dropped(app, lost, "they were gone from disk before it took them")
            any = any or bool(frames)
            self.progress.at[app] = past.number
        self._dirty = self._dirty or any
        if self._dirty and self._now() > self._saved + SAVE:
            self._save()
        await self._tell()
        return any

    async def _next(self, found: AppLog, past: Past) -> list[Frame]:
        if past.number > found.told:
            return []
        recent = found.after(past.number)
        if recent is None:
            return await in_thread(self.logs.readers, past.read, BATCH, found.told + 1)
        size, some = 0, list[Frame]()
        for block in recent:
            some.append(block)
            past.skip(block.next)
            size += len(block.data)
            if size > BATCH:
                break
        return some

    async def _deliver(self, app: str, blocks: list[Block]) -> None:
        """Until the sink has them, or refuses them for ever."""
        lines, pause = sum(block.head.lines for block in blocks), RETRY
        while True:
            try:
                async with asyncio.timeout(SEND):
                    await self.sink.send(self.host, blocks)
                self._problem("")
                self.progress.sent += lines
                return
            except Refused as error:
                await self._dropped(app, lines, str(error))
                return
            except Exception as error:
                self._problem(f"took nothing for {SEND:g} s" if isinstance(error, TimeoutError) else _words(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_MOST)

    async def _dropped(self, app: str, lines: int, why: str) -> None:
        self.progress.dropped += lines
        self._unsaid[app] = (self._unsaid.get(app, (0, ""))[0] + lines, why)
        await self._tell()

    async def _tell(self) -> None:
        """Say in the logs what was dropped, not all the time."""
        if not self._unsaid or self._now() < self._told + TELL:
            return
        self._told, unsaid = self._now(), self._unsaid
        self._unsaid = {}
        for app, (lines, why) in unsaid.items():
            text = " ".join(f"{lines} lines were not sent to the sink {self.record.id}: {why}".split())
            log.warning("of %s %s", app, text)
            try:
                await self.logs.note(app, text)
            except OSError as error:
                log.warning("the log of %s cannot be written: %s", app, error.strerror)

    def _problem(self, text: str) -> None:
        if text != self.progress.problem:
            log.warning("the sink %s: %s", self.record.id, text or "takes lines again")
            self.progress.problem = text

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK):
                await self._woken.wait()
            await asyncio.sleep(GATHER)
        except TimeoutError:
            pass

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _save(self) -> None:
        """A few hundred bytes, without a flush to disk: it may be done on the loop."""
        self._saved, self._dirty = self._now(), False
        partial = self.file.with_suffix(".part")
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(self.progress))
            os.replace(partial, self.file)
        except OSError as error:
            log.warning("what was sent to the sink %s cannot be kept: %s", self.record.id, error.strerror)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
