"""A job, from its queue to what became of it."""

from flynn.core.model.app import Artifact
from flynn.core.model.process import FILES, MEMORY, PIDS, AskedBackend, Check, Mount, Network
from flynn.core.model.record import Failure, Move, Queue, Record, State


class Job(Record, frozen=True, kw_only=True):
    """One run of one process: all that a host must know to start it.

    `command` is a shell command line. `layers` maps a name to a blob (tar, gzip) that the process sees unpacked
    at `/NAME`: `app` under a throw-away writable overlay, the others read-only; blobs of `under` lie under `app`, the
    lowest first. `service` names the service that
    the process is registered under once it listens on $PORT ("": it has no port). `cache` names a directory, kept
    between jobs on the same host, seen at `/cache`. With `output`, what the process leaves at `/out/slug.tgz` is put
    on the shelf when it ends with exit code 0, and `/out/result.json` (64 KiB at most) into its state.
    With `attached`, standard input comes from an attached client and output goes there too;
    with `terminal` (rows, columns) both are a terminal, of that size at first. Unless `logged`, what it prints is not
    kept in the log of its app.
    `memory`, `memory_limit`, `cpu_reserve`, `cpu`, `pids`, `files`, `check`, `stop_signal`, `stop_timeout`, `mounts`,
    `network`, `backend` are its process type's.
    `time_limit` is how many seconds a job that is no service may run, `disk` how many MiB it may write to its own
    files and its cache (0: any number).
    With `dockerfile`, the engine of its host builds an image for it, which takes the place of `/out/slug.tgz`.
    `meta` is what who asked for it has noted of it.
    With `image`, the process sees the files of that image, and an empty `command` is the image's own; `image_blob` is
    where the shelf has it, as `docker save` makes it ("": it is pulled by its name).
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
    under: tuple[str, ...] = ()
    service: str = ""
    memory: int = MEMORY
    memory_limit: int = 0
    cpu_reserve: int = 0
    cpu: int = 0
    pids: int = PIDS
    files: int = FILES
    cache: str = ""
    output: bool = False
    attached: bool = False
    terminal: tuple[int, int] | None = None
    logged: bool = True
    image: str = ""
    image_blob: str = ""
    dockerfile: bool = False
    check: Check = Check()
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 0.0
    mounts: tuple[Mount, ...] = ()
    time_limit: float = 0.0
    meta: dict[str, str] = {}
    network: Network = "host"
    backend: AskedBackend = ""
    disk: int = 0


class Queued(Record, frozen=True, kw_only=True):
    """A job that has no host yet. `reason` says why, in one sentence, once a placement was tried."""

    job: Job
    reason: str = ""


class Assignment(Record, frozen=True, kw_only=True):
    """A job that a host shall run, until `stop` is set, for `reason` ("": as it is not wanted any more). `moving`: it
    shall be stopped once another has its place, and why ("": it stays). `after`: jobs of its host that must have ended
    before it is begun."""

    job: Job
    host: str
    assigned: float
    stop: bool = False
    moving: Move = ""
    reason: str = ""
    after: tuple[str, ...] = ()


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
    meta: dict[str, str] = {}
