"""What the API answers where it says more than a record of `core/model/`."""

from collections.abc import AsyncGenerator
from typing import Any, Literal

import msgspec

from flynn.core import model
from flynn.core.usage import HostUsage, JobUsage

Line = dict[str, Any]
"""One line of a stream: a JSON object whose `kind` is `release`, `build`, `job`, `log`, `position` or
`done`."""

Lines = AsyncGenerator[Line, None]
"""A stream of them. Read it within `contextlib.aclosing`: leaving it early must close the connection there and then."""

STALE_SINCE = "Flynn-Stale-Since"
"""The header of every answer while the store is away: since when, as the node noticed, in seconds since the epoch."""


class Count(msgspec.Struct, frozen=True):
    """Processes of one type: how many there shall be, and how many are up."""

    wanted: int = 0
    up: int = 0


class AppInfo(model.App, frozen=True, kw_only=True):
    """An app and how it fares. The last three are filled for a single app alone."""

    url: str = ""
    processes: dict[str, Count] = {}
    deploy: model.Deploy | None = None
    build: model.Build | None = None
    routes: tuple[model.Route, ...] = ()


class BuildInfo(model.Build, frozen=True, kw_only=True):
    """A build; `waits` says for what, as long as no host has it."""

    waits: str = ""


class ReleaseInfo(model.Release, frozen=True, kw_only=True):
    """A release, and the receipt of its deploy, if it was taken."""

    receipt: model.Receipt | None = None


class Deployment(msgspec.Struct, frozen=True):
    """How the deploys of an app go, the `strategies` that there are, and the last deploy."""

    how: model.Deploying
    strategies: tuple[str, ...] = ()
    deploy: model.Deploy | None = None


class Buildpacks(msgspec.Struct, frozen=True):
    """What an app is built with, in this order (none: the first that fits of `known`), and those every build has."""

    buildpacks: tuple[str, ...]
    known: tuple[str, ...] = ()


class Ordered(msgspec.Struct, frozen=True):
    """A deploy of which something was ordered, and what became of it in a sentence."""

    deploy: model.Deploy
    message: str = ""


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A job as `ps` shows it: what its host tells, or, while `waiting`, what its queue does.

    `usage` is of `Client.usage`; `moving` says why it leaves its host once another is up.
    """

    id: str
    type: str
    state: str
    app: str = ""
    queue: str = ""
    waiting: bool = False
    release: int = 0
    host: str = ""
    since: float = 0.0
    created: float = 0.0
    pid: int = 0
    port: int = 0
    restarts: int = 0
    exit_code: int | None = None
    failure: str = ""
    reason: str = ""
    moving: str = ""
    meta: dict[str, str] = {}
    usage: JobUsage | None = None


class HostInfo(model.Host, frozen=True, kw_only=True):
    """A machine, how many jobs it runs, the MiB they reserve, and since when it is drained (0: it is not)."""

    jobs: int = 0
    reserved: int = 0
    drained: float = 0.0


class HostDetail(HostInfo, frozen=True, kw_only=True):
    """One machine as it is now, or why it does not answer (`silent`)."""

    usage: HostUsage | None = None
    silent: str = ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a queue, and why it waits."""

    id: str
    app: str
    type: str
    release: int = 0
    created: float = 0.0
    reason: str = ""


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A queue: how many jobs wait, since when the oldest does (0: none does), how many start and run, and the next
    one. `limits` by name, 0: none."""

    name: str
    depth: int = 0
    oldest: float = 0.0
    starting: int = 0
    running: int = 0
    head: Waiting | None = None
    limits: dict[str, float] = {}


class QueueDetail(QueueInfo, frozen=True, kw_only=True):
    """A queue, and the jobs that wait in it, those that wait longest first."""

    jobs: tuple[Waiting, ...] = ()


class Going(msgspec.Struct, frozen=True):
    """A service job, and the host where another would take its place."""

    id: str
    app: str
    type: str
    to: str


class Staying(msgspec.Struct, frozen=True):
    """A job that does not leave its host now, and why."""

    id: str
    app: str
    type: str
    reason: str
    for_good: bool = False


class Forecast(msgspec.Struct, frozen=True):
    """What a drain of a host would do now: what moves, what would find no place, what is let end, what stays."""

    host: str
    moves: tuple[Going, ...] = ()
    unplaced: tuple[Staying, ...] = ()
    ends: tuple[Staying, ...] = ()
    stays: tuple[Staying, ...] = ()


class BrickInfo(msgspec.Struct, frozen=True):
    """One brick of a daemon, and its last sentence."""

    ready: bool = False
    sentence: str = ""
    restarts: int = 0


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon. With `error` it did not answer, and only its name is known."""

    name: str
    error: str = ""
    version: str = ""
    store: str = ""
    stale_since: float | None = None
    revision: int = 0
    loop_lag_ms: dict[str, float] = {}
    bricks: dict[str, BrickInfo] = {}


class Health(msgspec.Struct, frozen=True):
    """`waiting`: the bricks that are not ready yet; the status is `ok` once there is none."""

    status: Literal["ok", "starting"]
    waiting: list[str]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole grid. `leader` is the host whose controller decides."""

    domain: str
    leader: str | None = None
    nodes: tuple[NodeInfo, ...] = ()


class ServiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A service, its instances oldest first, and the id of the one that leads."""

    service: str
    leader: str | None = None
    instances: tuple[model.Instance, ...] = ()


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A file on the shelf. `asked`: when it was last put or asked for, if it goes once unused; 0: it stays."""

    sha256: str
    size: int
    created: float = 0.0
    asked: float = 0.0


class SinkProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How a host gets on with a sink, in lines: `behind` wait, `dropped` will never be sent. `problem`: of now."""

    sent: int = 0
    dropped: int = 0
    behind: int = 0
    problem: str = ""


class SinkInfo(model.Sink, frozen=True, kw_only=True):
    """A log sink; its secrets are not shown."""

    hosts: dict[str, SinkProgress] = {}


class VolumeInfo(model.Volume, frozen=True, kw_only=True):
    """A volume: the directory of its data on its host ("": none yet), where types have it, and which jobs.
    `away`: its host is; `orphan`: its app is deleted. `forgotten`: only its host still knows of it.
    """

    path: str = ""
    mounts: dict[str, str] = {}
    jobs: tuple[str, ...] = ()
    away: bool = False
    orphan: bool = False
    forgotten: bool = False


class CronInfo(model.Cron, frozen=True, kw_only=True):
    """A cron entry: when it is due next (None: not known), and its last run."""

    name: str
    paused: bool = False
    next: float | None = None
    last: model.Run | None = None


class RepositoryInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The git repository of an app: its URL at a router ("": there is no way by one), the branch that deploys, the
    commit that was deployed of it, when, and the bytes that all commits take."""

    app: str
    url: str = ""
    branch: str = "main"
    commit: str = ""
    pushed: float = 0.0
    size: int = 0


class PreviewInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A preview: the `branch`, its `app`, where that is, the release that serves (0: none yet), and whether it
    sleeps."""

    branch: str
    app: str
    url: str = ""
    release: int = 0
    asleep: bool = False


class Previews(msgspec.Struct, frozen=True, kw_only=True):
    """Whether further branches of an app get previews, after how many seconds without a request these sleep (0: never),
    and those there are."""

    app: str
    on: bool = False
    idle: int = 0
    previews: tuple[PreviewInfo, ...] = ()


class Id(msgspec.Struct, frozen=True):
    """The answer that is only an id."""

    id: str


class Event(msgspec.Struct, frozen=True):
    """One server-sent event of a service: `up`, `update`, `down`, `leader`, `current`; `data` as sent."""

    kind: str
    data: Any = None
