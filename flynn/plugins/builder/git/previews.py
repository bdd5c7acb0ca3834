"""Preview apps as pushes need them: which there are, and what the controller is asked to do about one."""

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from flynn.core.errors import Conflict, FlynnError, Full, Invalid, NotFound, Unavailable
from flynn.core.facts import Facts
from flynn.core.previews import previews_of
from flynn.core.records import PreviewInfo
from flynn.plugins.builder.git.rules import Previews

if TYPE_CHECKING:
    from flynn.core.brick import Context

ANSWERS = 30.0
"""Seconds that the controller has."""

HEARD = 5.0
"""Seconds until this node sees what its controller, which has seen it, has done: unless others undo it at once."""

REFUSALS: dict[int, type[FlynnError]] = {404: NotFound, 409: Conflict, 422: Invalid, 507: Full}


class Refused(msgspec.Struct, frozen=True):
    """What the node API says of an error."""

    message: str = ""


def known(facts: Facts, app: str) -> Previews:
    """As `judge` wants them."""
    found = facts.apps.get(app)
    return Previews(bool(found and found.previewing.on), frozenset(previews_of(facts, app)))


async def made(ctx: "Context", app: str, branch: str) -> PreviewInfo:
    """The preview of a branch, made if there is none, and awake. Invalid, Conflict, Full, NotFound: it cannot be."""
    return await _asked(ctx, "PUT", app, branch)


async def removed(ctx: "Context", app: str, branch: str) -> PreviewInfo:
    """The preview of a branch as it was until it was deleted now. NotFound."""
    return await _asked(ctx, "DELETE", app, branch)


async def _asked(ctx: "Context", method: str, app: str, branch: str) -> PreviewInfo:
    """Unavailable: the controller of this node does not answer. Conflict: others undid it. What it refuses."""
    url = f"http://{ctx.node.address}:{ctx.node.port}/v1/apps/{app}/previews"
    told = {"branch": branch}
    query, body = (told, None) if method == "DELETE" else (None, told)
    try:
        async with asyncio.timeout(ANSWERS), ctx.http.request(method, url, params=query, json=body) as response:
            data = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"this node's controller does not answer ({str(error) or 'in time'}); push again") from None
    if response.status != 200:
        raise REFUSALS.get(response.status, Unavailable)(_message(data))
    answer = msgspec.json.decode(data, type=PreviewInfo)
    try:
        await ctx.mirror.until(lambda facts: (branch in previews_of(facts, app)) == (method == "PUT"), HEARD)
    except TimeoutError:
        what = "deleted" if method == "PUT" else "made again"
        raise Conflict(f"the preview of {branch} was {what} by others meanwhile; push again") from None
    return answer


def _message(data: bytes) -> str:
    try:
        return msgspec.json.decode(data, type=Refused).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "this node's controller says what is not understood; push again"
