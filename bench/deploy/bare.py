"""The same steps without flynn: a push to a bare repository, an archive, an installation, a start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.ports import free_ports
from bench.common.programs import app
from bench.common.web import Poller
from bench.deploy.repository import BRANCH, Repository, run

LIMIT = 60.0
"""Seconds within which the app must answer."""

PAUSE = 0.01
"""Seconds between two questions to an app that does not answer yet. The old release answers them: asked every
millisecond it takes most of a core from what is measured."""


@asynccontextmanager
async def open_bare(work: Path, env: Mapping[str, str]) -> AsyncIterator["Bare"]:
    """With a server of git's own for the length of a block."""
    [port] = free_ports(1)
    (work / "far").mkdir()
    async with app(work, "deploy.far", port, work / "far") as server:
        await server.listens(port)
        yield Bare(work, env, port)


class Bare:
    """`work`: where all of it lies; `port`: where repositories in `work/far` are had over HTTP."""

    def __init__(self, work: Path, env: Mapping[str, str], port: int) -> None:
        self.work, self.env, self.port = work, env, port
        self.far = work / "far" / "guestbook.git"
        self.venv = work / "venv"

    def make(self, repository: Repository) -> None:
        """A repository to push to, and the example's packages installed."""
        run(("git", "init", "--quiet", "--bare", str(self.far)), self.work, self.env)
        repository.git("remote", "add", "bare", f"http://127.0.0.1:{self.port}/{self.far.name}")
        repository.git("push", "--quiet", "bare", BRANCH)
        self._install(repository.path, self.venv)

    def parts(self, repository: Repository) -> dict[str, float]:
        """Seconds of each of the steps from the newest commit to an answer."""
        push = _timed(lambda: repository.git("push", "--quiet", "bare", BRANCH))
        tar = self.work / "source.tgz"
        archive = _timed(lambda: repository.git("archive", "--format=tar.gz", f"--output={tar}", BRANCH))
        return {"push": push, "archive": archive, "start": self._start(repository.path)}

    def installed(self, repository: Repository, number: int) -> dict[str, float]:
        """Seconds of a venv, of pip with all in its cache, and of packing that."""
        venv = self.work / f"venv-{number}"
        made = _timed(lambda: run((sys.executable, "-m", "venv", str(venv)), self.work, self.env))
        pip = _timed(lambda: self._pip(repository.path, venv))
        packed = _timed(lambda: run(("tar", "-czf", f"{venv}.tgz", venv.name), self.work, self.env))
        return {"venv": made, "pip": pip, "gzip": packed}

    def _install(self, source: Path, venv: Path) -> None:
        run((sys.executable, "-m", "venv", str(venv)), self.work, self.env)
        self._pip(source, venv)

    def _pip(self, source: Path, venv: Path) -> str:
        command = (str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check")
        return run((*command, "--requirement", "requirements.txt"), source, self.env)

    def _start(self, source: Path) -> float:
        """As the Procfile says."""
        [port] = free_ports(1)
        command = (source / "Procfile").read_text().partition("web:")[2].splitlines()[0]
        env = {"PATH": f"{self.venv}/bin:{os.environ['PATH']}", "PORT": str(port), "LANG": "C.UTF-8", "HOME": "/"}
        begun = time.perf_counter()
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=source, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            return answered(Poller(port, "127.0.0.1"), "") - begun
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answered(poller: Poller, words: str) -> float:
    """When a 200 with these words came. NotMeasured: none did within the limit."""
    deadline = time.monotonic() + LIMIT
    while poller.status() != 200 or words.encode() not in poller.last:
        if time.monotonic() > deadline:
            said = poller.last[-200:].decode(errors="replace")
            raise NotMeasured(f"not within {LIMIT:g} s: an answer with {words!r} on port {poller.port}; last: {said!r}")
        time.sleep(PAUSE)
    poller.close()
    return time.perf_counter()


def _timed(step: object) -> float:
    assert callable(step)
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun
