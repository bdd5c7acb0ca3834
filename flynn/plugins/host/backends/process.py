"""The backend for machines without sandboxes: plain processes of the daemon's own user. No isolation at all."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from flynn.core.model import Network
from flynn.plugins.host.backends import bind, owner
from flynn.plugins.host.backends.backend import NotStarted, Signals, Spec, begin, check_network, no_images
from flynn.plugins.host.backends.begun import BEGUN
from flynn.plugins.host.backends.beside import run_beside, write_environ
from flynn.plugins.host.backends.here import RunningHere
from flynn.plugins.host.backends.identity import Identity, boot_id, gone, identify
from flynn.plugins.host.backends.launch import Gate, descendants, launch, opened, processes, send
from flynn.plugins.host.backends.proc import over
from flynn.plugins.host.limits.cgroup import PATIENCE, kill_each, members
from flynn.plugins.host.limits.limiter import Limiter, end, group_of
from flynn.plugins.host.race import race
from flynn.plugins.host.trees import copy_tree, own, remove_tree

PATH = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the programs of this machine are, the daemon's own Python first."""

WRAP = 'trap : HUP INT QUIT TERM USR1 USR2; "$@"; code=$?; echo $code >"$0"; exit $code'
"""The shell that stays beside the process to write down its exit code. What it traps, its child does not."""

NO_WALLS = (
    "jobs are not shut in: each sees this machine's files and processes, and may do what the daemon's user may; "
    "install bubblewrap or Docker"
)


class ProcessBackend:
    """Each job is a session of processes; its layers are copied into its directory at each start."""

    name = "process"
    lacks = ""
    networks: tuple[Network, ...] = ("host",)
    no_own = "its jobs are plain processes; install bubblewrap"

    def __init__(self, data: Path) -> None:
        self.limiter = Limiter(data)

    async def open(self) -> None:
        """It runs everywhere."""
        await asyncio.to_thread(self.limiter.open)
        self.lacks = "; ".join([NO_WALLS, *filter(None, [self.limiter.lacks])])

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> "RunningProcess":
        no_images(spec, self.name)
        check_network(spec, self.name, self.networks)
        env = {**paths(spec, {name: spec.dir / "root" / name for name in {"app", *spec.layers}}), **spec.env}
        env |= directories(spec, {name: str(spec.dir / "root" / name) for name in {"app", *spec.layers}})
        launched = await launch(spec, lambda stack: self._ready(spec, env, stack), commit)
        return RunningProcess(spec.dir, *launched)

    def _ready(self, spec: Spec, env: Mapping[str, str], stack: contextlib.ExitStack) -> Gate:
        argv = ["/bin/sh", "-c", WRAP, str(spec.dir / "exit"), *begin(spec, "" if spec.stdin else BEGUN)]
        outputs, hold = (spec.stdout, spec.stderr), self.limiter.hold(spec)
        gate = stack.enter_context(opened(argv, env, outputs, spec.stdin, hold=hold))
        self.limiter.make(spec)
        gate.enter()
        _prepare(spec, env)
        return gate

    def adopt(self, dir: Path, identity: Identity) -> "RunningProcess":
        return RunningProcess(dir, identity)


def paths(spec: Spec, layers: dict[str, Path]) -> dict[str, str]:
    """What a process is told unless the job tells it otherwise."""
    return {"PATH": PATH, "HOME": str(layers["app"]), "LANG": "C.UTF-8"}


def directories(spec: Spec, layers: dict[str, str]) -> dict[str, str]:
    """The variables that tell a process where its directories are, and its socket."""
    named = {f"{name.upper().replace('-', '_')}_DIR": path for name, path in layers.items()}
    named |= bind.told(spec.binds, lambda given: str(given.source))
    named |= {"CACHE_DIR": str(spec.cache)} if spec.cache else {}
    named |= {"FLYNN_SOCKET": str(spec.socket)} if spec.socket else {}
    return named | ({"OUT_DIR": str(spec.out)} if spec.out else {})


def _prepare(spec: Spec, env: Mapping[str, str]) -> None:
    write_environ(spec.dir, env)
    owner.own(spec.binds, os.geteuid(), os.getegid())
    (spec.dir / "exit").unlink(missing_ok=True)
    if spec.cache:
        own(spec.cache, os.geteuid(), os.getegid())
    root = spec.dir / "root"
    remove_tree(root)
    (root / "app").mkdir(parents=True)
    for tree in spec.under:
        copy_tree(tree, root / spec.over)
    for name, tree in spec.layers.items():
        copy_tree(tree, root / name)


class RunningProcess(RunningHere):
    """The wrapping shell (`identity`), the process below it, and all that they started."""

    async def wait(self) -> int | None:
        known = await gone(self.identity)
        try:
            return int((self.dir / "exit").read_text())
        except (OSError, ValueError):
            return known

    async def exec(
        self, command: str, stdin: int = -1, stdout: int = -1, stderr: int = -1, signals: Signals | None = None
    ) -> int:
        if not (pid := await self.pid()):
            raise NotStarted("the job has ended")
        return await race(run_beside(self.dir, command, (stdin, stdout, stderr), pid, signals=signals), self._over())

    async def _over(self) -> int:
        await gone(self.identity)
        return 128 + signal.SIGKILL

    def _parent(self) -> int:
        return self.identity.pid

    def _kill(self) -> None:
        """All but the shell, which then tells how it ended."""
        if group := group_of(self.dir):
            kill_each(group, spare=self.identity.pid)
        send(self._all(), signal.SIGKILL)

    def _end(self) -> None:
        """One that is killed first comes to the end of what it has asked the kernel for, as to write to a file."""
        deadline = time.monotonic() + PATIENCE
        self._kill()
        while any(not over(one.pid) for one in self._all()) and time.monotonic() < deadline:
            time.sleep(0.005)
            self._kill()

    def _clean(self) -> None:
        self._kill()
        end(self.dir)
        remove_tree(self.dir / "root")

    def _members(self) -> list[psutil.Process]:
        """Of a group that is there all are found with no look at any other; else as many as there are to be found."""
        return self._grouped() or self._all()

    def _all(self) -> list[psutil.Process]:
        """What descends from the shell, or is left of its session; not the shell itself: it tells the exit code."""
        found = {process.pid: process for process in (descendants(self.identity.pid) if self.alive() else [])}
        if identify(self.identity.pid) not in (None, self.identity) or self.identity.boot != boot_id():
            return []  # The number is taken anew, which the kernel allows only once nobody is left of the session.
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.identity.pid and process.pid != self.identity.pid:
                    found[process.pid] = process
            except (ProcessLookupError, PermissionError):
                continue
        return list((found | {process.pid: process for process in self._grouped()}).values())

    def _grouped(self) -> list[psutil.Process]:
        """What is in the job's group, also where it has left the session."""
        group = group_of(self.dir)
        return processes((members(group) if group else set()) - {self.identity.pid})
