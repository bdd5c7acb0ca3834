"""How a request ends that no app answers, or not to the end."""

from typing import TYPE_CHECKING

from flynn.router import pages
from flynn.router.connection import READY

if TYPE_CHECKING:
    from flynn.router.client import Client


def fault(client: "Client", fault: pages.Fault) -> None:
    """Answer in place of the app, or break off an answer that cannot be completed."""
    if client.service is not None and not client.answered:
        client.service.answers[fault.status // 100] += 1
    if client.proxy.debug:
        client.log(fault.status, fault.code)
    client.detach()
    if client.answered:
        client.reset()
        return
    request = client.request
    keep = request.keep and request.minor and client.done and not client.proxy.stopping
    bodiless = request.method == b"HEAD"
    client.transport.write(pages.answer(fault, client.id, request.kept, close=not keep, bodiless=bodiless))
    if keep:
        client.state = READY
        client.since = client.proxy.clock()
    elif client.done:
        client.close()
    else:
        client.linger()


def spoiled(client: "Client", what: pages.Fault) -> None:
    """The app's answer is no good."""
    if client.target is not None:
        client.target.failed(client.proxy.clock())
    fault(client, what)
    client.go_on()


def refuse(client: "Client", status: int, reason: str) -> None:
    """Answer to what is no request, or no good one, and close: what follows it cannot be understood."""
    broken = client.answered and client.state != READY
    client.detach()
    if broken:
        client.reset()
    else:
        client.proxy.refused += 1
        turn_away(client, pages.refused(status, reason))


def turn_away(client: "Client", fault: pages.Fault) -> None:
    """Say why this connection is not served any more, and end it."""
    client.transport.write(pages.answer(fault, b"%032x" % client.proxy.bits(128)))
    client.linger()
