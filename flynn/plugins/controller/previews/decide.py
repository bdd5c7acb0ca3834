"""Preview apps made and removed, decided on a photo of the grid. Pure; what is refused is raised with its remedy."""

import hashlib
import re
from collections.abc import Iterator

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Conflict, Full, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.core.previews import is_of, previews_of
from flynn.plugins.controller.decide import create_app, delete_app, find_app
from flynn.plugins.controller.previews.rest import is_busy, wake
from flynn.plugins.controller.volumes import delete_with_app

MOST = 20
"""Previews of an app."""

LEAST, LONGEST = 10, 30 * 24 * 3600
"""Seconds without a request after which they may be told to sleep."""

BRANCH_LIMIT = 200
"""Bytes of the name of a branch."""

DIGEST = 6
"""Characters that stand for a branch whose name is too long."""

HEAD = keys.NAME_LIMIT - 9
"""Characters of an app's name that a preview's begins with, at most."""

UNUSED = 24 * 3600.0
"""Seconds that a preview may have without a release: nothing of its branch was ever deployed, so no push removes it."""


def name_of(app: str, branch: str) -> str:
    """What the preview of a branch is called: `hello-feature-x`. Always the same, and always a good name."""
    head = app[:HEAD].rstrip("-")
    room = keys.NAME_LIMIT - len(head) - 1
    tail = re.sub("[^a-z0-9]+", "-", branch.lower()).strip("-")
    if not tail or len(tail) > room:
        digest = hashlib.sha256(branch.encode()).hexdigest()[:DIGEST]
        tail = f"{tail[: room - DIGEST - 1].rstrip('-')}-{digest}".strip("-")
    return f"{head}-{tail}"


def switch(facts: Facts, name: str, on: bool | None, idle: int | None) -> Change:
    """Whether an app has previews from now on, and when those sleep. NotFound, Invalid."""
    app = find_app(facts, name)
    if app.preview and on:
        raise Invalid(f"{name} is a preview of {app.preview.of} itself, and has none", app=name)
    if idle and not LEAST <= idle <= LONGEST:
        raise Invalid(f"previews sleep after {LEAST} s to {LONGEST // 86400} days without a request, or with 0 never")
    old = app.previewing
    new = model.Previewing(on=old.on if on is None else on, idle=old.idle if idle is None else idle)
    return Change({keys.app(name): replace(app, previewing=new)}, why=f"previews of {name}") if new != old else Change()


def ensure(facts: Facts, of: str, branch: str, domain: str, now: float) -> Change:
    """The preview of a branch, awake; a new one has the config of its app. NotFound, Invalid; Full: it has too many.
    Conflict: another app has the name, or other jobs still end."""
    parent = find_app(facts, of)
    if there := previews_of(facts, of).get(branch):
        return wake(facts, there.name)
    if not parent.previewing.on or parent.preview:
        raise Invalid(f"{of} has no previews; flynn preview on -a {of} gives each branch one", app=of)
    _check_branch(branch)
    name = name_of(of, branch)
    _check_free(facts, name, of, branch)
    if len(previews_of(facts, of)) >= MOST:
        raise Full(f"{of} has {MOST} previews, more it cannot have; git push flynn :BRANCH removes one", limit=MOST)
    change = create_app(facts, name, domain, now)
    made = replace(
        parent,
        name=name,
        created=now,
        release=0,
        mounts={},
        previewing=model.Previewing(),
        preview=model.Preview(of=of, branch=branch, born=parent.created),
    )
    puts = {**change.puts, keys.app(name): made, keys.app(of): parent}  # So that two made at once see each other.
    return replace(change, puts=puts, why=f"preview {branch} of {of}")


def _check_branch(branch: str) -> None:
    """Invalid: people and git could do nothing with it."""
    if not branch or not branch.isprintable() or len(branch.encode()) > BRANCH_LIMIT:
        raise Invalid(f"{branch[:60]!r} is no good name for the branch of a preview: {BRANCH_LIMIT} printable bytes")


def _check_free(facts: Facts, name: str, of: str, branch: str) -> None:
    """Conflict: an app has the name that is not this preview."""
    other = facts.apps.get(name)
    if other and other.preview and other.preview.of == of:
        what = f"is the preview of {other.preview.branch}"
    else:
        what = "is an app of its own, which stays as it is"
    if other:
        raise Conflict(f"{name} {what}, so {branch} cannot be called that; push the branch by another name", app=name)


def remove(facts: Facts, of: str, branch: str) -> Change:
    """The preview of a branch deleted, with its routes, volumes and all data. NotFound: there is none."""
    return delete_with_app(facts, find_preview(facts, of, branch).name)


def find_preview(facts: Facts, of: str, branch: str) -> model.App:
    """The preview of a branch. NotFound."""
    there = previews_of(facts, of).get(branch)
    if there is None:
        raise NotFound(f"{of} has no preview of {branch[:60]}; flynn preview -a {of} shows those it has", app=of)
    return there


def forsaken(facts: Facts, now: float) -> Iterator[Change]:
    """The previews removed that no push can remove any more: their app is gone, or nothing of them was ever deployed
    and nobody tries. Volumes stay, as when an app is deleted."""
    for app in facts.apps.values():
        if app.preview is None:
            continue
        parent = facts.apps.get(app.preview.of)
        gone = parent is None or not is_of(app, parent)
        tried = max((build.started for build in facts.builds_of(app.name).values()), default=app.created)
        unused = not app.release and not is_busy(facts, app.name) and now - tried > UNUSED
        if gone or unused:
            change = delete_app(facts, app.name)
            yield replace(change, seen=(*change.seen, keys.app(app.preview.of)))
