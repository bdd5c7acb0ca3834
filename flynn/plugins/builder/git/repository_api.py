"""The API of repositories: where an app is pushed to, and which branch deploys."""

import re
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change, carry_out
from flynn.core.errors import Invalid, NotFound
from flynn.core.facts import Facts
from flynn.core.records import RepositoryInfo
from flynn.core.web import Route, answer, body
from flynn.plugins.builder.git.endpoint import url
from flynn.plugins.builder.git.rules import HEADS, USUAL

if TYPE_CHECKING:
    from flynn.core.brick import Context

BRANCH = re.compile(r"(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9_][A-Za-z0-9._/+-]{0,99}(?<![./])")
"""Names that git takes for a branch (git-check-ref-format(1)), without those that nobody can type."""


class Branch(msgspec.Struct, forbid_unknown_fields=True):
    branch: str


def routes(ctx: "Context") -> list[Route]:
    """The routes of this part of the API."""
    path = "/v1/apps/{app}/repository"

    async def show(request: web.Request, app: str) -> web.Response:
        return answer(info(ctx.mirror.facts, app, ctx.domain))

    async def change(request: web.Request, app: str) -> web.Response:
        branch = (await body(request, Branch)).branch
        facts = await carry_out(ctx.store, ctx.mirror, lambda facts: choose(facts, app, branch))
        return answer(info(facts, app, ctx.domain))

    return [
        Route("GET", path, show, "where it is pushed to, and what was", RepositoryInfo),
        Route("PATCH", path, change, "choose the branch that deploys", RepositoryInfo, Branch),
    ]


def info(facts: Facts, app: str, domain: str) -> RepositoryInfo:
    """What is known of the repository of an app, which may be empty. NotFound."""
    known = _known(facts, app)
    branch = known.branch or USUAL[0]
    return RepositoryInfo(
        app=app,
        url=url(facts, app, domain),
        branch=branch,
        commit=known.refs.get(HEADS + branch, ""),
        pushed=known.pushed,
        size=sum(pack.size for pack in known.packs),
    )


def choose(facts: Facts, app: str, branch: str) -> Change:
    """Another branch deploys from now on. NotFound; Invalid: it is no name for one."""
    known = _known(facts, app)
    if not BRANCH.fullmatch(branch):
        raise Invalid(f"{branch[:60]!r} is no good name for a branch; letters, digits, and - _ . / + in between")
    if known.branch == branch:
        return Change()
    changed = replace(known, branch=branch, refs=_without_preview(facts, known, branch))
    return Change({keys.repository(app): changed}, seen=(keys.app(app),), why=f"{branch} of {app} deploys")


def _without_preview(facts: Facts, known: model.Repository, branch: str) -> dict[str, str]:
    """The refs that stay once a branch deploys: not that of its preview, where branches have previews nor that of what
    has deployed. git would have it that what is pushed there next is deployed already."""
    previews = {HEADS + name for name in known.previews} - {HEADS + branch}
    if facts.apps[known.app].previewing.on:
        return {ref: commit for ref, commit in known.refs.items() if ref in previews}
    is_preview = branch in known.previews
    return {ref: commit for ref, commit in known.refs.items() if not (is_preview and ref == HEADS + branch)}


def _known(facts: Facts, app: str) -> model.Repository:
    if app not in facts.apps:
        raise NotFound(f"there is no app {app[:60]}; create it with: flynn create {app[:60]}")
    return facts.repositories.get(app) or model.Repository(app=app)
