"""Discovery over HTTP: what docs/api.md promises of `/v1/services`."""

from aiohttp import web

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.model import Instance
from flynn.core.records import ServiceInfo
from flynn.core.web import EVENTS, Route, answer, body
from flynn.plugins.discovery.events import leader
from flynn.plugins.discovery.registrar import Registrar
from flynn.plugins.discovery.registry import Registration, check
from flynn.plugins.discovery.stream import send_events, wants_events
from flynn.plugins.discovery.subscribers import Subscribers


class ServiceApi:
    """Handlers over the mirror. Streams send a comment line after `heartbeat` seconds without an event."""

    def __init__(self, ctx: Context, registrar: Registrar, subscribers: Subscribers, heartbeat: float) -> None:
        self._ctx = ctx
        self._registrar = registrar
        self._subscribers = subscribers
        self._heartbeat = heartbeat

    def routes(self) -> list[Route]:
        instance = "/v1/services/{service}/instances/{id}"
        return [
            Route("GET", "/v1/services", self.list, "services", dict[str, int]),
            Route("GET", "/v1/services/{service}", self.show, "a service", (ServiceInfo, EVENTS)),
            Route("PUT", instance, self.register, "register", Instance, Registration, status=201, also=(200,)),
            Route("DELETE", instance, self.unregister, "unregister", Instance),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """How many instances each service has."""
        services = self._ctx.mirror.facts.instances_by_service
        return answer({name: len(services[name]) for name in sorted(services)})

    async def show(self, request: web.Request, service: str) -> web.StreamResponse:
        """The instances of a service (one that nobody registered has none), or a stream of what happens to them."""
        if wants_events(request):
            return await send_events(request, self._subscribers, service, self._heartbeat)
        facts = self._ctx.mirror.facts
        return answer({"service": service, "leader": leader(facts, service), "instances": facts.instances(service)})

    async def register(self, request: web.Request, service: str, id: str) -> web.Response:
        """Register an instance, or beat for it."""
        keys.check_service(service)
        keys.check_name("instance", id)
        told = check(await body(request, Registration))
        instance, is_new = await self._registrar.register(service, id, told)
        return answer(instance, 201 if is_new else 200)

    async def unregister(self, request: web.Request, service: str, id: str) -> web.Response:
        """Remove an instance at once."""
        return answer(await self._registrar.unregister(service, id))
