"""How a request ends that no app answers, or not to the end."""

from typing import TYPE_CHECKING

from flynn.router import pages
from flynn.router.connection import READY, UNDER_WAY

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange


def fault(client: "Exchange", fault: pages.Fault) -> None:
    """Answer in place of the app, or break off an answer that cannot be completed."""
    own = client.place.route.pages if client.place else {}
    client.proxy.faults[fault.code, fault.status] += 1
    client.ended(fault.status, fault)
    if client.answered:
        client.reset()
        return
    request = client.request
    keep = request.keep and request.minor and client.done and not client.proxy.stopping
    bodiless = request.method == b"HEAD"
    client.send(pages.answer(fault, client.id, request.kept, own, close=not keep, bodiless=bodiless))
    if keep:
        client.state = READY
        client.since = client.proxy.clock()
    elif client.done:
        client.close()
    else:
        client.linger()


def spoiled(client: "Exchange", what: pages.Fault) -> None:
    """The app's answer is no good."""
    if client.target is not None:
        client.target.failed(client.proxy.clock())
    fault(client, what)
    client.go_on()


def refuse(client: "Exchange", status: int, reason: str) -> None:
    """Answer to what is no request, or no good one, and close: what follows it cannot be understood."""
    broken = client.answered and client.state != READY
    fault = pages.refused(status, reason)
    if client.state in UNDER_WAY:
        client.ended(status, fault)
    if broken:
        client.proxy.faults[fault.code, status] += 1
        client.reset()
    else:
        client.proxy.refused += 1
        turn_away(client, fault)


def turn_away(client: "Exchange", fault: pages.Fault) -> None:
    """Say why this connection is not served any more, and end it."""
    client.proxy.faults[fault.code, fault.status] += 1
    client.send(pages.answer(fault, b"%032x" % client.proxy.bits(128)))
    client.linger()
