"""Docker: an engine of its own, told by its command line; an image that is a busybox, imported."""

import asyncio
import io
import os
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common.binaries import binary
from bench.common.errors import NotMeasured
from flynn.plugins.host.sandbox.rootfs import SYSTEM, python_homes
from tests.docker import Engine, dockerd, running_docker

IMAGE = "bench"

LIMIT = 120.0
"""Seconds within which it must have done what it was told."""

PROGRAMS = ("sh", "cat", "echo", "sleep")


@dataclass(frozen=True)
class Docker:
    """An engine that runs; `program` is its command line. `cache` is seen by all containers at /cache."""

    engine: Engine
    program: str
    cache: Path

    def words(self, *words: str) -> list[str]:
        return [self.program, "--host", self.engine.url, *words]

    def run(self, *words: str, command: Sequence[str]) -> list[str]:
        """`docker run`, as it is said to an engine that was just installed."""
        return self.words("run", "--volume", f"{self.cache}:/cache", *words, IMAGE, *command)

    async def do(self, *words: str) -> str:
        """What a call prints. NotMeasured: it fails."""
        return await asyncio.to_thread(done, self.words(*words))

    @property
    def socket(self) -> str:
        """The path of its API."""
        return self.engine.url.removeprefix("unix://")


def done(words: Sequence[str], data: bytes | None = None) -> str:
    """What a command prints; it gets `data`. NotMeasured: it fails, or takes too long."""
    try:
        told = subprocess.run(words, input=data, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"not within {LIMIT:g} s: {' '.join(words[:6])}") from None
    if told.returncode:
        raise NotMeasured(f"{' '.join(words[:6])} ends with {told.returncode}: {told.stderr.decode()[-500:]}")
    return told.stdout.decode()


@asynccontextmanager
async def open_docker(work: Path, cache: Path) -> AsyncIterator[Docker]:
    """An engine with the image, for the length of a block. NotMeasured: there is none that this user can run.

    Its bridge is in a network namespace of its own, where it is in the way of no other engine of this machine.
    """
    found = dockerd()
    if found is None:
        raise NotMeasured("there is no Docker Engine that this user can run; run as root, tests/engines.sh installs it")
    alone = work / "dockerd"
    alone.write_text(f'#!/bin/sh\nexec unshare --net -- {found} "$@"\n')
    alone.chmod(0o755)
    opened = running_docker(str(alone), "--bridge=")
    engine = await asyncio.to_thread(opened.__enter__)
    try:
        docker = Docker(engine, binary("docker"), cache)
        await asyncio.to_thread(done, docker.words("import", "-", IMAGE), image())
        yield docker
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)


def image() -> bytes:
    """A busybox in /busybox with the programs of it that are needed, and links to where the machine's own programs
    are mounted by `system`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(os.path.realpath(binary("busybox")), "busybox/busybox")
        for name in PROGRAMS:
            _link(tar, f"busybox/{name}", "busybox")
        for path in SYSTEM:
            if os.path.islink(path):
                _link(tar, path[1:], os.readlink(path))
    return packed.getvalue()


def _link(tar: tarfile.TarFile, name: str, to: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mtime = tarfile.SYMTYPE, to, time.time()
    tar.addfile(entry)


def system() -> list[str]:
    """Words of `docker run` that give a container the machine's own programs, as the sandbox has them."""
    shown = [*(path for path in SYSTEM if os.path.isdir(path) and not os.path.islink(path)), *python_homes()]
    return [word for path in shown for word in ("--volume", f"{path}:{path}:ro")]
