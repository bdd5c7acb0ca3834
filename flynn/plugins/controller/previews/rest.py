"""When a preview app sleeps and wakes, decided on a photo of the grid and on what routers counted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import latest, under_way
from flynn.core.change import Change
from flynn.core.facts import Facts


@dataclass(frozen=True)
class Seen:
    """What was counted of an app last, by router, and since when there was no request: a moment on a clock that nobody
    sets. `release`: the one that served then."""

    counts: Mapping[str, int]
    since: float
    release: int


@dataclass(frozen=True)
class Counted:
    """What one router tells of an app: requests since it started, and those under way."""

    answers: int
    in_flight: int


def look(
    before: Seen | None, told: Mapping[str, Counted], release: int, now: float, used: bool = False
) -> tuple[Seen, bool]:
    """What is known of an app now, and whether there was a request since `before` (None: it was never looked at). A
    router that has started again counts from 0; one that says nothing counts for nothing. `used`: its time without a
    request does not go on now, as it sleeps or is busy: who wakes it shall find it awake."""
    counts = {host: one.answers for host, one in told.items()}
    if before is None:
        return Seen(counts, now, release), any(one.in_flight for one in told.values())
    asked = any(one.in_flight for one in told.values()) or any(
        count > (old if count >= (old := before.counts.get(host, 0)) else 0) for host, count in counts.items()
    )
    since = now if asked or used or release != before.release else before.since
    return Seen({**before.counts, **counts}, since, release), asked


def is_asleep(facts: Facts, app: model.App) -> bool:
    """Whether it sleeps: it has no processes since it was put to sleep."""
    formation = facts.formations.get(app.name)
    return bool(app.preview and app.preview.asleep) and not any(formation.counts.values() if formation else ())


def is_busy(facts: Facts, name: str) -> bool:
    """Whether something new of it is being built or deployed."""
    deploy = facts.deploys.get(name)
    return under_way(facts, name) is not None or (deploy is not None and deploy.state == "running")


def rested(facts: Facts, name: str, idle: int, quiet: float, asked: bool) -> Change:
    """What is to be done with a preview that had no request for `quiet` seconds, or that was just `asked`. `idle`: the
    seconds after which it sleeps (0: never)."""
    app = facts.apps.get(name)
    if app is None or app.preview is None or not app.release:
        return Change()
    if is_asleep(facts, app):
        return wake(facts, name) if asked or not idle or is_busy(facts, name) else Change()
    if app.preview.asleep:  # Somebody has scaled it.
        return Change({keys.app(name): _noted(app, {})}, seen=(keys.formation(name),), why=f"{name} was woken")
    return _sleep(facts, app) if idle and quiet >= idle and not asked and not is_busy(facts, name) else Change()


def wake(facts: Facts, name: str) -> Change:
    """As many processes as it had before it was put to sleep."""
    app, formation = facts.apps[name], facts.formations.get(name)
    if not is_asleep(facts, app) or formation is None or app.preview is None:
        return Change()
    awake = replace(formation, counts={**formation.counts, **app.preview.asleep})
    return Change({keys.app(name): _noted(app, {}), keys.formation(name): awake}, why=f"{name} wakes")


def _sleep(facts: Facts, app: model.App) -> Change:
    formation = facts.formations.get(app.name)
    counts = {type: count for type, count in formation.counts.items() if count} if formation else {}
    if not counts or formation is None:
        return Change()
    none = replace(formation, counts=dict.fromkeys(formation.counts, 0))
    puts = {keys.app(app.name): _noted(app, counts), keys.formation(app.name): none}
    last = latest(facts, app.name)
    seen = (keys.deploy(app.name), keys.build(app.name, last.number + 1 if last else 1))
    return Change(puts, seen=seen, why=f"{app.name} sleeps")


def _noted(app: model.App, asleep: dict[str, int]) -> model.App:
    assert app.preview
    return replace(app, preview=replace(app.preview, asleep=asleep))
