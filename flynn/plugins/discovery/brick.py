"""Discovery: who answers for which service, told over HTTP at once when it changes, and registered over HTTP.

The facts themselves stand in the store, under `services/`: hosts write there of their jobs, bricks of themselves,
and this brick of those who register over the API. What it tells is read from the mirror, so it goes on telling what
was last known when the store cannot be reached.
"""

import asyncio
from contextlib import closing

import msgspec

from flynn.core.brick import Context
from flynn.core.facts import Facts
from flynn.plugins.discovery.api import ServiceApi
from flynn.plugins.discovery.registrar import Registrar
from flynn.plugins.discovery.registry import Registry
from flynn.plugins.discovery.subscribers import Subscribers


class DiscoveryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`heartbeat`: seconds without an event after which a stream gets a comment line, to keep it open."""

    heartbeat: float = 15.0


class Discovery:
    """Answers for `/v1/services` on the node API, and registers that API itself as the service `controller`."""

    name = "discovery"
    Config = DiscoveryConfig

    def __init__(self, config: DiscoveryConfig) -> None:
        self.config = config
        # Outlives a crash of `run`: the lease still holds what is registered, and someone must end it in time.
        self.registry = Registry()

    async def run(self, ctx: Context) -> None:
        registrar = Registrar(ctx, self.registry)
        with closing(Subscribers(ctx.mirror.facts)) as subscribers:
            api = ServiceApi(ctx, registrar, subscribers, self.config.heartbeat)

            def show(facts: Facts) -> None:
                if subscribers.show(facts):
                    ctx.say(sentence(facts))

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(registrar.adopt(), name="discovery: adopt")
                watching = tasks.create_task(registrar.watch(), name="discovery: watch for silence")
                with ctx.mirror.listening(show), ctx.web.serving(*api.routes()):
                    async with ctx.registered("controller"):
                        ctx.say(sentence(ctx.mirror.facts))
                        ctx.ready()
                        await ctx.stopping.wait()
                watching.cancel()


def sentence(facts: Facts) -> str:
    """What discovery knows, in one sentence."""
    services, instances = len(facts.instances_by_service), len(facts.services)
    return f"knows {services} service{'s' * (services != 1)}, {instances} instance{'s' * (instances != 1)}"
