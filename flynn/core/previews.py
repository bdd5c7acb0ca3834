"""Which apps are previews of an app's branches: for the brick that makes them and the one that takes pushes. Pure."""

from flynn.core import model
from flynn.core.facts import Facts


def previews_of(facts: Facts, app: str) -> dict[str, model.App]:
    """The preview apps of an app, by branch."""
    found = facts.apps.get(app)
    return {one.preview.branch: one for one in facts.apps.values() if one.preview and found and is_of(one, found)}


def is_of(one: model.App, app: model.App) -> bool:
    """Whether one is a preview of the app, and not of a namesake that was deleted."""
    return bool(one.preview and one.preview.of == app.name and one.preview.born in (0.0, app.created))


def pushed_as(facts: Facts, app: str) -> str:
    """The app whose repository leads to this one: its own, or for a preview that of which it is one."""
    found = facts.apps.get(app)
    return found.preview.of if found and found.preview else app
