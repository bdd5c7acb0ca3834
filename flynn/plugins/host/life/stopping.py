"""The end of a job that is told to stop: drained by the routers, asked to end, killed."""

import signal
from collections.abc import Iterable

from flynn.core.model import Job
from flynn.plugins.host.backends.backend import Running
from flynn.plugins.host.backends.ending import exit_code, terminate
from flynn.plugins.host.life.registration import Registration
from flynn.plugins.host.life.restart import Ending
from flynn.plugins.host.life.standing import Standing
from flynn.plugins.host.race import race


def signal_of(job: Job) -> signal.Signals:
    """What asks a job of this type to end. A name that this system does not know is no reason not to ask."""
    return getattr(signal.Signals, job.stop_signal, signal.SIGTERM)


async def stop(
    running: Running, standing: Standing, place: Registration, signals: Iterable[signal.Signals], reason: str
) -> Ending:
    """Let routers be done with it first, if it is registered; how it ended."""
    limit = standing.job.stop_timeout or standing.ground.config.stop_timeout
    standing.set(state="stopping", reason="")
    if place.on and standing.state.port:
        await standing.say("stopping: waits until routers have drained it")
        await race(_drain(standing, place), _ended(running))
    place.remove()
    code, killed = await terminate(running, signals, limit)
    return Ending("", f"{reason}; killed, as it did not end within {limit:g} s" if killed else reason, code)


async def _drain(standing: Standing, place: Registration) -> None:
    limit = standing.ground.config.drain_timeout
    if not await place.drain(standing.state.port, limit):
        await standing.say(f"routers were not done with it within {limit:g} s")


async def _ended(running: Running) -> None:
    await exit_code(running)
