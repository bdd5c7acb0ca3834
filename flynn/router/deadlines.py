"""The one sweep that serves all deadlines of all clients: coarse, so that a request costs no timer."""

from typing import TYPE_CHECKING

from flynn.router import admit, ending, pages, tunnel
from flynn.router.connection import CLOSING, LINGER, QUEUED, READY, SENDING, TUNNEL, WAITING
from flynn.router.place import PLAIN

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange

LINGER_QUIET, LINGER_ALL = 2.0, 30.0
"""Seconds for which a client that still sends is listened to after its last answer: without a byte, and in all."""


def sweep(client: "Exchange", now: float) -> None:
    """End what has lasted too long on this connection. `now` is by the proxy's clock."""
    state, limits = client.state, client.proxy.limits
    route = client.place.route if client.place else PLAIN
    if state == READY:
        _ready(client, now)
    elif state == QUEUED:
        if now - client.since > (route.first_byte_timeout or limits.first_byte_timeout):
            ending.fault(client, pages.BACKLOG)
            client.go_on()
        elif client.place is not None:
            # Its route may have other limits by now, or those before it had no limit and told nobody when they ended.
            admit.go_on(client.proxy, client.place)
    elif state == SENDING and route.body_timeout and now - client.since > route.body_timeout:
        ending.fault(client, pages.IDLE)
    elif state in (SENDING, WAITING):
        first = state == WAITING and not client.answered
        if first:
            limit = route.first_byte_timeout or limits.first_byte_timeout
        else:
            limit = route.idle_timeout or limits.idle_timeout
        if now - client.stirred > limit and not client.trickles(now):
            _stalled(client, first)
    elif state == LINGER:
        _linger(client, now)
    elif state == CLOSING:
        if now - max(client.since, client.stirred) > limits.idle_timeout and not client.trickles(now):
            client.transport.abort()
    elif state == TUNNEL:
        _tunnel(client, now)


def _tunnel(client: "Exchange", now: float) -> None:
    tunnel.look(client, now)
    limits, quiet = client.proxy.limits, now - client.stirred
    if client.halves and quiet > limits.idle_timeout:
        client.transport.abort()
    elif limits.tunnel_idle_timeout and quiet > limits.tunnel_idle_timeout and not client.trickles(now):
        tunnel.go_away(client)
    elif not tunnel.is_leaving(client):
        client.leave = 0.0
    elif not client.leave:
        client.leave = now + limits.tunnel_leave_timeout
    elif now > client.leave:
        tunnel.go_away(client)


def _linger(client: "Exchange", now: float) -> None:
    """Until our last words are on their way the client's silence may last as always; then not long."""
    if client.trickles(now):
        return
    quiet, all = now - client.stirred, now - client.since
    if all > client.proxy.limits.idle_timeout if client.backlog else quiet > LINGER_QUIET or all > LINGER_ALL:
        client.transport.abort()


def _ready(client: "Exchange", now: float) -> None:
    client.slim()
    limits, waited = client.proxy.limits, now - client.since
    longest = limits.keepalive_timeout if client.served else limits.head_timeout
    if client.buffer and not client.choked:
        if waited > limits.head_timeout:
            ending.refuse(client, 408, "it did not arrive in time")
    elif waited > longest and not client.trickles(now):
        if client.choked:
            client.transport.abort()
        else:
            client.close()


def _stalled(client: "Exchange", first: bool) -> None:
    """Tell whose silence it is."""
    target, backend = client.target, client.backend
    if first:
        if target is not None:
            target.failed(now=client.proxy.clock())
        ending.fault(client, pages.FIRST_BYTE)
    elif client.state == SENDING and not (backend is not None and backend.choked):
        ending.fault(client, pages.IDLE)
    else:
        ending.fault(client, pages.STALLED if client.answered else pages.FIRST_BYTE)
    client.go_on()
