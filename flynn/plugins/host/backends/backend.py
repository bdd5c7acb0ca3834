"""What runs a job's process. Every backend passes the same contract, `tests/contract/backend.py`.

A process outlives the daemon. So a backend keeps what it must know in the job's directory, and finds its process again
by pid and start time; the exit code is found even of a process that ended while no daemon was there.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from flynn.core.errors import FlynnError
from flynn.core.model import Network
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.command import replacing
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.usage.reading import Seat

PROFILE = 'for file in .profile.d/*.sh .profile; do if [ -r "$file" ]; then . "./$file"; fi; done; exec '
START = (
    'cd "$APP_DIR" || exit 126; if [ -e .profile.d/.bash ] && command -v bash >/dev/null; '
    f'then exec bash -c \'{PROFILE}bash -c "$1"\' bash "$1"; fi; {PROFILE}sh -c "$1"'
)
"""The shell script that every process begins as; its first argument is the job's command line.

Heroku's contract: what buildpacks and the app left to be sourced is, before anything else. `.profile.d/.bash` says that
it was written for bash, which Heroku has for all; the machine's own `sh` begins quicker.
"""

SOURCED = (".profile.d", ".profile")
"""What may be there to be sourced."""


class NotStarted(FlynnError):
    """The process could not be started at all; the text says why."""

    code = "start"


@dataclass(frozen=True)
class Limits:
    """What all processes of a job together may take; 0: as much as there is. `memory` in MiB, `cpus` in cores.

    `pids` counts processes and threads; `files` is for each process. `yields`: where CPU is short, it gets a tenth of
    what one gets that does not. A backend that cannot hold to one passes it over.
    """

    memory: int = 0
    cpus: float = 0.0
    pids: int = 0
    files: int = 0
    yields: bool = False


class Kills(NamedTuple):
    """How many processes of a job the kernel has killed for want of memory, and whether the job has ever had as much as
    it may. What was killed before that, its machine had no memory left for (or the group that holds all jobs).
    """

    killed: int = 0
    over: bool = False


@dataclass(frozen=True)
class Spec:
    """A process to start. `env` is all it sees, but for what depends on the backend, which adds it (`APP_DIR`, ...).

    `layers` are unpacked trees by name, not to be changed by the process; one, `over`, is made writable by a throw-away
    copy or overlay; what is `under` it shows through, the lowest first. `/app` is always there, and writable. `dir` is
    the job's own directory, where the backend may keep what it needs. Output is appended to the files `stdout` and
    `stderr` in it. `cache` and `out` are writable directories, if given. `socket`, if given, is where the process may
    listen on a UNIX socket, in a directory of its own; FLYNN_SOCKET tells it how to get there. `binds` are directories
    of this machine that it is given; each is there, with no link in its path.
    """

    id: str
    command: str
    env: Mapping[str, str]
    layers: Mapping[str, Path]
    dir: Path
    under: tuple[Path, ...] = ()
    cache: Path | None = None
    out: Path | None = None
    socket: Path | None = None
    stdin: bool = False
    """Whether the process reads standard input from a pipe (`Running.stdin`), not from /dev/null."""
    limits: Limits = Limits()
    binds: tuple[Bind, ...] = ()
    image: str = ""
    """The image whose files the process sees, if the backend knows images; empty: the machine's own system. Without
    layers the process is what the image says, in its own directory; `command`, if there is one, takes its place."""
    network: Network = "host"
    app: str = ""
    """Whose it is: a backend may give the jobs of one app a network that is theirs together."""
    port: int = 0
    ipv6: bool = False
    refused: tuple[str, ...] = ()

    @property
    def over(self) -> str:
        """The layer that is made writable: the source of a build (`build`), else the application."""
        return "build" if "build" in self.layers else "app"

    @property
    def stack(self) -> tuple[Path, ...]:
        """The trees that lie one over the other where the process may write; none: nothing is there yet."""
        return (*self.under, self.layers[self.over]) if self.over in self.layers else ()

    @property
    def stdout(self) -> Path:
        return self.dir / "stdout"

    @property
    def stderr(self) -> Path:
        return self.dir / "stderr"


def no_images(spec: Spec, name: str) -> None:
    """For the start of backends without images. NotStarted: the job is one."""
    if spec.image:
        raise NotStarted(f"the backend {name} runs no images; {spec.image} needs a host with Docker Engine")


def check_network(spec: Spec, name: str, networks: Sequence[Network]) -> None:
    """For the start of backends that can give no other ones. NotStarted: the job shall have another."""
    if spec.network not in networks:
        raise NotStarted(f"the backend {name} gives jobs no network {spec.network!r}, only: {', '.join(networks)}")


Signals = asyncio.Queue[int]
"""Numbers of signals for a command, as they come."""


def begin(spec: Spec, before: str) -> list[str]:
    """The words that a process begins as: a shell that does `before`, then as START says, and whose place is
    taken by another program in the end. Where the app has nothing to be sourced that may be the job's own."""
    trees = spec.stack if spec.over == "app" else ()  # Where something is built, the application is empty.
    if any(os.path.lexists(tree / name) for tree in trees for name in SOURCED) or spec.binds:
        return ["/bin/sh", "-c", before + START, "sh", spec.command]
    enter, first = 'cd "$APP_DIR" || exit 126; ', replacing(spec.command)
    return ["/bin/sh", "-c", f'{before}{enter}{first}exec /bin/sh -c "$1" sh', "sh", spec.command]


class Running(Protocol):
    """A process and all that it started."""

    identity: Identity
    stdin: int
    """The end to write to (a file descriptor, the holder closes it) when the spec asked for it, else -1."""

    def alive(self) -> bool:
        """Whether it runs now."""

    async def pid(self) -> int:
        """The job's first process as this machine numbers it; 0 if it has ended. Waits a moment for it to begin."""

    async def wait(self) -> int | None:
        """Wait for its end; the exit code, 128 + N after signal N, None if nobody knows.

        NotStarted: it never began, the text says why.
        """

    async def signal(self, number: int) -> None:
        """Send a signal to all processes of the job."""

    async def kill(self) -> None:
        """Kill all processes of the job; `wait` then ends soon."""

    async def oom_kills(self) -> Kills:
        """What of the job the kernel has killed for want of memory; the last answer holds on after the end, until
        `cleanup`."""

    async def exec(
        self, command: str, stdin: int = -1, stdout: int = -1, stderr: int = -1, signals: Signals | None = None
    ) -> int:
        """Run a command line beside the job's processes as `Spec.command` is run: where they are, as who they are,
        with the environment that they began with. Its exit code, 128 + N after signal N; it ends with the job at the
        latest. The streams are file descriptors, which the caller keeps (-1: /dev/null). Works on what was adopted.
        What is put into `signals` is sent to the command, with its process group.

        Cancelled: it is killed, with its process group. NotStarted: the job has ended, or why it cannot be run.
        """

    def seat(self) -> Seat:
        """Where to read what the job's processes take. Blocks for a moment: call it in a thread."""

    async def end(self) -> None:
        """After `wait`: kill what was left behind. Then nothing runs any more that was the job's."""

    async def cleanup(self) -> None:
        """After the end: kill what was left behind, remove what the backend made for this run."""


class Backend(Protocol):
    """A way to run processes. Building it is free."""

    name: str
    lacks: str
    """What it cannot isolate or limit on this machine, and the remedy, once it is open; empty: nothing."""
    networks: tuple[Network, ...]
    no_own: str
    """What it can give jobs of network, once it is open; and why that is none of their own ("": it can)."""

    def __init__(self, data: Path) -> None:
        """`data`: the agent's directory; the backend may keep files of its own in `data/NAME`."""

    async def open(self) -> None:
        """Try whether this machine can do it. StartError: why not, and the remedy."""

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> Running:
        """Start the process. `commit` is called with its identity before it may do anything: what raises there
        prevents it. So no process ever runs that the agent has not written down. NotStarted: why it cannot.
        """

    def adopt(self, dir: Path, identity: Identity) -> Running:
        """The process that an earlier daemon started for the job of `dir`, whether it lives or has ended."""


@runtime_checkable
class Ahead(Protocol):
    """A backend that can do something for jobs before they are there."""

    def ahead(self, busy: Callable[[], bool]) -> AbstractContextManager[None]:
        """Do so until the block ends, which leaves nothing of it. On the loop. `busy`: whether jobs are starting now,
        which need the machine more."""
