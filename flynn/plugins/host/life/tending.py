"""The watch over a job's process that runs: brought up, registered while it is well, given up when it is not."""

import asyncio
from typing import Never

from flynn.core.model import Check
from flynn.plugins.host.backends.backend import Running
from flynn.plugins.host.life.boots import counted, pause
from flynn.plugins.host.life.health import AT_ONCE, BOOTING, Patient, boot_pause, problem
from flynn.plugins.host.life.knock import listened
from flynn.plugins.host.life.pulse import Pulse
from flynn.plugins.host.life.registration import Registration
from flynn.plugins.host.life.restart import Ending
from flynn.plugins.host.life.standing import Standing

SETTLED = 0.5
"""Seconds after which a service process that nothing is known to be wrong with counts as up."""

KNOCKED = 0.00025
"""Seconds between two knocks at a port, at least, where one instance alone is waited for: a tenth of a core. The more
there are, the longer: it is they that need the cores."""


async def tend(running: Running, standing: Standing, place: Registration) -> Ending:
    """Bring the process up and keep watch; returns only if it does not come up, or is not well for too long."""
    job, resumed = standing.job, standing.state.state != "starting"
    if pid := await running.pid():
        standing.tell_soon(pid=pid)
    if job.service and job.queue != "services":
        await _listed(standing, place, resumed)
    if job.service or job.check.kind == "command":
        place_of = standing.ground.ctx.node.address, standing.state.port
        patient = Patient(job.check, running, *place_of, apart=job.network == "own")
        if not resumed and (reason := await _bring_up(patient, standing, place)):
            return Ending("boot", reason)
        return Ending("health", await _watch(patient, standing, place))
    if not resumed:
        await asyncio.sleep(SETTLED if job.queue == "services" else 0.0)
        standing.up()
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _listed(standing: Standing, place: Registration, resumed: bool) -> Never:
    """A one-off job is found as long as it lives. Whether it listens on its port is its own business."""
    if not resumed:
        standing.up()
    await place.put(standing.state.port)
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def _bring_up(patient: Patient, standing: Standing, place: Registration) -> str:
    """Wait until it is well, then register it; why it did not come up."""
    steady, boots, port = standing.ground.steady, standing.ground.boots, patient.port
    begun = steady()
    if reason := await _booted(patient, standing):
        return reason
    boots.learn(standing.job, steady() - begun)
    if port:
        await _look_for_socket(standing, place)
    standing.up()
    if port:  # In the same write: that it is up is not seen before where it is found.
        await place.put(port)
    await standing.say(f"up on port {port}" if port else "up")
    return ""


async def _booted(patient: Patient, standing: Standing) -> str:
    """Look often until it is well; why it did not come up."""
    check, boots, wrong = patient.check, standing.ground.boots, ""
    limit = check.start_timeout or standing.ground.config.boot_timeout
    knocks = check.kind in ("", "tcp") and not patient.apart
    steady = standing.ground.steady
    expected, begun = boots.expected(standing.job), steady()

    def until_next(waited: float) -> float:
        unknown, least = boot_pause(check, waited), (KNOCKED if knocks else AT_ONCE) * boots.booting
        return unknown if check.kind == "command" else pause(expected, waited, unknown, least)

    try:
        with counted(boots):
            async with asyncio.timeout(limit):
                if knocks:
                    await listened((patient.address, patient.port), check.timeout, until_next)
                while not knocks and (wrong := await problem(patient)):
                    await asyncio.sleep(until_next(steady() - begun))
    except TimeoutError:
        return _never_up(patient, limit, wrong)
    return ""


def _never_up(patient: Patient, limit: float, wrong: str) -> str:
    if patient.check.kind in ("", "tcp"):
        return f"did not listen on port {patient.port} within {limit:g} s"
    return f"did not come up within {limit:g} s: {wrong or 'its first check did not end'}"


async def _watch(patient: Patient, standing: Standing, place: Registration) -> str:
    """Registered while it is well; returns why it is to be killed. One found unwell before keeps to that."""
    check, clock = patient.check, standing.ground.steady
    pulse = Pulse(well=not standing.state.reason, since=clock())
    if not pulse.well:
        place.remove()
    while True:
        wrong = await problem(patient)
        pulse, before = pulse.after(not wrong, clock()), pulse
        if pulse.well and not wrong:
            await _well(patient, standing, place)
        elif before.well and not pulse.well:
            await _unwell(wrong, standing, place)
        elif pulse.lost(check, clock()):
            return f"{standing.state.reason} for {check.kill_after:g} s, so it is killed"
        await asyncio.sleep(_pause(check, pulse, clock()))


def _pause(check: Check, pulse: Pulse, now: float) -> float:
    """Until the next check; shorter when the job's time ends before."""
    if pulse.well or not check.kill_after:
        return check.interval
    return max(min(check.interval, pulse.since + check.kill_after - now), BOOTING)


async def _well(patient: Patient, standing: Standing, place: Registration) -> None:
    news = bool(standing.state.reason)
    if patient.port and (await _look_for_socket(standing, place) or news or not place.on or not place.port):
        await place.put(patient.port)
    if news:
        await standing.say("is well again")
        standing.set(reason="")


async def _unwell(wrong: str, standing: Standing, place: Registration) -> None:
    place.remove()
    await standing.say(f"{wrong}: unregistered until it is well" if standing.job.service else wrong)
    standing.set(reason=wrong)


async def _look_for_socket(standing: Standing, place: Registration) -> bool:
    """Whether it answers on its UNIX socket since the last look, or no more."""
    if not place.look():
        return False
    await standing.say(f"answers on its UNIX socket {'too' if place.socket else 'no more'}")
    return True
