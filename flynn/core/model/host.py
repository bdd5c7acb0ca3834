"""The grid and its machines."""

from flynn.core.model.process import Network
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
    `networks` is what it can give jobs of network, `image_networks` those that run in containers; `no_own` and
    `image_no_own` say why it gives these none of their own, and the remedy ("": it does).
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
    networks: tuple[Network, ...] = ("host",)
    image_networks: tuple[Network, ...] = ("host",)
    no_own: str = ""
    image_no_own: str = ""
    mounts: tuple[str, ...] = ()
    full: str = ""
    tags: dict[str, str] = {}
    load: Load | None = None


class Wish(Record, frozen=True, kw_only=True):
    """What its operator wants of a host, whether it is up or not.

    `tags` go over those that the host itself tells; an empty value takes one of these away. `drained` is when it was
    told to be drained (0: it was not): it gets no new job, and what can be moved is moved away. With `force` also what
    is bound to it by a volume is stopped at once, and jobs that cannot be moved `timeout` seconds later.
    """

    host: str
    tags: dict[str, str] = {}
    drained: float = 0.0
    force: bool = False
    timeout: float = 0.0
