"""The backend that runs each job as a container of Docker Engine (or of what speaks its API), through aiodocker.

The network is the machine's, as in a sandbox, or its app's own (`networks.py`), or none: a job has one port, which is
its own on the whole host. What it prints goes straight to its raw files and does not pass through the engine, so no
engine that stops, hangs or starts again loses a line of it.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from aiodocker import Docker
from aiodocker.containers import DockerContainer

from flynn.core.errors import Conflict, FlynnError, NotFound, StartError, Unavailable
from flynn.core.model import Network
from flynn.plugins.host.backends.backend import NotStarted, Spec, check_network
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.backends.probe import first_mode
from flynn.plugins.host.docker import binds, overlay, trial
from flynn.plugins.host.docker.container import RunningContainer
from flynn.plugins.host.docker.engine import WORK, Refused, engine
from flynn.plugins.host.docker.made import Made, load, save, seen, unborn
from flynn.plugins.host.docker.networks import Networks
from flynn.plugins.host.docker.recipe import is_alone, name_of, recipe
from flynn.plugins.host.docker.removal import discard, remove
from flynn.plugins.host.docker.roots import Roots
from flynn.plugins.host.docker.shared import check_shared
from flynn.plugins.host.docker.walls import Unwalled
from flynn.plugins.host.race import whole
from flynn.plugins.host.sandbox.rootfs import write_users

MODES = ("overlay", "copy")
"""How `/app` is made writable, the best first: an overlay needs a file system that can be the upper part of one."""

PROBE = 30.0
"""Seconds that one try of a container may take."""

OPENED = 20.0
"""Seconds in which a job must have opened its standard input."""


PATIENCE = 5.0
"""Seconds that a start which is given up waits for the container that the engine makes at this moment."""

AGAIN = 60.0
"""Seconds until it is tried again whether there are networks of jobs' own, where a trial went wrong that may not."""

log = logging.getLogger(__name__)


class DockerBackend:
    """Each job in a container of its own, on the machine's own system or an image; the network is the machine's, or as
    it says."""

    name = "docker"
    lacks = ""
    networks: tuple[Network, ...] = ("host", "none")
    no_own = trial.AWAY.why

    def __init__(self, data: Path) -> None:
        self.data = data / "docker"
        self.roots, self.nets = Roots(self.data), Networks(self.data)
        self.mode = self._torn = ""
        self._lack, self._tried = trial.AWAY, -AGAIN
        self._walled = False

    async def open(self) -> None:
        """Find out which way of making `/app` writable works here. StartError: none does, or there never was an engine.

        One that is away now but worked before is believed to come back: its jobs may run on meanwhile.
        """
        await asyncio.to_thread(write_users, self.data / "etc", overlay.owner(), overlay.group())
        try:
            await _answers()
        except StartError as error:
            self.mode = await asyncio.to_thread(_known_mode, self.data)
            if not self.mode:
                raise
            log.warning("%s; what is in containers runs on, new ones wait for it", error)
            return
        await check_shared(self.data, self.roots)
        self.mode, reason = await self._choose()
        if self.mode:
            await asyncio.to_thread((self.data / "mode").write_text, self.mode)
            await self._try()
            self._offer(self._lack.why)
            return
        raise StartError(
            f"no container can be made here: {reason}; mend that, or run the daemon with --set host.backend=sandbox"
        )

    async def _choose(self, modes: Sequence[str] = MODES) -> tuple[str, str]:
        """As `first_mode`."""
        return await first_mode(
            self.data / "probe", modes, lambda spec, mode: self._start(spec, lambda identity: None, mode), PROBE
        )

    async def look(self, answers: bool = True) -> bool:
        """See after the networks; whether something else is offered from now on. `answers`: the engine does. Its
        containers need their walls also while it does not."""
        before, self._torn = self.no_own, ""
        try:
            await self.nets.keep()
        except Unwalled as error:
            self._torn = str(error)
            log.error("containers with a network of their own may reach this machine: %s", error)
        if answers and self._lack.passing and time.monotonic() - self._tried >= AGAIN:
            await self._try()
        self._offer(self._torn or self._lack.why)
        return self.no_own != before

    @property
    def has_walled(self) -> bool:
        """Whether networks of jobs' own could ever be given here, to this daemon or one before."""
        return self._walled or (self.data / "walled").exists()

    def _offer(self, no_own: str) -> None:
        if not no_own and not self._walled:
            self._walled = True
            with contextlib.suppress(OSError):  # A full disk, say: the next daemon finds it out anew.
                (self.data / "walled").touch()
        self.no_own = no_own
        self.networks = ("host", "none") if no_own else ("host", "own", "none")

    async def _try(self) -> None:
        await self.nets.leave()
        self._lack = await trial.lacking(
            self.nets, self.data / "probe", lambda spec: self._start(spec, lambda identity: None, self.mode)
        )
        self._tried = time.monotonic()

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> RunningContainer:
        check_network(spec, self.name, self.networks)
        return await self._start(spec, commit, self.mode)

    def adopt(self, dir: Path, identity: Identity) -> RunningContainer:
        return RunningContainer(dir, identity, load(dir), networks=self.nets)

    async def _start(self, spec: Spec, commit: Callable[[Identity], None], mode: str) -> RunningContainer:
        """All or nothing: what goes wrong on the way, or is cancelled, leaves no container."""
        try:
            copied = mode == "copy" or not overlay.can_overlay(*spec.stack, spec.dir)
            await asyncio.to_thread(_prepare, spec, copied)
            async with engine(WORK) as client:
                async with self._network(client, spec) as network:
                    made = await self._run(client, spec, commit, copied, network)
            await asyncio.to_thread(save, spec.dir, made)
            stdin = await _open_stdin(spec, made) if spec.stdin else -1
            return RunningContainer(spec.dir, made.process, made, stdin, self.nets)
        except BaseException as error:
            await whole(self._undo(spec))
            if isinstance(error, Unavailable | NotFound | Conflict | Refused | OSError):
                raise NotStarted(f"the container could not be started: {error}") from None
            raise

    def _network(self, client: Docker, spec: Spec) -> AbstractAsyncContextManager[str]:
        """The engine's name of the app's own network; empty: the job has none."""
        own = spec.network == "own"
        return self.nets.given(client, spec.app, spec.refused) if own else contextlib.nullcontext("")

    async def _undo(self, spec: Spec) -> None:
        await remove(name_of(spec.dir))
        if spec.network == "own":
            await self.nets.leave(self.nets.name_of(spec.app))
        (spec.dir / "container").unlink(missing_ok=True)
        await asyncio.to_thread(overlay.remove, spec.dir)

    async def _run(
        self, client: Docker, spec: Spec, commit: Callable[[Identity], None], copied: bool, network: str
    ) -> Made:
        """Make the container, write it down, set it going. One of before, of the same job, makes way."""
        name = name_of(spec.dir)
        await discard(client, name)
        root = await self.roots.of(client, spec)
        await asyncio.to_thread(binds.prepare, spec.binds, root.user if is_alone(spec) else "")
        container = await _patiently(
            client.containers.create(recipe(spec, root, self.data, copied, network), name=name)
        )
        made = Made(container.id, unborn(), logged=not root.shell, network=network)
        await asyncio.to_thread(save, spec.dir, made)
        commit(unborn())
        await container.start()
        found = await container.show()
        return seen(made, found["State"]["Pid"])


async def _answers() -> None:
    """StartError: the engine does not answer."""
    try:
        async with engine() as client:
            await client.version()
    except FlynnError as error:
        raise StartError(str(error)) from None


def _known_mode(data: Path) -> str:
    """What worked when the backend was last opened; empty: it never was."""
    try:
        found = (data / "mode").read_text()
    except OSError:
        return ""
    return found if found in MODES else ""


async def _patiently(asked: Coroutine[Any, Any, DockerContainer]) -> DockerContainer:
    """The container; a cancellation waits a while for it: the engine would make one though nobody is there any more."""
    making = asyncio.create_task(asked, name="make a container")
    try:
        return await asyncio.shield(making)
    finally:
        await asyncio.wait([making], timeout=PATIENCE)
        if not making.cancel() and not making.cancelled():
            making.exception()  # which has been raised, or is of no interest any more


async def _open_stdin(spec: Spec, made: Made) -> int:
    """The end to write to of the job's named pipe, once the job has opened the other one (fifo(7)); -1: it ended."""
    deadline = time.monotonic() + OPENED
    running = RunningContainer(spec.dir, made.process, made)
    while running.alive():
        try:
            return os.open(spec.dir / "stdin", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            if time.monotonic() > deadline:
                raise NotStarted(f"it did not open its standard input within {OPENED:g} s") from None
            await asyncio.sleep(0.005)
    return -1


def _prepare(spec: Spec, copied: bool) -> None:
    for path in (spec.stdout, spec.stderr):
        path.touch()
        path.chmod(0o666)
    (spec.dir / "stdin").unlink(missing_ok=True)
    if spec.stdin:
        os.mkfifo(spec.dir / "stdin")
        (spec.dir / "stdin").chmod(0o666)
    for given in (spec.cache, spec.out, spec.socket and spec.socket.parent):
        if given:
            overlay.give(given)
    if is_alone(spec):
        overlay.remove(spec.dir)
        if spec.socket:  # An image may have a user of its own; what is above this directory is the agent's alone.
            spec.socket.parent.chmod(0o777)
    else:
        overlay.make(spec.dir, spec.stack, copied)
