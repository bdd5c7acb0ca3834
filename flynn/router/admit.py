"""What a route says about its requests before one goes to an instance: maintenance, limits, turns, sticky clients."""

from typing import TYPE_CHECKING

from flynn.router import dispatch, ending, pages
from flynn.router.balance import choose
from flynn.router.connection import CONNECTING, QUEUED

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange
    from flynn.router.place import Place
    from flynn.router.proxy import Proxy
    from flynn.router.target import Target


def admit(client: "Exchange") -> bool:
    """Whether the request goes on to an instance now; if not, it was answered, or waits for its turn."""
    place = client.place
    assert place is not None
    route, counts = place.route, place.counts
    client.wanted, client.extra = None, b""
    if route.maintenance:
        ending.fault(client, pages.MAINTENANCE)
        return False
    if too_long(client):
        return False
    if route.sticky:
        client.wanted = _stuck_to(client, place)
    if route.max_in_flight and (place.waiting or counts.in_flight - counts.queued > route.max_in_flight):
        # Who comes while others wait does not overtake them; their turn comes when a request ends.
        _queue(client, place)
        return False
    return True


def too_long(client: "Exchange") -> bool:
    """Refuse a body that is, or becomes, longer than the route allows; whether it was."""
    place, body = client.place, client.body
    if place is None or not place.limited or not client.request.length or body is None:
        return False
    limit = place.route.body_limit
    if not limit or body.size <= limit:
        return False
    ending.fault(client, pages.TOO_LARGE)
    return True


def _queue(client: "Exchange", place: "Place") -> None:
    if place.counts.queued >= place.route.queue:
        ending.fault(client, pages.BACKLOG)
        return
    client.state = QUEUED
    place.counts.queued += 1
    place.waiting.append(client)


def left(client: "Exchange", place: "Place") -> None:
    """A request of this place is over: if it was waiting, it waits no more; if not, the next may have its turn."""
    client.wanted, client.extra = None, b""
    if client.state == QUEUED:
        place.counts.queued -= 1
        place.waiting.remove(client)
    elif place.waiting:
        # Not at once: a queue of requests that all fail would nest as deep as it is long.
        client.proxy.loop.call_soon(go_on, client.proxy, place)


def go_on(proxy: "Proxy", place: "Place") -> None:
    """Let as many of those who wait go on as may by now. The route may be another than when they came."""
    counts, current = place.counts, proxy.registry.places.get(place.route.id, place)
    limit = (current if current.counts is counts else place).route.max_in_flight
    while place.waiting and (not limit or counts.in_flight - counts.queued < limit):
        client = place.waiting.popleft()
        counts.queued -= 1
        client.state = CONNECTING
        client.stirred = client.proxy.clock()
        dispatch.dispatch(client, client.stirred)
        client.go_on()


def pick(client: "Exchange", place: "Place", now: float) -> "Target | None":
    """The instance to ask, where the route has a say in it."""
    service, route = place.service, place.route
    if route.leader:
        leader = service.leader()
        return None if leader in client.tried else leader
    if route.sticky:
        wanted = client.wanted
        if wanted is not None and not wanted.retired and wanted not in client.tried:
            return wanted
        target = choose(service.asked, client.tried, now, client.proxy.bits)
        if target is not None:
            client.extra = client.proxy.seal.field(target.key, route.path)
        return target
    return choose(service.asked, client.tried, now, client.proxy.bits)


def _stuck_to(client: "Exchange", place: "Place") -> "Target | None":
    """The instance that this client was with, if it takes requests and is well."""
    key = client.proxy.seal.told(client.request.kept)
    for target in place.service.targets if key else ():
        if target.key == key and not target.aside:
            return target
    return None
