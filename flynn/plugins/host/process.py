"""The backend for machines without sandboxes: plain processes of the daemon's own user. No isolation at all."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from flynn.plugins.host.backend import START, NotStarted, Spec, no_images
from flynn.plugins.host.beside import run_beside, write_environ
from flynn.plugins.host.identity import Identity, alive, boot_id, gone, identify
from flynn.plugins.host.launch import descendants, first_child, launch, send
from flynn.plugins.host.race import race

PATH = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the programs of this machine are, the daemon's own Python first."""

WRAP = 'trap : HUP INT QUIT TERM USR1 USR2; "$@"; code=$?; echo $code >"$0"; exit $code'
"""The shell that stays beside the process to write down its exit code. What it traps, its child does not."""


class ProcessBackend:
    """Each job is a session of processes; its layers are copied into its directory at each start."""

    name = "process"
    lacks = "jobs are not shut in and have no limits: install bubblewrap or Docker"

    def __init__(self, data: Path) -> None:
        self.data = data

    async def open(self) -> None:
        """It runs everywhere."""

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> "RunningProcess":
        no_images(spec, self.name)
        await asyncio.to_thread(_prepare, spec)
        env = {**paths(spec, {name: spec.dir / "root" / name for name in {"app", *spec.layers}}), **spec.env}
        env |= directories(spec, {name: str(spec.dir / "root" / name) for name in {"app", *spec.layers}})
        write_environ(spec.dir, env)
        argv = ["/bin/sh", "-c", WRAP, str(spec.dir / "exit"), "/bin/sh", "-c", START, "sh", spec.command]
        identity, stdin = launch(argv, env, (spec.stdout, spec.stderr), commit, spec.stdin)
        return RunningProcess(spec.dir, identity, stdin)

    def adopt(self, dir: Path, identity: Identity) -> "RunningProcess":
        return RunningProcess(dir, identity)


def paths(spec: Spec, layers: dict[str, Path]) -> dict[str, str]:
    """What a process is told unless the job tells it otherwise."""
    return {"PATH": PATH, "HOME": str(layers["app"]), "LANG": "C.UTF-8"}


def directories(spec: Spec, layers: dict[str, str]) -> dict[str, str]:
    """The variables that tell a process where its directories are, and its socket."""
    named = {f"{name.upper().replace('-', '_')}_DIR": path for name, path in layers.items()}
    named |= {"CACHE_DIR": str(spec.cache)} if spec.cache else {}
    named |= {"FLYNN_SOCKET": str(spec.socket)} if spec.socket else {}
    return named | ({"OUT_DIR": str(spec.out)} if spec.out else {})


def _prepare(spec: Spec) -> None:
    (spec.dir / "exit").unlink(missing_ok=True)
    root = spec.dir / "root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "app").mkdir(parents=True)
    for name, tree in spec.layers.items():
        shutil.copytree(tree, root / name, symlinks=True, dirs_exist_ok=True)


class RunningProcess:
    """The wrapping shell (`identity`), the process below it, and all that they started."""

    def __init__(self, dir: Path, identity: Identity, stdin: int = -1) -> None:
        self.dir, self.identity, self.stdin = dir, identity, stdin

    def alive(self) -> bool:
        return alive(self.identity)

    async def pid(self) -> int:
        while self.alive():
            if found := await asyncio.to_thread(first_child, self.identity.pid):
                return found
            await asyncio.sleep(0.005)
        return 0

    async def wait(self) -> int | None:
        known = await gone(self.identity)
        try:
            return int((self.dir / "exit").read_text())
        except (OSError, ValueError):
            return known

    async def signal(self, number: int) -> None:
        await asyncio.to_thread(lambda: send(self._members(), number))

    async def kill(self) -> None:
        await self.signal(signal.SIGKILL)

    async def oom_kills(self) -> int:
        return 0

    async def exec(self, command: str, stdin: int = -1, stdout: int = -1, stderr: int = -1) -> int:
        if not (pid := await self.pid()):
            raise NotStarted("the job has ended")
        return await race(run_beside(self.dir, command, (stdin, stdout, stderr), pid), self._over())

    async def _over(self) -> int:
        await gone(self.identity)
        return 128 + signal.SIGKILL

    async def cleanup(self) -> None:
        await asyncio.to_thread(self._clean)

    def _clean(self) -> None:
        send(self._members(), signal.SIGKILL)
        shutil.rmtree(self.dir / "root", ignore_errors=True)

    def _members(self) -> list[psutil.Process]:
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
        return list(found.values())
