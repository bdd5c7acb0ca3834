"""The records of flynn: what the grid knows, one struct a kind of fact.

All are immutable; a change is a new record. Times are seconds since the epoch (UTC), sizes are in the unit
their name or comment says, digests are lower-case hexadecimal SHA-256. `core/keys.py` says where each lives
in the store and who writes it.
"""

import re
from typing import Literal

import msgspec

Queue = Literal["services", "ephemeral", "builders"]
State = Literal["starting", "up", "stopping", "down"]
Failure = Literal["", "crash", "boot", "start", "health"]
"""Why a job last failed: it ended by itself, it did not come up in its time, it could not be started at all, or it was
killed because it was not well for too long."""

MEMORY = 128
"""MiB that a process reserves on its host unless its type says otherwise."""

BURST = 4
"""How many times what it reserves a job may take of memory, where no limit is set."""

PIDS, FILES = 2048, 16384
"""Processes and threads of a job together, and open files of each of its processes, unless its type says otherwise."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of every record: immutable, built by keywords, stored as JSON. It never leads back to itself, so the garbage
    collector need not look at it."""


class Grid(Record, frozen=True, kw_only=True):
    """What every node of the grid must share."""

    token: str
    domain: str


class Artifact(Record, frozen=True, kw_only=True):
    """An application, built: a blob on the shelf, named by its digest; or an image, by the name that engines pull."""

    sha256: str = ""
    size: int = 0
    kind: Literal["slug", "image"] = "slug"
    image: str = ""


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
    in MiB. `cpu` in thousandths of a core (0: no limit), `pids`, `files` as above.
    An empty `command` is what the image itself says. To stop a job of it, it gets the signal `stop_signal`, and is
    killed `stop_timeout` seconds later (0: what the host is set to). `mounts` is the data that it sees.
    """

    command: str
    serves: bool = False
    memory: int = MEMORY
    memory_limit: int = 0
    cpu: int = 0
    pids: int = PIDS
    files: int = FILES
    check: Check = Check()
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 0.0
    mounts: tuple[Mount, ...] = ()


class App(Record, frozen=True, kw_only=True):
    """An application. `release` is the version that serves (0: none yet); `env` is the config of the next release,
    and `limits` by process type what was set of `memory`, `reserve` (MiB), `cpu`, `pids`, `files` for its jobs,
    and `mounts` of the data that they see."""

    name: str
    created: float
    release: int = 0
    env: dict[str, str] = {}
    limits: dict[str, dict[str, int]] = {}
    mounts: dict[str, tuple[Mount, ...]] = {}


class Release(Record, frozen=True, kw_only=True):
    """Artifact + config + process types, never changed once made."""

    app: str
    version: int
    created: float
    artifact: Artifact
    processes: dict[str, ProcessType]
    env: dict[str, str] = {}
    description: str = ""


class Formation(Record, frozen=True, kw_only=True):
    """How many processes of each type an app shall have."""

    app: str
    counts: dict[str, int]


class Deploy(Record, frozen=True, kw_only=True):
    """The way from release `old` (0: none) to release `new`. `reason`: why it failed, or what it waits for while all
    is up. `job` names the job that made it fail."""

    app: str
    old: int
    new: int
    started: float
    state: Literal["running", "complete", "failed"] = "running"
    ended: float = 0.0
    reason: str = ""
    job: str = ""


class Build(Record, frozen=True, kw_only=True):
    """The last build of an app: from `source` (a blob) to `release`, by job `job` in the `builders` queue."""

    app: str
    job: str
    source: str
    started: float
    state: Literal["building", "complete", "failed"] = "building"
    ended: float = 0.0
    reason: str = ""
    release: int = 0
    description: str = ""


class Job(Record, frozen=True, kw_only=True):
    """One run of one process: all that a host must know to start it.

    `command` is a shell command line. `layers` maps a name to a blob (tar, gzip) that the process sees unpacked
    at `/NAME`: `app` under a throw-away writable overlay, the others read-only. `service` names the service that
    the process is registered under once it listens on $PORT ("": it has no port). `cache` names a directory, kept
    between jobs on the same host, seen at `/cache`. With `output`, what the process leaves at `/out/slug.tgz` is put
    on the shelf and `/out/result.json` (64 KiB at most) into its state, when it ends with exit code 0.
    With `attached`, standard input comes from an attached client and output goes there too, not to the log;
    with `terminal` (rows, columns) both are a terminal, of that size at first.
    `memory`, `memory_limit`, `cpu`, `pids`, `files`, `check`, `stop_signal`, `stop_timeout`, `mounts` are its process
    type's.
    With `image`, the process sees the files of that image, and an empty `command` is the image's own.
    """

    id: str
    app: str
    type: str
    queue: Queue
    command: str
    created: float
    release: int = 0
    env: dict[str, str] = {}
    layers: dict[str, str] = {}
    service: str = ""
    memory: int = MEMORY
    memory_limit: int = 0
    cpu: int = 0
    pids: int = PIDS
    files: int = FILES
    cache: str = ""
    output: bool = False
    attached: bool = False
    terminal: tuple[int, int] | None = None
    image: str = ""
    check: Check = Check()
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 0.0
    mounts: tuple[Mount, ...] = ()


class Queued(Record, frozen=True, kw_only=True):
    """A job that has no host yet. `reason` says why, in one sentence, once a placement was tried."""

    job: Job
    reason: str = ""


class Assignment(Record, frozen=True, kw_only=True):
    """A job that a host shall run, until `stop` is set."""

    job: Job
    host: str
    assigned: float
    stop: bool = False


class JobState(Record, frozen=True, kw_only=True):
    """What became of a job, told by its host.

    `since` is when this state began; `created` when the host first heard of the job. `pid` is the process as the
    host's kernel numbers it. `exit_code` is 128 + N when signal N ended the process.
    """

    id: str
    app: str
    type: str
    queue: Queue
    release: int
    host: str
    state: State
    since: float
    created: float
    pid: int = 0
    port: int = 0
    restarts: int = 0
    exit_code: int | None = None
    failure: Failure = ""
    reason: str = ""
    output: Artifact | None = None
    result: str = ""


class Load(Record, frozen=True, kw_only=True):
    """What a machine has to do (its load, of a minute) and has left: MiB of memory, and of the disk of its data, which
    is `disk` large. Told anew only when it has changed noticeably."""

    load: float
    memory_free: int
    disk_free: int
    disk: int


class Host(Record, frozen=True, kw_only=True):
    """A machine of the grid, as long as its daemon lives. `memory` in MiB; `url` is its node API.

    `lacks` says what its backend cannot isolate or limit there, and the remedy ("": nothing).
    `backend` runs its jobs; `images`: whether it runs images too. `mounts`: directories that jobs may be given
    there (`/srv/photos`, or `/srv/photos:ro` to read only), with all below them. `full` says why it takes no new job
    ("": it does).
    """

    name: str
    address: str
    url: str
    started: float
    version: str = ""
    memory: int = 0
    cpus: int = 0
    backend: str = ""
    lacks: str = ""
    images: bool = False
    mounts: tuple[str, ...] = ()
    full: str = ""
    tags: dict[str, str] = {}
    load: Load | None = None


class Volume(Record, frozen=True, kw_only=True):
    """Data of an app that outlives its jobs, and the app itself.

    `id` is of this volume alone, whatever others had its name. `host` has it on its disk ("": none yet, the first job
    that mounts it decides). One job at a time may write to it, any number if it is `shared`. One that is `scratch` is a
    fresh directory for each job, gone with it, on any host. `deleting`: its host shall remove the data.
    """

    app: str
    name: str
    id: str
    created: float
    host: str = ""
    shared: bool = False
    scratch: bool = False
    deleting: bool = False


class Stored(Record, frozen=True, kw_only=True):
    """The data of a volume, on the disk of `host` at `path`, since `since`."""

    app: str
    name: str
    id: str
    host: str
    path: str
    since: float


class Instance(Record, frozen=True, kw_only=True):
    """One place where a service answers. While `draining` it gets no new request.

    `socket` is the path of a UNIX socket on `host` where it answers too ("": it has none). `ttl` is for those that
    registered over the API of `host`: seconds of silence after which they are gone.
    """

    id: str
    service: str
    address: str
    host: str
    job: str = ""
    socket: str = ""
    meta: dict[str, str] = {}
    draining: bool = False
    ttl: float = 0.0


class Route(Record, frozen=True, kw_only=True):
    """Requests for `domain` (and below `path`) go to `service`. `app` owns it ("" : the grid itself).

    A route of kind `tcp` has no domain: what connects to `port` of any router is passed on as it is.
    `sticky`: a client stays with its instance, by a cookie. `leader`: all goes to the service's leader. Times are
    seconds, 0 what the router is set to: to connect; to the answer's first byte; without a byte either way; for the
    whole body of a request. `body_limit` is bytes of a request's body (0: no limit). Each router lets `max_in_flight`
    requests through at a time (0: no limit), and up to `queue` more wait. In `maintenance` no request reaches the app.
    `pages` has HTML in place of the router's own, by status (`503`), for any (`error`) or for `maintenance`.
    """

    id: str
    service: str
    domain: str = ""
    path: str = "/"
    app: str = ""
    created: float = 0.0
    kind: Literal["http", "tcp"] = "http"
    port: int = 0
    sticky: bool = False
    leader: bool = False
    maintenance: bool = False
    connect_timeout: float = 0.0
    first_byte_timeout: float = 0.0
    idle_timeout: float = 0.0
    body_timeout: float = 0.0
    body_limit: int = 0
    max_in_flight: int = 0
    queue: int = 0
    pages: dict[str, str] = {}


class Router(Record, frozen=True, kw_only=True):
    """What a router has seen: the store's revision, and the requests in flight on each draining instance.

    `draining` maps `SERVICE/INSTANCE` to a count; an instance that is not in it has none. `port` is where it listens;
    `url` is the node API that tells of it.
    """

    host: str
    revision: int
    port: int = 0
    url: str = ""
    draining: dict[str, int] = {}


class Sink(Record, frozen=True, kw_only=True):
    """Where each host sends the lines of an app's log ("": of all apps) as well, from when it was made."""

    id: str
    url: str
    created: float
    app: str = ""
    options: dict[str, str] = {}


class Leader(Record, frozen=True, kw_only=True):
    """Who holds an election."""

    host: str
