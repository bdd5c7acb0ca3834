"""From a request that has ended to its line in the access log."""

from flynn.router.access import AccessLog
from flynn.router.entry import NO_TIME, Entry
from flynn.router.exchange import Exchange
from flynn.router.pages import Fault
from flynn.router.place import PLAIN
from flynn.router.proxy import Access, Proxy


def noting(access: AccessLog, proxy: Proxy) -> Access:
    """What the proxy calls with each request that has ended, while who it went to is still known."""

    def note(client: Exchange, status: int, fault: Fault | None) -> None:
        if access.wants(status, fault.code if fault else ""):
            access.note(entry(client, status, fault, proxy.clock(), proxy.now_ms() / 1000))

    return note


def entry(client: Exchange, status: int, fault: Fault | None, now: float, wall: float) -> Entry:
    """What is known of it. `now` is by the proxy's clock, `wall` the same moment in seconds since the epoch."""
    request = client.request
    route = client.place.route if client.place else PLAIN
    # Of a request that never reached an instance, these are still what the one before it left.
    sent = client.target is not None and client.asked >= client.since
    return Entry(
        time=wall - (now - client.since),
        method=request.method,
        target=request.target,
        host=request.host,
        id=client.id,
        status=status,
        size=client.sent if client.answered else 0,
        address=client.address,
        forwarded=_forwarded(client),
        app=route.app,
        route=route.id,
        instance=client.target.key if client.target else "",
        connect_ms=int((client.asked - client.since) * 1000) if sent else NO_TIME,
        service_ms=int((now - client.asked) * 1000) if sent else NO_TIME,
        code=fault.code if fault else "",
        desc=fault.sentence if fault else "",
    )


def _forwarded(client: Exchange) -> bytes:
    """X-Forwarded-For as the app gets it."""
    peer = client.address.encode()
    before = dict(client.request.forwarded).get(b"x-forwarded-for", b"") if client.trusted else b""
    return before + b", " + peer if before else peer
