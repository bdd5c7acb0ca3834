"""Reads what the jobs and the machine take when somebody asks, and not again within a second."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from flynn.core.usage import HostUsage, JobUsage
from flynn.plugins.host.backends.backend import Running
from flynn.plugins.host.life.life import Life
from flynn.plugins.host.life.spec import limits_of
from flynn.plugins.host.usage.groupfiles import members, read_groups
from flynn.plugins.host.usage.machine import see
from flynn.plugins.host.usage.pace import Pace
from flynn.plugins.host.usage.processes import children, look, scan, total, tree
from flynn.plugins.host.usage.reading import Reading, Seat
from flynn.plugins.host.usage.remote import ask

MIB = 1024 * 1024

FRESH = 1.0
"""Seconds for which a reading is good enough for whoever asks next."""

MOMENT = 0.3
"""Seconds between two readings when nobody has asked lately, so that there is nothing to compare with."""


@dataclass(frozen=True)
class Known:
    """The last reading of a job's process, and what it was read from."""

    running: Running
    seat: Seat
    at: float
    reading: Reading
    pace: Pace | None


class Meter:
    """`lives` are the jobs that are not down; `data` is on the disk that is told of; `clock` never jumps."""

    def __init__(self, lives: Mapping[str, Life], data: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.lives, self.data, self.clock = lives, data, clock
        self._known: dict[str, Known] = {}
        self._reading = asyncio.Lock()
        self._host: Pace | None = None

    async def host(self, paced: bool = True) -> HostUsage:
        """The machine; `paced`: waits for a moment if nobody has asked lately."""
        seen = await self._see()
        if paced and (self._host is None or self._host.percent is None):
            await asyncio.sleep(MOMENT)
            seen = await self._see()
        used = self._host.percent if self._host else None
        return seen if used is None else replace(seen, percent=min(used / seen.cpus, 100.0))

    async def jobs(self, app: str = "", paced: bool = True) -> dict[str, JobUsage]:
        """The running jobs by id, of an app or all; `paced`: waits for a moment where nobody has asked lately."""
        asked = [id for id, life in self.lives.items() if life.running and (not app or life.job.app == app)]
        async with self._reading:
            self._known = {id: known for id, known in self._known.items() if id in self.lives}
            await self._read(self._stale(asked))
            if paced and (new := [id for id in asked if self._unpaced(id)]):
                await asyncio.sleep(MOMENT)
                await self._read(new)
            return {id: self._usage(self.lives[id], self._known[id]) for id in asked if self._there(id)}

    async def _see(self) -> HostUsage:
        seen = await asyncio.to_thread(see, self.data)
        now = self.clock()
        self._host = self._host.after(now, seen.cpu) if self._host else Pace(now, seen.cpu)
        return seen

    def _stale(self, asked: Iterable[str]) -> list[str]:
        now = self.clock()
        return [
            id for id in asked
            if not (known := self._known.get(id))
            or now - known.at >= FRESH
            or known.running is not self.lives[id].running
        ]  # fmt: skip

    def _unpaced(self, id: str) -> bool:
        known = self._known.get(id)
        return bool(known and known.pace and known.pace.percent is None)

    def _there(self, id: str) -> bool:
        return id in self.lives and id in self._known and self.lives[id].running is self._known[id].running

    async def _read(self, ids: Iterable[str]) -> None:
        """Of those that run still. What is read is of the moment at which it all is done."""
        running = {id: life.running for id in ids if (life := self.lives.get(id)) and life.running}
        if not running:
            return
        seats = await asyncio.to_thread(self._seats, running)
        readings = await asyncio.to_thread(read, seats)
        readings |= await ask(seats)
        now = self.clock()
        for id, reading in readings.items():
            self._known[id] = self._next(id, running[id], seats[id], now, reading)

    def _seats(self, running: Mapping[str, Running]) -> dict[str, Seat]:
        """Those that are known, where they still led to something."""
        kept = {
            id: known.seat
            for id, known in self._known.items()
            if id in running and known.running is running[id] and known.reading.cpu is not None
        }
        return {id: kept.get(id) or one.seat() for id, one in running.items()}

    def _next(self, id: str, running: Running, seat: Seat, now: float, reading: Reading) -> Known:
        before = self._known.get(id)
        same = before if before and before.running is running else None
        if same and same.reading.cpu is not None:  # What a process took that ended unseen is not forgotten.
            reading = reading._replace(cpu=max(reading.cpu or 0.0, same.reading.cpu))
        pace = same.pace if same else None
        if reading.cpu is not None:
            pace = pace.after(now, reading.cpu) if pace else Pace(now, reading.cpu)
        return Known(running, seat, now, reading, pace)

    def _usage(self, life: Life, known: Known) -> JobUsage:
        found = known.reading
        return JobUsage(
            cpu=found.cpu,
            percent=known.pace.percent if known.pace else None,
            memory=found.memory,
            limit=limits_of(life.job).memory * MIB if found.limited else 0,
            read=found.read,
            written=found.written,
            files=found.files,
            processes=found.processes,
            killed=life.kept.killed,
        )


def read(seats: Mapping[str, Seat]) -> dict[str, Reading]:
    """What the kernel tells of these jobs. Blocks for some milliseconds: call it in a thread."""
    counted = {id: read_groups(seat.groups) for id, seat in seats.items() if seat.groups}
    inside = {id: members(seats[id].groups) for id in counted}
    rooted = [id for id, seat in seats.items() if seat.root and not inside.get(id)]
    processes = scan() if rooted else look(pid for id, pids in inside.items() if _lacks(counted[id]) for pid in pids)
    below = children(processes) if rooted else {}
    inside |= {id: list(tree(seats[id].root, processes, below)) for id in rooted}
    return {id: total(pids, processes, counted.get(id, Reading())) for id, pids in inside.items()}


def _lacks(reading: Reading) -> bool:
    """Whether its processes must be looked at one by one."""
    return reading.cpu is None or reading.memory is None
