"""A process type: what its jobs run, may take, see, and how it shows that they are well."""

import re
from typing import Literal

from flynn.core.model.record import Record

MEMORY = 128
"""MiB that a process reserves on its host unless its type says otherwise."""

BURST = 4
"""How many times what it reserves a job may take of memory, where no limit is set."""

PIDS, FILES = 2048, 16384
"""Processes and threads of a job together, and open files of each of its processes, unless its type says otherwise."""


Network = Literal["host", "own", "none"]
"""What a process has of network: that of its host; one of its own, which leads to the world, but neither to the hosts
of the grid nor to what is theirs alone, and from which nothing but its port is reached; nothing but itself."""


AskedBackend = Literal["", "sandbox", "docker", "process"]
"""The backend that a process asks for; "": that which its host takes."""


class Check(Record, frozen=True, kw_only=True):
    """How a host finds out whether a job is well. Times in seconds.

    `kind` "" is `tcp` for what listens on $PORT (a connection is taken there), and nothing for the rest. `http`: a GET
    of `path`, as for `host` if that is given, is answered with `status` and, among the body's first 5 120 bytes, has
    `match`. `command`: this command line, run beside the job, ends with code 0. A check may take `timeout`; the next
    follows `interval` later. The first must succeed within `start_timeout` (0: what the host is set to). A job that has
    not been well for `kill_after` is killed and started again (0: never).
    """

    kind: Literal["", "tcp", "http", "command"] = ""
    path: str = "/"
    host: str = ""
    status: int = 200
    match: str = ""
    command: str = ""
    timeout: float = 2.0
    interval: float = 2.0
    start_timeout: float = 0.0
    kill_after: float = 0.0


class Mount(Record, frozen=True, kw_only=True):
    """Data that a process sees at `path`: the volume `volume` of its app, whose `id` tells it from others of the name;
    or the directory `source` of its host. `shared` and `scratch` are the volume's.
    """

    path: str
    volume: str = ""
    id: str = ""
    source: str = ""
    read_only: bool = False
    shared: bool = False
    scratch: bool = False

    @property
    def one_writer(self) -> bool:
        """Whether nobody else may write to it meanwhile."""
        return bool(self.volume) and not (self.read_only or self.shared or self.scratch)

    @property
    def text(self) -> str:
        """As users write it."""
        return f"{self.volume or self.source}:{self.path}" + (":ro" if self.read_only else "")

    @property
    def variable(self) -> str:
        """The variable that tells a process where it is: named after the volume, else after the place."""
        return "FLYNN_VOLUME_" + re.sub("[^A-Z0-9]", "_", (self.volume or self.path[1:]).upper())


class ProcessType(Record, frozen=True, kw_only=True):
    """One line of a Procfile. `serves`: it listens on $PORT and is registered as service `APP-TYPE`.

    `memory` is what a job of it reserves, `memory_limit` what it may take at most (0: BURST times what it reserves),
    in MiB. `cpu_reserve` is what a job of it reserves, `cpu` what it may take at most (0: no limit), in thousandths of
    a core. `pids`, `files` as above.
    An empty `command` is what the image itself says. To stop a job of it, it gets the signal `stop_signal`, and is
    killed `stop_timeout` seconds later (0: what the host is set to). `mounts` is the data that it sees, `network` what
    it has of that, `backend` what it is to run in. `limits` is
    what the app says itself of these, by the names and in the units of `App.limits`, which go over it.
    """

    command: str
    serves: bool = False
    memory: int = MEMORY
    memory_limit: int = 0
    cpu_reserve: int = 0
    cpu: int = 0
    pids: int = PIDS
    files: int = FILES
    check: Check = Check()
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 0.0
    mounts: tuple[Mount, ...] = ()
    network: Network = "host"
    backend: AskedBackend = ""
    limits: dict[str, int] = {}
