"""What the grid knows of a repository once something was pushed. Pure."""

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import NotFound
from flynn.core.facts import Facts
from flynn.core.previews import previews_of
from flynn.plugins.builder.git.rules import Verdict, kept


def recorded(
    facts: Facts,
    before: model.Repository,
    verdict: Verdict,
    new: tuple[model.Pack, ...],
    shallow: tuple[str, ...],
    now: float,
    lost: bool = False,
) -> Change:
    """The record after a push that brought the packs `new`; `before`: as git saw it, `lost`: without what it had.
    NotFound: the app was deleted, or its preview."""
    app = before.app
    if app not in facts.apps:
        raise NotFound(f"{app} was deleted meanwhile")
    known = facts.repositories.get(app) or model.Repository(app=app)
    old = () if lost else known.packs
    there, made = {pack.name for pack in old}, previews_of(facts, app)
    previews = {branch: at for branch, at in before.previews.items() if branch != verdict.branch}
    if verdict.preview and not verdict.command.deletes:
        if verdict.branch not in made:
            raise NotFound(f"the preview of {verdict.branch} was deleted meanwhile")
        previews[verdict.branch] = made[verdict.branch].created
    record = model.Repository(
        app=app,
        branch=known.branch or ("" if verdict.preview else verdict.branch),
        refs=kept(before, verdict),
        packs=(*old, *(pack for pack in new if pack.name not in there)),
        shallow=shallow,
        pushed=now,
        previews=previews,
    )
    return Change({keys.repository(app): record}, seen=(keys.app(app),), why="push")
