"""A real Docker Engine for tests: a dockerd of its own, on a UNIX socket, all it keeps in a directory of its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiodocker import Docker, DockerError

START = 30.0
"""Seconds in which a dockerd must answer after it was started, and be gone after it was told to end."""


def dockerd() -> str | None:
    """The engine's binary, if this user can run it (see tests/engines.sh)."""
    return shutil.which(os.environ.get("DOCKERD_BINARY", "dockerd")) if os.geteuid() == 0 else None


@dataclass(eq=False)
class Engine:
    """One dockerd, which can be stopped, killed, frozen and started again on its data."""

    binary: str
    home: Path
    flags: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.home}/sock"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        told = ["--data-root", f"{self.home}/data", "--exec-root", f"{self.home}/run", "--pidfile", f"{self.home}/pid"]
        told += ["--host", self.url, "--iptables=false", "--ip6tables=false", "--bridge=none", *self.flags]
        (self.home / "pid").unlink(missing_ok=True)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen([self.binary, *told], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START
        while not self._answers():
            assert self.process.poll() is None, (self.home / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"dockerd does not answer: {self.home}/log"
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(START)
            probe.connect(f"{self.home}/sock")
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in probe.recv(100)
        return False

    def stop(self) -> None:
        """Tell it to end, as a service manager does."""
        assert self.process
        self.process.terminate()
        self.process.wait(START)

    def kill(self) -> None:
        """End it at once, and so the containerd below it, which it would else take for one that runs."""
        assert self.process
        below = psutil.Process(self.process.pid).children()
        self.process.kill()
        self.process.wait(START)
        deadline = time.monotonic() + START
        while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in below):
            assert time.monotonic() < deadline, f"containerd goes on: {below}"
            time.sleep(0.02)
        (self.home / "run/containerd/containerd.pid").unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop it as SIGSTOP does: its socket takes connections, nobody answers."""
        assert self.process
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process
        os.kill(self.process.pid, signal.SIGCONT)

    async def left(self) -> list[str]:
        """The containers, running or ended, the volumes, and the networks of flynn's that it has, by name."""
        async with Docker(self.url) as client:
            containers = [one["Names"][0][1:] for one in await client.containers.list(all=True)]
            networks = [one["Name"] for one in await client.networks.list(filters={"label": ["flynn.data"]})]
            volumes = [volume["Name"] for volume in (await client.volumes.list())["Volumes"] or []]
            return [*containers, *volumes, *networks]

    async def forget_images(self) -> None:
        """Remove all images but that of the machine; one may go with another that is made of it."""
        async with Docker(self.url) as client:
            for one in await client.images.list():
                if not any(tag.startswith("flynn-machine") for tag in one["RepoTags"] or ()):
                    try:
                        await client.images.delete(one["Id"], force=True)
                    except DockerError as error:
                        if error.status != 404:
                            raise

    async def clear(self) -> None:
        """Remove all containers."""
        async with Docker(self.url) as client:
            for one in await client.containers.list(all=True):
                with contextlib.suppress(DockerError):
                    await one.delete(force=True, v=True)


@contextlib.contextmanager
def running_docker(binary: str, *flags: str) -> Iterator[Engine]:
    """A dockerd, for the length of a block, in which DOCKER_HOST names it."""
    home = Path(tempfile.mkdtemp(prefix="docker-"))
    engine = Engine(binary, home, flags)
    before = os.environ.get("DOCKER_HOST")
    try:
        engine.start()
        os.environ["DOCKER_HOST"] = engine.url
        yield engine
    finally:
        _restore(before)
        _end(engine)


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop("DOCKER_HOST", None)
    else:
        os.environ["DOCKER_HOST"] = before


def _end(engine: Engine) -> None:
    """Leave nothing of it: no container, process, mount or file."""
    if engine.process is None:
        return
    if engine.process.poll() is None:
        engine.thaw()
    else:
        engine.start()
    asyncio.run(engine.clear())
    engine.stop()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if (place := line.split()[4]).startswith(f"{engine.home}/"):
            subprocess.run(["umount", place], check=False)
    shutil.rmtree(engine.home, ignore_errors=True)
