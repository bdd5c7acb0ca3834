"""Which apps are previews of an app's branches: for the brick that makes them and the one that takes pushes. Pure."""

from flynn.core import model
from flynn.core.facts import Facts


def previews_of(facts: Facts, app: str) -> dict[str, model.App]:
    """The preview apps of an app, by branch."""
    return {each.preview.branch: each for each in facts.apps.values() if each.preview and each.preview.of == app}


def pushed_as(facts: Facts, app: str) -> str:
    """The app whose repository leads to this one: its own, or for a preview that of which it is one."""
    found = facts.apps.get(app)
    return found.preview.of if found and found.preview else app
