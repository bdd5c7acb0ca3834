"""One service as a stream of server-sent events, to one client that is cut off when it does not keep up."""

import asyncio

from aiohttp import web

from flynn.plugins.discovery.subscribers import Subscriber, Subscribers

SILENCE = 15.0
"""Seconds that a client may take nothing of what is sent to it."""

BEAT = b": beat\n\n"


def wants_events(request: web.Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


async def send_events(
    request: web.Request, subscribers: Subscribers, service: str, heartbeat: float
) -> web.StreamResponse:
    """How the service stands, then what happens, until the client or discovery goes away."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    assert request.transport is not None
    with subscribers.subscribed(service, request.transport.abort) as (standing, subscriber):
        for event in standing:
            await _send(request, response, event.encode())
        while piece := await _next(subscriber, heartbeat):
            await _send(request, response, piece)
    return response


async def _next(subscriber: Subscriber, heartbeat: float) -> bytes:
    """What to send next; nothing at the end."""
    try:
        event = await subscriber.take(heartbeat)
    except TimeoutError:
        return BEAT
    return event.encode() if event else b""


async def _send(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """ConnectionError: the client has gone, or takes nothing and was cut off."""
    try:
        async with asyncio.timeout(SILENCE):
            await response.write(piece)
    except TimeoutError:
        if request.transport:
            request.transport.abort()
        raise ConnectionResetError(f"the subscriber took nothing for {SILENCE:g} s") from None
