"""What is left of deleted apps: removed bit by bit, whoever asked for it having gone or not. Pure."""

from flynn.core import keys
from flynn.core.change import Change
from flynn.core.facts import Facts

AT_ONCE = 90
"""Keys removed in one commit."""


def leftovers(facts: Facts) -> dict[str, list[str]]:
    """The keys that belong to apps which are no more, by app."""
    found: dict[str, list[str]] = {}
    ownerless = [app for app in facts.routes_by_app if app and app not in facts.apps]
    owned = [
        *((r.app, keys.release(r.app, r.version)) for r in facts.releases.values()),
        *((f.app, keys.formation(f.app)) for f in facts.formations.values()),
        *((d.app, keys.deploy(d.app)) for d in facts.deploys.values()),
        *((b.app, keys.build(b.app)) for b in facts.builds.values()),
        *((app, keys.route(id)) for app in ownerless for id in facts.routes_by_app[app]),
        *((sink.app, keys.sink(sink.id)) for sink in facts.sinks.values() if sink.app),
    ]
    for app, key in owned:
        if app not in facts.apps:
            found.setdefault(app, []).append(key)
    return found


def clear_leftovers(facts: Facts) -> list[Change]:
    """For each deleted app, a commit's worth of what is left of it."""
    return [
        Change(deletes=tuple(owned[:AT_ONCE]), seen=(keys.app(app),), why=f"clear what is left of {app}")
        for app, owned in leftovers(facts).items()
    ]
