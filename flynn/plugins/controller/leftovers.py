"""What is left of deleted apps: removed bit by bit, whoever asked for it having gone or not. Pure."""

from flynn.core import keys
from flynn.core.change import Change
from flynn.core.facts import Facts

AT_ONCE = 90
"""Keys removed in one commit."""


def leftovers(facts: Facts, app: str) -> list[str]:
    """The keys that belong to an app which is no more; none if there is one of the name. First that by which nobody
    would look for the others (`plan.owners`): it must not be what is left alone."""
    if not app or app in facts.apps:
        return []
    return [
        *([repository] if facts.get(repository := keys.repository(app)) else []),
        *(f"releases/{key}" for key in facts.releases_of(app)),
        *(f"receipts/{key}" for key in facts.receipts_of(app)),
        *(f"builds/{key}" for key in facts.builds_of(app)),
        *(key for key in (keys.formation(app), keys.deploy(app)) if facts.get(key)),
        *(keys.route(route.id) for route in facts.routes_of(app)),
        *map(keys.sink, facts.sinks_of(app)),
        *(f"crons/{key}" for key in facts.crons_of(app)),
    ]


def clear_leftovers(facts: Facts, app: str) -> list[Change]:
    """A commit's worth of what is left of a deleted app."""
    owned = leftovers(facts, app)[:AT_ONCE]
    return [Change(deletes=tuple(owned), seen=(keys.app(app),), why=f"clear what is left of {app}")] if owned else []
