"""The watch over a job's process that runs: brought up, registered while it answers."""

import asyncio

from flynn.plugins.host.backend import Running
from flynn.plugins.host.health import FAILURES, STEADY, listens, until_listens
from flynn.plugins.host.registration import Registration
from flynn.plugins.host.restart import Ending
from flynn.plugins.host.standing import Standing

SETTLED = 1.0
"""Seconds after which a service process without a port counts as up."""


async def tend(running: Running, standing: Standing, place: Registration) -> Ending:
    """Bring the process up and keep watch; returns only if it does not come up."""
    resumed = standing.state.state != "starting"
    if pid := await running.pid():
        standing.set(pid=pid)
    if standing.job.service:
        return await _tend_service(standing, place, resumed)
    if not resumed:
        await asyncio.sleep(SETTLED if standing.job.queue == "services" else 0.0)
        standing.up()
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _tend_service(standing: Standing, place: Registration, resumed: bool) -> Ending:
    ground, port = standing.ground, standing.state.port
    address, limit = ground.ctx.node.address, ground.config.boot_timeout
    if not resumed:
        if not await until_listens(address, port, limit):
            return Ending("boot", f"did not listen on port {port} within {limit:g} s")
        await _look_for_socket(standing, place)
        await place.put(port)
        standing.up()
        await standing.say(f"up on port {port}")
    failures = 0
    while True:
        if await listens(address, port):
            failures = 0
            if await _look_for_socket(standing, place) or standing.state.reason or not place.on or not place.port:
                await place.put(port)
                standing.set(reason="")
        else:
            failures += 1
            if failures == FAILURES:
                place.remove()
                standing.set(reason=f"does not answer on port {port}")
                await standing.say(f"does not answer on port {port}: unregistered until it does")
        await asyncio.sleep(STEADY)


async def _look_for_socket(standing: Standing, place: Registration) -> bool:
    """Whether it answers on its UNIX socket since the last look, or no more."""
    if not place.look():
        return False
    await standing.say(f"answers on its UNIX socket {'too' if place.socket else 'no more'}")
    return True
