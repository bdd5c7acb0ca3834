"""One service as a stream of server-sent events, to one client that is cut off when it does not keep up."""

from aiohttp import web

from flynn.core.web import write_soon
from flynn.plugins.discovery.subscribers import Subscriber, Subscribers

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
            await write_soon(request, response, event.encode())
        while piece := await _next(subscriber, heartbeat):
            await write_soon(request, response, piece)
    return response


async def _next(subscriber: Subscriber, heartbeat: float) -> bytes:
    """What to send next; nothing at the end."""
    try:
        event = await subscriber.take(heartbeat)
    except TimeoutError:
        return BEAT
    return event.encode() if event else b""
