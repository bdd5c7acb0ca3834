"""A POST has its effect once, however often a client sends it: header Idempotency-Key (docs/api.md).

What was done is remembered in the commit that does it: neither a daemon's death nor a second client comes in between.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from flynn.core import keys, model
from flynn.core.change import Change, carry_out
from flynn.core.errors import Invalid
from flynn.core.facts import Facts

if TYPE_CHECKING:
    from flynn.core.brick import Context

HEADER = "Idempotency-Key"
LENGTH = 255
"""Printable ASCII characters of a key."""

AGE = 24 * 3600.0
"""Seconds that a key is remembered, if there are not KEPT later ones (`plugins/controller/forgetting.py`)."""

HONOURED: Any = web.RequestKey("honoured", bool) if hasattr(web, "RequestKey") else "flynn.honoured"
"""Set on a request whose handler looks at the key."""

Made = dict[str, Any]
"""The names of what came of a POST: all that is needed to answer it."""


async def once(
    ctx: "Context", request: web.Request, decide: Callable[[Facts], tuple[Change, Made]], digest: str = ""
) -> tuple[Facts, Made]:
    """Carry out what `decide` says, unless a POST with the same key has: a photo that shows it, and what it made.

    `digest`: of the body, if it is not one that is read whole. Invalid: the key is no good, or was used for something
    else. What `decide` and `carry_out` raise.
    """
    request[HONOURED] = True
    key, asked = key_of(request), await _digest(request, digest)
    made: Made = {}

    def decided(facts: Facts) -> Change:
        nonlocal made
        now = ctx.clock()
        if key and (found := remembered(facts, key, now)):
            made = same(found, asked).made
            return Change()
        change, made = decide(facts)
        return marked(change, key, model.Once(digest=asked, time=now, made=made)) if key else change

    return await carry_out(ctx.store, ctx.mirror, decided), made


def repeated(ctx: "Context", request: web.Request) -> bool:
    """Whether a POST with this key was done already, as far as this node knows."""
    key = key_of(request)
    return bool(key and remembered(ctx.mirror.facts, key, ctx.clock()))


def key_of(request: web.Request) -> str:
    """Where in the store the request's key is remembered; empty if it has none. Invalid: it is no key."""
    given = request.headers.get(HEADER)
    if given is None:
        return ""
    if not (given.isascii() and given.isprintable() and 0 < len(given) <= LENGTH):
        raise Invalid(f"{HEADER} has 1 to {LENGTH} printable characters", header=HEADER)
    return keys.idempotency(hashlib.sha256(given.encode()).hexdigest()[:32])


def remembered(facts: Facts, key: str, now: float) -> model.Once | None:
    """What was done under this key, if it is not forgotten."""
    found = facts.get(key)
    return found if isinstance(found, model.Once) and now - found.time < AGE else None


def same(found: model.Once, digest: str) -> model.Once:
    """It itself, if it was asked for with the same words. Invalid."""
    if found.digest != digest:
        raise Invalid(f"this {HEADER} was used for something else; take another one", header=HEADER)
    return found


def marked(change: Change, key: str, done: model.Once) -> Change:
    """The change, which also remembers that it was made."""
    return Change({**change.puts, key: done}, change.deletes, change.seen, change.why or "a POST without effect")


async def _digest(request: web.Request, body: str) -> str:
    raw = body.encode() or await request.read()
    return hashlib.sha256(b"%b %b\n%b" % (request.method.encode(), request.path_qs.encode(), raw)).hexdigest()
