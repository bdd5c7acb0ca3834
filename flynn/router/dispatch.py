"""A request to an instance: which one, on which connection, and to which other one when that fails.

Another is tried only while no byte of the request has been written, or when a warm connection died before a byte of
the answer came and the request can be repeated: a POST is never sent twice.
"""

import asyncio
import errno
import logging
from typing import TYPE_CHECKING

from flynn.router import ending, pages
from flynn.router.backend import Backend
from flynn.router.connection import CONNECTING

if TYPE_CHECKING:
    from flynn.router.client import Client
    from flynn.router.target import Target

log = logging.getLogger(__name__)

TRIES = 4
"""Instances that one request is offered to, at most."""


def dispatch(client: "Client", otherwise: pages.Fault = pages.NO_PROCESS) -> None:
    """Give the client's request to an instance, on a warm connection or a new one; `otherwise` if there is none."""
    proxy, service = client.proxy, client.service
    assert service is not None
    now = proxy.clock()
    target = service.choose(client.tried, now, proxy.chance)
    if target is None:
        ending.fault(client, otherwise)
        return
    client.target = target
    target.in_flight += 1
    backend = None if client.replayed else target.take(now, client.request.repeatable)
    if backend is not None:
        service.reused += 1
        client.attach(backend)
        return
    service.opened += 1
    client.state = CONNECTING
    client.dial = proxy.loop.create_task(_connect(client, target), name="connect")


async def _connect(client: "Client", target: "Target") -> None:
    """Open a connection; `Client.takes` is called by it when it is there, and not after it was cancelled."""
    proxy, dial = client.proxy, asyncio.current_task()
    try:
        async with asyncio.timeout(proxy.limits.connect_timeout):
            await proxy.loop.create_connection(lambda: Backend(target, client), target.host, target.port)
    except (OSError, TimeoutError) as error:
        if client.dial is dial:
            client.dial = None
            _unreachable(client, target, error)
            client.go_on()


def _unreachable(client: "Client", target: "Target", error: Exception) -> None:
    """No connection: no byte was written, so another instance may have the request, whatever it is."""
    proxy, service = client.proxy, client.service
    assert service is not None
    log.debug("%s at %s does not accept connections: %s", target.key, target.instance.address, error)
    target.failed(proxy.clock(), strikes=2)
    target.ended()
    client.target = None
    if getattr(error, "errno", None) == errno.ECONNREFUSED:
        proxy.registry.refused(target)
    client.tried.append(target)
    fault = pages.CONNECT_TIMEOUT if isinstance(error, TimeoutError) else pages.UNREACHABLE
    late = proxy.clock() - client.since > 2 * proxy.limits.connect_timeout
    if len(client.tried) >= TRIES or late:
        ending.fault(client, fault)
        return
    service.retries += 1
    dispatch(client, fault)


def lost(client: "Client", backend: Backend) -> None:
    """The connection ended while the request was on it. Try again if nothing can come of it but an answer."""
    target, service = client.target, client.service
    assert target is not None
    assert service is not None
    if not backend.heard and backend.used and client.request.repeatable and not client.replayed:
        client.replayed = True
        service.replays += 1
        target.ended()
        client.target = None
        dispatch(client)
        return
    if not backend.heard:
        target.failed(client.proxy.clock())
    ending.fault(client, pages.CUT if client.answered else pages.CLOSED)
