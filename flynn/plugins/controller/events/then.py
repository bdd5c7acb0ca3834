"""The jobs of an app as they were at a time, from what was told since. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.core.model import Event
from flynn.plugins.controller.events import history
from flynn.plugins.controller.events.views import View

ENDED = ("down", "lost")


def jobs_at(
    facts: Facts, app: str, at: float, now: float, present: Iterable[Mapping[str, Any]], everything: bool
) -> list[dict[str, Any]]:
    """Rows as of the jobs of now (`present`, which are all that are remembered). `everything`: also those that had
    ended by then. Invalid: nobody knows any more, or not yet."""
    told = [event for event in history.events(facts) if event.kind == "job" and event.app == app]
    check(facts, at, now)
    then = views_at(told, at)
    named = {event.name for event in told}
    shown = [_row(name, app, view) for name, view in then.items() if view]
    shown += [dict(row) for row in present if row["id"] not in named and row["created"] <= at]
    kept = [row for row in shown if everything or row["state"] not in ENDED]
    return sorted(kept, key=lambda row: (row["type"], row["created"], row["id"]))


def check(facts: Facts, at: float, now: float) -> None:
    """Invalid says how far back it is known."""
    first = history.begins(facts)
    if at > now:
        raise Invalid("that time is yet to come; write how long ago (10m), or when it was: 2026-11-25T10:00")
    if first is None or at < first.time:
        since = f"{now - first.time:.0f} s ago" if first else "now"
        raise Invalid(f"what was then is not known any more: the history begins {since}; `flynn events` shows it")


def views_at(told: Iterable[Event], at: float) -> dict[str, View]:
    """By name what each thing that is told of was then; {}: it was not. The events are in their order."""
    found: dict[str, View] = {}
    for event in told:
        if event.time <= at:
            found[event.name] = event.data
        elif event.name not in found:
            found[event.name] = {**event.data, **event.before} if event.before else {}
    return found


def _row(id: str, app: str, view: View) -> dict[str, Any]:
    return {"id": id, "app": app, **view, "waiting": view["state"] == "queued"}
