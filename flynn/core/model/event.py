"""What has happened in the grid, told once."""

from typing import Any

from flynn.core.model.record import Record


class Event(Record, frozen=True, kw_only=True):
    """One change of one thing: `what` happened to the `kind` named `name`, in the sentence `text`.

    `id` counts up from 1 for the whole grid. `data` is the thing as it is from then on ({}: it is gone), `before` what
    of it was otherwise until then. Neither has a secret in it.
    """

    id: int
    time: float
    kind: str
    name: str
    what: str
    text: str
    app: str = ""
    data: dict[str, Any] = {}
    before: dict[str, Any] = {}


class Page(Record, frozen=True, kw_only=True):
    """Events that stand together in the history; the first has the id `first`. What changed up to the revision
    `revision` of the store is told in it and in the pages before it."""

    first: int
    revision: int
    events: tuple[Event, ...] = ()

    @property
    def next(self) -> int:
        """The id of the event after its last one."""
        return self.events[-1].id + 1 if self.events else self.first
