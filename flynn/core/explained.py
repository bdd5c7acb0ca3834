"""Why a job is where it is, or why it waits: what the controller finds out, and clients show."""

import msgspec

from flynn.core.model import Placement


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host is for a job. `refusal`: why it does not take it ("": it does).

    Else the parts of its score, the least first, in this order: `in_zone` and `on_host` are how many of its kind are in
    the zone of the host, and on it; `fit` is what is left over of the host, and how unevenly (from 0: filled; a host
    that runs nothing has 100 more). `here`: the job is there now.
    """

    host: str
    zone: str = ""
    refusal: str = ""
    in_zone: int = 0
    on_host: int = 0
    fit: float = 0.0
    here: bool = False


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job (`id` empty: the next one that there would be of its type), and all hosts of the grid, the best first.

    `state` is `next` for the one that there would be. `reason`: why it waits, or what is said of it. `waiting`: how
    many more of its kind wait behind it. `memory` (MiB) and `cpu` (thousandths of a core) are what it asks.
    """

    app: str
    type: str
    release: int
    state: str
    id: str = ""
    host: str = ""
    reason: str = ""
    waiting: int = 0
    memory: int = 0
    cpu: int = 0
    placement: Placement = Placement()
    hosts: tuple[Verdict, ...] = ()
