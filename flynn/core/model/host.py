"""The grid and its machines."""

from flynn.core.model.record import Record


class Grid(Record, frozen=True, kw_only=True):
    """What every node of the grid must share."""

    token: str
    domain: str


class Leader(Record, frozen=True, kw_only=True):
    """Who holds an election."""

    host: str


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
