"""The making of an app's artifact from its source."""

from typing import Literal

from flynn.core.model.deploy import Deploying
from flynn.core.model.record import Record


class Build(Record, frozen=True, kw_only=True):
    """Build number `number` of an app: from `source` (a blob) to `release` (0: none), by job `job` in the `builders`
    queue, on `host` ("": none had it, or it has not ended).

    `cancel` says why it shall end before its time ("": it shall not), `reason` why it came to nothing. `how` is what
    was said of its deploy; `commit` is the commit that the source is ("": nobody said).
    """

    app: str
    job: str
    source: str
    started: float
    number: int = 0
    state: Literal["building", "complete", "failed", "cancelled"] = "building"
    cancel: str = ""
    host: str = ""
    ended: float = 0.0
    reason: str = ""
    release: int = 0
    description: str = ""
    how: Deploying = Deploying()
    commit: str = ""
