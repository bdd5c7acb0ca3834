"""Which events somebody asks for. Pure, but for the time zone of a time without one: that is UTC."""

from collections.abc import Mapping
from datetime import UTC

import msgspec

from flynn.core.errors import Invalid
from flynn.core.logquery import flag
from flynn.core.model import Event
from flynn.core.moment import since
from flynn.plugins.controller.events.history import KEPT
from flynn.plugins.controller.events.views import NAMES

USUAL = 100
"""Events of the past that are shown, unless told otherwise."""


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


def asked(query: Mapping[str, str], last_id: str, now: float) -> Asked:
    """What a request asks for; `last_id` is its Last-Event-ID. Invalid says which part of it is no good."""
    kinds = tuple(part.strip() for part in query.get("kind", "").split(",") if part.strip())
    if bad := next((kind for kind in kinds if kind not in NAMES), ""):
        raise Invalid(f"kind={bad[:40]} is unknown; known are: {', '.join(NAMES)}")
    after = _number("Last-Event-ID" if last_id else "after", last_id or query.get("after", ""))
    begin = since(query["since"], now, UTC) if query.get("since") else 0.0
    count = _number("n", query.get("n", ""))
    if count is not None and count > KEPT:
        raise Invalid(f"n={count} is no good; a whole number from 0 to {KEPT}")
    if count is None and not begin and after is None:
        count = USUAL
    before, follow = _number("before", query.get("before", "")), flag(query, "follow")
    return Asked(
        app=query.get("app", ""), kinds=kinds, since=begin, count=count, after=after, before=before, follow=follow
    )


def _number(name: str, raw: str) -> int | None:
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit()) or len(raw) > 15:
        raise Invalid(f"{name}={raw[:40]} is no good; a whole number")
    return int(raw)
