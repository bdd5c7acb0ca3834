"""L1, L2: a million lines to disk, and back again, through the agent and through Docker's json-file."""

import asyncio
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.common import programs
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.run import Run
from bench.host.fifo import NAME
from bench.host.ground import Ground, open_ground
from bench.host.peers.docker import Docker, open_docker, system
from flynn.core import keys
from flynn.core.logform import JSON, TEXT
from flynn.core.logframe import MEDIA_TYPE
from flynn.core.model import App

LINES, SIZE = 1_000_000, 100
"""Lines, and bytes of each with its end."""

MARK = "abcdefgh"
"""What each line begins with."""

PRINT = f"""
import os
begun = os.open("/cache/{NAME}", os.O_WRONLY)
piece = (b"{MARK}".ljust({SIZE} - 1, b".") + b"\\n") * 1000
os.write(begun, b"1\\n")
for _ in range({LINES} // 1000):
    left = piece
    while left:
        left = left[os.write(1, left):]
os.write(begun, b"1\\n")
"""
"""Says that it begins, prints, and says that it has done so; what it takes itself is next to nothing."""

PYTHON = [f"{sys.base_prefix}/bin/python3", "-SE", "-c"]

LIMIT = 120.0
"""Seconds within which the lines must be written, and read."""


@dataclass(frozen=True)
class Taken:
    """Seconds to write them, and by each way to read them."""

    written: float
    read: dict[str, float]


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    apps = [f"bench-lines-{number}" for number in range(run.rounds)]
    facts = {keys.app(app): App(name=app, created=1.0) for app in apps}
    async with AsyncExitStack() as stack:
        opened = open_ground(work, "host,shelf,controller", facts, {"host.log_size": 3 * LINES * SIZE >> 20})
        ground = await stack.enter_async_context(opened)
        docker = await stack.enter_async_context(open_docker(work, ground.fifo.dir))
        own, theirs = [], []
        for app in apps:
            own.append(await _flynn(ground, app))
            theirs.append(await _docker(docker, ground))
    return _figures(run, own, theirs)


async def _flynn(ground: Ground, app: str) -> Taken:
    """From the first line to the job that is down: its whole log is on disk then."""
    job = ground.job(f"{app}-run-1", f"exec {shlex.join([*PYTHON, PRINT])}", app=app)
    await ground.order(job)
    begun = await ground.fifo.lines(1)
    await ground.state("down", job.id)
    written = time.perf_counter() - begun
    await ground.fifo.lines(1)
    api, host = f"/v1/apps/{app}/log?n={2 * LINES}", f"/v1/hosts/bench/log?app={app}&n={2 * LINES}"
    read = {
        "flynn, text": await _read(ground, api, TEXT, MARK),
        "flynn, JSON lines": await _read(ground, api, JSON, f'"line":"{MARK}'),
        "flynn, one host's pieces": await _read(ground, host, MEDIA_TYPE, MARK),
    }
    await ground.end(job)
    return Taken(written, read)


async def _read(ground: Ground, path: str, accept: str, mark: str) -> float:
    return await _reading(ground.daemon.url.removeprefix("http://"), path, ground.daemon.token, accept, mark)


async def _reading(place: str, path: str, token: str, accept: str, mark: str) -> float:
    """Seconds. NotMeasured: not all of the lines come back."""
    count, seconds = await programs.done(LIMIT, "host.load.read_all", place, path, token, accept, mark)
    if int(count) != LINES:
        raise NotMeasured(f"{count} of {LINES} lines come back from {path}")
    return float(seconds)


async def _docker(docker: Docker, ground: Ground) -> Taken:
    """From the first line to the program's word that it has printed all, which is a bit before all is on disk."""
    words = docker.run("--detach", *system(), command=[*PYTHON, PRINT])
    heard = asyncio.create_task(ground.fifo.lines(1), name="begun")
    id = (await docker.do(*words[len(docker.words()) :])).strip()
    begun = await heard
    written = await ground.fifo.lines(1) - begun
    await docker.do("wait", id)
    read = {
        "docker logs": await asyncio.to_thread(_logs, docker.words("logs", id)),
        "docker's API": await _reading(docker.socket, f"/containers/{id}/logs?stdout=1", "", "*/*", MARK),
    }
    await docker.do("rm", id)
    return Taken(written, read)


def _logs(words: Sequence[str]) -> float:
    begun = time.perf_counter()
    try:
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT, check=True)
    except subprocess.SubprocessError as error:
        raise NotMeasured(f"docker logs: {error}") from None
    return time.perf_counter() - begun


def _figures(run: Run, own: Sequence[Taken], theirs: Sequence[Taken]) -> list[Figure]:
    write, slow = min(taken.written for taken in own), min(taken.written for taken in theirs)
    figures = []
    if run.wants("L1"):
        rows = [["1.00", "flynn", _rate(write)], [f"{slow / write:.2f}", "docker, json-file", _rate(slow)]]
        run.show(["flynn : it", "written", "lines a second"], rows)
        figures.append(Figure("L1", slow / write, ">=", 5, "lines a second to disk, flynn : docker's json-file"))
    if run.wants("L2"):
        read = {way: min(taken.read[way] for taken in each) for each in (own, theirs) for way in each[0].read}
        text, logs = read["flynn, text"], min(read[way] for way in theirs[0].read)
        run.show(
            ["flynn : it", "read", "lines a second"],
            [[f"{seconds / text:.2f}", way, _rate(seconds)] for way, seconds in read.items()],
        )
        figures.append(Figure("L2", logs / text, ">=", 10, "lines a second read back, flynn's API : docker logs"))
    return figures


def _rate(seconds: float) -> str:
    return f"{LINES / seconds:.0f}"
