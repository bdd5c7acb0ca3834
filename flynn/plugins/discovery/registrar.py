"""Instances registered over the API: kept in the store under the daemon's lease for as long as their clients beat."""

import asyncio
import time
from collections.abc import Awaitable
from typing import cast

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.errors import Conflict, Exists, NotFound, Unavailable
from flynn.core.facts import encode
from flynn.core.model import Instance
from flynn.core.store import TIMEOUT, Put
from flynn.plugins.discovery.registry import Registration, Registry

TICK = 0.25
"""Seconds between two looks for those who fell silent."""

LATE = 1.0
"""Seconds by which a look may come late before this node blames itself for the beats that it did not hear."""


class Registrar:
    """Registers, beats for and removes instances; `watch` removes those that fell silent."""

    def __init__(self, ctx: Context, registry: Registry) -> None:
        self._ctx = ctx
        self._registry = registry

    async def register(self, service: str, id: str, told: Registration) -> tuple[Instance, bool]:
        """Register an instance, or beat for it: the instance, and whether it is new. A mere beat writes nothing.

        Exists, Conflict: the id is another's. Full: one too many. Unavailable: the store does not answer.
        """
        key = keys.instance(service, id)
        before = self._ours(key)
        record = Instance(
            id=id, service=service, address=told.address, host=self._ctx.host, meta=told.meta, ttl=told.ttl
        )
        is_held = key in self._registry
        if not is_held:
            self._registry.check_room()
            await self._claim(key, record)
        self._registry.beat(key, told.ttl, time.monotonic())
        if not is_held or record != before:
            await self._seen(self._ctx.lease.put(key, record))
        return record, before is None

    async def unregister(self, service: str, id: str) -> Instance:
        """Remove an instance at once; what it was. NotFound; else as `register`."""
        key = keys.instance(service, id)
        instance = self._ours(key)
        if instance is None:
            raise NotFound(f"{service} has no instance {id}", service=service, instance=id)
        self._registry.forget(key)
        await self._seen(self._ctx.lease.delete(key))
        return instance

    async def adopt(self) -> None:
        """Go on with those that registered at the daemon before this one: they beat as if nothing had happened."""
        found = [one for one in self._ctx.mirror.facts.services.values() if one.ttl and one.host == self._ctx.host]
        here = {key: one for one in found if (key := keys.instance(one.service, one.id)) not in self._registry}
        for key, one in here.items():
            self._registry.beat(key, one.ttl, time.monotonic())
        await asyncio.gather(*(self._ctx.lease.put(key, one) for key, one in here.items()))

    async def watch(self) -> None:
        """Remove who falls silent, for ever."""
        while True:
            looked = time.monotonic()
            await asyncio.sleep(TICK)
            late = time.monotonic() - looked - TICK
            if late > LATE:
                self._registry.extend(late)
            for key in self._registry.expire(time.monotonic()):
                self._ctx.log.info("%s did not beat in time and is removed", key)
                await self._ctx.lease.delete(key)

    def _ours(self, key: str) -> Instance | None:
        """What stands at `key`, if the API of this node may change it."""
        found = cast(Instance | None, self._ctx.mirror.facts.get(key))
        if found and found.job:
            raise Exists(f"{found.id} of {found.service} is the job {found.job}; only its host registers it")
        if found and found.host != self._ctx.host:
            raise Conflict(
                f"{found.id} of {found.service} was registered at {found.host}: beat there, "
                "or stay silent until it is gone and register here"
            )
        if self._ctx.lease.holds(key) and key not in self._registry:
            raise Exists(f"{key.removeprefix('services/')} is a part of flynn on this node; choose another id")
        return found

    async def _claim(self, key: str, record: Instance) -> None:
        """Write it unless someone else was faster, here or at another node."""
        put = Put(key, encode(record), self._ctx.lease.id)
        try:
            await self._ctx.store.commit([put], [self._ctx.mirror.facts.unchanged(key)])
        except Conflict:
            raise Conflict(f"someone else is registering {record.id} of {record.service} just now; try again") from None
        except NotFound:
            raise Unavailable("this node has lost its lease and is taking a new one; try again") from None

    async def _seen(self, writing: Awaitable[int]) -> None:
        """Wait until a write of the lease is done and the mirror shows it."""
        try:
            async with asyncio.timeout(TIMEOUT):
                revision = await writing
        except TimeoutError:
            raise Unavailable("the store does not answer; this is done as soon as it does") from None
        await self._ctx.mirror.reach(revision)
