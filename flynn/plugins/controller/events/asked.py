"""Which events somebody asks for. Pure, but for the time zone of a time without one: that is UTC."""

from datetime import UTC
from typing import Annotated

import msgspec

from flynn.core.errors import Invalid
from flynn.core.model import Event
from flynn.core.moment import since
from flynn.plugins.controller.events.history import KEPT
from flynn.plugins.controller.events.views import NAMES

USUAL = 100
"""Events of the past that are shown, unless told otherwise."""


Id = Annotated[int, msgspec.Meta(ge=0, lt=10**15)]


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may ask. `kind`: names with commas between; `since`: see `core/moment.py`."""

    n: Annotated[int, msgspec.Meta(ge=0, le=KEPT)] | None = None
    app: str = ""
    kind: str = ""
    since: str = ""
    after: Id | None = None
    before: Id | None = None
    follow: bool = False


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Empty fields mean all. `count`: of the past (None: all); `after`, `before`: only with such ids (None: any)."""

    app: str = ""
    kinds: tuple[str, ...] = ()
    since: float = 0.0
    count: int | None = USUAL
    after: int | None = None
    before: int | None = None
    follow: bool = False

    def takes(self, event: Event) -> bool:
        return (
            self.app in ("", event.app)
            and (not self.kinds or event.kind in self.kinds)
            and event.time >= self.since
            and (self.before is None or event.id < self.before)
        )


def asked(query: EventsQuery, last_id: str, now: float) -> Asked:
    """What a request asks for; `last_id` is its Last-Event-ID. Invalid says which part of it is no good."""
    kinds = tuple(part.strip() for part in query.kind.split(",") if part.strip())
    if bad := next((kind for kind in kinds if kind not in NAMES), ""):
        raise Invalid(f"kind={bad[:40]} is unknown; known are: {', '.join(NAMES)}", query="kind")
    after = _id(last_id) if last_id else query.after
    begin = since(query.since, now, UTC) if query.since else 0.0
    count = USUAL if query.n is None and not begin and after is None else query.n
    return Asked(
        app=query.app, kinds=kinds, since=begin, count=count, after=after, before=query.before, follow=query.follow
    )


def _id(raw: str) -> int:
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 15:
        raise Invalid(f"Last-Event-ID: {raw[:40]} is no good; a whole number")
    return int(raw)
