"""A request to an instance: which one, on which connection, and to which other one when that fails.

Another is tried only while no byte of the request has been written, or when a warm connection died before a byte of
the answer came and the request can be repeated: a POST is never sent twice.
"""

import asyncio
import errno
import logging
from typing import TYPE_CHECKING

from flynn.router import admit, ending, pages
from flynn.router.backend import Backend
from flynn.router.balance import choose
from flynn.router.connection import CONNECTING
from flynn.router.target import FRESH

if TYPE_CHECKING:
    from flynn.router.exchange import Exchange
    from flynn.router.target import Target

log = logging.getLogger(__name__)

TRIES = 4
"""Instances that one request is offered to, at most."""

OURS = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors of a connect that say nothing of the instance: we have too many files open."""


def dispatch(client: "Exchange", now: float, otherwise: pages.Fault = pages.NO_PROCESS) -> None:
    """Give the client's request to an instance, on a warm connection or a new one; `otherwise` if there is none."""
    proxy, place = client.proxy, client.place
    assert place is not None
    if place.limited:
        target = admit.pick(client, place, now)
    else:
        service = place.service
        target = choose(service.targets or service.orphans, client.tried, now, proxy.bits)
    if target is None:
        ending.fault(client, otherwise)
        return
    client.target = target
    target.in_flight += 1
    backend = None if client.replayed else target.take(now, client.request.repeatable)
    if backend is not None:
        target.reused += 1
        client.attach(backend)
        return
    target.opened += 1
    client.state = CONNECTING
    client.dial = proxy.loop.create_task(_connect(client, target), name="connect")


async def _connect(client: "Exchange", target: "Target") -> None:
    """Open a connection; `Client.takes` is called by it when it is there, and not after it was cancelled."""
    dial = asyncio.current_task()
    try:
        async with asyncio.timeout(connect_timeout(client)):
            await _open(client, target)
    except (OSError, TimeoutError, ValueError) as error:  # ValueError: what is no name of a host cannot be looked up
        if client.dial is dial:
            client.dial = None
            _unreachable(client, target, error)
            client.go_on()


async def _open(client: "Exchange", target: "Target") -> None:
    """A connection to the instance: by its UNIX socket if it has one here and answers there, else by TCP."""
    loop = client.proxy.loop
    if target.path:
        try:
            await loop.create_unix_connection(lambda: Backend(target, client), target.path)
            return
        except OSError as error:
            log.debug("%s does not answer at %s: %s", target.key, target.path, error)
    await loop.create_connection(lambda: Backend(target, client), target.host, target.port)


def connect_timeout(client: "Exchange") -> float:
    """Seconds that a connection may take for this request."""
    place = client.place
    return (place.route.connect_timeout if place else 0) or client.proxy.limits.connect_timeout


def _unreachable(client: "Exchange", target: "Target", error: Exception) -> None:
    """No connection: no byte was written, so another instance may have the request, whatever it is."""
    proxy, place = client.proxy, client.place
    assert place is not None
    now = proxy.clock()
    if getattr(error, "errno", None) in OURS:
        ending.fault(client, pages.FULL)
        return
    log.debug("%s at %s does not accept connections: %s", target.key, target.instance.address, error)
    target.failed(now, strikes=2)
    target.ended()
    client.target = None
    if getattr(error, "errno", None) == errno.ECONNREFUSED:
        proxy.registry.refused(target)
    client.tried = (*client.tried, target)
    fault = pages.CONNECT_TIMEOUT if isinstance(error, TimeoutError) else pages.UNREACHABLE
    late = now - client.since > 2 * connect_timeout(client)
    if len(client.tried) >= TRIES or late:
        ending.fault(client, fault)
        return
    place.counts.retries += 1
    dispatch(client, now, fault)


def lost(client: "Exchange", backend: Backend) -> None:
    """The connection ended while the request was on it. Try again if nothing can come of it but an answer."""
    target, place, now = client.target, client.place, client.proxy.clock()
    assert target is not None
    assert place is not None
    if not backend.heard and backend.used and client.request.repeatable and not client.replayed:
        client.replayed = True
        place.counts.replays += 1
        if client.asked - backend.since < FRESH:
            target.failed(now)  # That was not old age.
        target.ended()
        client.target = None
        dispatch(client, now)
        return
    if not backend.heard:
        target.failed(now)
    ending.fault(client, pages.CUT if client.answered else pages.CLOSED)
