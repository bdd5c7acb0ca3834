"""P1, P2: from `git push` to the first answer of the new release, beside the same steps without flynn."""

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.common.daemon import Daemon, running
from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.ports import free_ports
from bench.common.run import Run
from bench.common.web import Poller
from bench.deploy.bare import Bare, answered, open_bare
from bench.deploy.repository import BRANCH, LIMIT, Repository, environ

APP = "guestbook"

SETTLE = 0.5
"""Seconds that new processes must be up until the old ones go: short, as it is not what is measured."""

CHANGED = ("itsdangerous == 2.1.2", "itsdangerous == 2.2.0")
"""One of these is needed, and then the other."""


class Grid:
    """An app that is pushed to. `port` is the router's."""

    def __init__(self, repository: Repository, port: int) -> None:
        self.repository, self.port = repository, port

    def push(self, words: str) -> tuple[float, float]:
        """Push the newest commit, whose app says `words`: seconds to its first answer, and to the end of the push."""
        begun = time.perf_counter()
        pushing = subprocess.Popen(
            ["git", "push", "flynn", BRANCH], cwd=self.repository.path, env=dict(self.repository.env),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            first = answered(Poller(self.port, f"{APP}.flynn.localhost"), words) - begun
            said, _ = pushing.communicate(timeout=LIMIT)
        except (NotMeasured, subprocess.TimeoutExpired) as error:
            pushing.kill()
            said, _ = pushing.communicate()
            raise NotMeasured(f"{error}; the push said: {said.decode(errors='replace')}") from None
        if pushing.returncode:
            raise NotMeasured(f"the push ended with {pushing.returncode}: {said.decode(errors='replace')}")
        return first, time.perf_counter() - begun


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    env = environ(work / "home") | {"PIP_CACHE_DIR": str(work / "pip")}
    (work / "home").mkdir()
    repository = Repository(work / "guestbook", env)
    await asyncio.to_thread(repository.make)
    async with open_bare(work, env) as bare, _grid(repository, work) as grid:
        await asyncio.to_thread(_first, grid, bare)
        return await asyncio.to_thread(_rounds, run, grid, bare)


def _first(grid: Grid, bare: Bare) -> None:
    """All is in all caches after this."""
    bare.make(grid.repository)
    for number, package in enumerate(CHANGED):
        grid.repository.need(package)
        words = f"Warm {number}"
        grid.repository.greet(words)
        grid.push(words)
        bare.installed(grid.repository, -1 - number)


def _rounds(run: Run, grid: Grid, bare: Bare) -> list[Figure]:
    figures = []
    if run.wants("P1"):
        figures += _one_line(run, grid, bare)
    if run.wants("P2"):
        figures += _one_package(run, grid, bare)
    return figures


def _one_line(run: Run, grid: Grid, bare: Bare) -> list[Figure]:
    pushes, sums, rows = [], [], []
    for number in range(run.rounds):
        words = f"Line {number}."
        grid.repository.greet(words)
        parts = bare.parts(grid.repository)
        first, end = grid.push(words)
        pushes.append(first)
        sums.append(sum(parts.values()))
        rows.append([_ms(first), _ms(end), *(_ms(part) for part in parts.values()), _ms(sums[-1])])
    run.show(["a line changed: ms to the first answer", "push ends", "bare: push", "archive", "start", "sum"], rows)
    return [
        Figure("P1a", min(pushes) / min(sums), "<=", 1.5, "a line pushed, to its first answer : its parts run bare"),
        Figure("P1b", min(pushes), "<=", 2, "a line pushed, to its first answer", "s"),
    ]


def _one_package(run: Run, grid: Grid, bare: Bare) -> list[Figure]:
    pushes, sums, rows = [], [], []
    for number, package in zip(range(run.rounds), itertools.cycle(CHANGED), strict=False):
        words = f"Package {number}."
        grid.repository.need(package)
        grid.repository.greet(words)
        parts = bare.installed(grid.repository, number)
        first, end = grid.push(words)
        pushes.append(first)
        sums.append(sum(parts.values()))
        rows.append([_ms(first), _ms(end), *(_ms(part) for part in parts.values()), _ms(sums[-1])])
    run.show(["a package changed: ms to the first answer", "push ends", "bare: venv", "pip", "gzip", "sum"], rows)
    return [
        Figure("P2", min(sums) / min(pushes), ">=", 5, "venv, pip and gzip : a package pushed, to its first answer")
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


@asynccontextmanager
async def _grid(repository: Repository, work: Path) -> AsyncIterator[Grid]:
    api, http = free_ports(2)
    told = ["--backend", "sandbox", "--http-port", str(http), "--set", f"controller.settle={SETTLE}"]
    daemon = Daemon(work / "flynn", "", api, told)
    async with running(daemon):
        known = Repository(repository.path, {**repository.env, "FLYNN_URL": daemon.url, "FLYNN_TOKEN": daemon.token})
        await asyncio.to_thread(known.run, sys.executable, "-m", "flynn", "create", APP)
        yield Grid(known, http)
