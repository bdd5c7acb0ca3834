"""Two clients that change the same thing: headers ETag and If-Match (RFC 9110, sections 8.8.3 and 13.1.1).

The version of a record is the revision of the store that wrote it. The loser is told 409, as of any other conflict.
"""

from collections.abc import Callable

from aiohttp import ETag, hdrs, web
from msgspec.structs import replace

from flynn.core.change import Change
from flynn.core.errors import Stale
from flynn.core.facts import Facts


def etag(facts: Facts, key: str) -> dict[str, str]:
    """The header that tells the version of a record; none if it is not there."""
    stamp = facts.stamp(key)
    return {hdrs.ETAG: f'"{stamp.revision}"'} if stamp else {}


def unless_changed(request: web.Request, key: str, decide: Callable[[Facts], Change]) -> Callable[[Facts], Change]:
    """`decide`, which raises Stale if the record at `key` has not a version that the request wants."""
    wanted = _wanted(request)
    if wanted is None:
        return decide

    def decided(facts: Facts) -> Change:
        change, stamp = decide(facts), facts.stamp(key)
        version = str(stamp.revision) if stamp else ""
        if version not in wanted and not (stamp and "*" in wanted):
            told = f'it has been changed since: its version is "{version}" now; read it again, then decide again'
            raise Stale(told, version=version)
        return replace(change, seen=(*change.seen, key))

    return decided


def _wanted(request: web.Request) -> set[str] | None:
    if hdrs.IF_MATCH not in request.headers:
        return None
    tags: tuple[ETag, ...] = request.if_match or ()
    return {tag.value for tag in tags if not tag.is_weak}
