"""L3: how old a line is when one who follows the log has it."""

from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.programs import program
from bench.common.run import Run
from bench.host.ground import APP, Ground, open_ground
from bench.host.load import paced
from bench.host.peers.docker import Docker, open_docker, system
from flynn.core import keys
from flynn.core.logform import JSON
from flynn.core.model import App

RATE, SECONDS = 1000, 8
"""Lines a second, and for how long."""

COUNT = RATE * SECONDS

SIGN = '"kind":"position"'
"""What the API says where the past ends and what is new begins."""

LIMIT = 60.0
"""Seconds within which all lines must have come."""


@dataclass(frozen=True)
class Ages:
    """Milliseconds from the write to the follower."""

    median: float
    p99: float
    most: float


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    facts = {keys.app(APP): App(name=APP, created=1.0)}
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(work, "host,shelf,controller", facts))
        docker = await stack.enter_async_context(open_docker(work, ground.fifo.dir))
        own, theirs = [], []
        for number in range(run.rounds):
            own.append(await _flynn(ground, number))
            theirs.append(await _docker(docker, ground))
    least = {"flynn": _least(own), "docker logs --follow": _least(theirs)}
    run.show(
        ["flynn : it", f"{RATE} lines a second", "p99 ms", "median ms", "most ms"],
        [
            [f"{least['flynn'].p99 / ages.p99:.2f}", name, *(f"{ms:.2f}" for ms in (ages.p99, ages.median, ages.most))]
            for name, ages in least.items()
        ],
    )
    what = f"p99 of {COUNT} lines, {RATE} a second, from the write to the follower"
    return [Figure("L3", least["flynn"].p99, "<=", 10, what, "ms")]


def _least(found: Iterable[Ages]) -> Ages:
    return min(found, key=lambda ages: ages.p99)


async def _flynn(ground: Ground, number: int) -> Ages:
    job = ground.job(f"bench-run-{number}", paced.command(COUNT, RATE))
    await ground.order(job)
    await ground.fifo.lines()
    path = f"/v1/apps/{APP}/log?n=0&follow=true&stream=stdout"
    ages = await _follow(ground, ground.daemon.url.removeprefix("http://"), path, ground.daemon.token, JSON, SIGN)
    await ground.state("down", job.id)
    await ground.end(job)
    return ages


async def _docker(docker: Docker, ground: Ground) -> Ages:
    words = docker.run("--detach", *system(), command=paced.program(COUNT, RATE))
    id = (await docker.do(*words[len(docker.words()) :])).strip()
    await ground.fifo.lines()
    ages = await _follow(ground, docker.socket, f"/containers/{id}/logs?stdout=1&follow=1", "", "*/*", "")
    await docker.do("wait", id)
    await docker.do("rm", id)
    return ages


async def _follow(ground: Ground, place: str, path: str, token: str, accept: str, sign: str) -> Ages:
    """NotMeasured: not all of the lines come."""
    async with program("host.load.follow", place, path, token, accept, sign, COUNT) as follower:
        await follower.says("ready", LIMIT)
        with going(ground):
            count, *ages = await follower.says("done", SECONDS + LIMIT)
    if int(count) != COUNT:
        raise NotMeasured(f"{count} of {COUNT} lines came by {path}")
    return Ages(*map(float, ages))


@contextmanager
def going(ground: Ground) -> Iterator[None]:
    """Let the paced job begin; the sign is gone after the block."""
    sign = ground.fifo.dir / paced.GO
    sign.touch()
    try:
        yield
    finally:
        sign.unlink()
