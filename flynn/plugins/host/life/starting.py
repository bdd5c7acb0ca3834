"""What comes before a job's process runs: its client there, its turn come, its layers fetched; then it is set going."""

import asyncio
import os

from flynn.core.disk import NO_ROOM
from flynn.core.errors import Full
from flynn.plugins.host.backends.backend import Backend, NotStarted, Running
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.choice import IMAGES
from flynn.plugins.host.docker.build_network import BuildNetwork
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.docker.image_build import ImageBuild
from flynn.plugins.host.life.environ import check
from flynn.plugins.host.life.spec import others, spec_of
from flynn.plugins.host.life.standing import Standing
from flynn.plugins.host.turns import Who

ATTACH = 60.0
"""Seconds that a job waits for its client."""


async def start(standing: Standing, attached: asyncio.Event) -> Running:
    """Fetch what the job needs, and set its process going. `attached`: its client is there, if it needs one.

    FlynnError: why it cannot be started.
    """
    try:
        return await _start(standing, attached)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise Full(f"the disk of {standing.state.host} cannot take the job: {error.strerror}") from None


async def _start(standing: Standing, attached: asyncio.Event) -> Running:
    ground, job = standing.ground, standing.job
    if standing.state.state != "starting":
        standing.set(state="starting")
    check(job)
    if job.attached:
        await _wait_for_client(standing, attached)
    binds = (*await _data(standing), *await _engine(standing))
    await _wait_for_turn(standing)
    if ground.disk.full and not standing.state.restarts:
        raise Full(f"{standing.state.host} takes no new job: {ground.disk.full}")
    backend = ground.backend_of(job)
    image = await _image(standing, backend)
    layers = {name: await ground.layers.get(sha256) for name, sha256 in job.layers.items()}
    under = tuple([await ground.layers.get(sha256) for sha256 in job.under])
    if job.service:
        standing.tell_soon(port=ground.ports.take())
    spec = spec_of(ground, job, standing.state.port, layers, image, binds, standing.cache, under)
    running = await backend.start(spec, lambda process: standing.commit(process, backend.name))
    if running.stdin >= 0:
        os.set_blocking(running.stdin, False)
    if not job.service:
        standing.started()
    return running


def found(standing: Standing) -> Running | None:
    """The process that was written down, by an earlier daemon or in a start that was broken off."""
    process, backends = standing.kept.process, standing.ground.backends
    if process is None or standing.kept.backend not in backends:
        return None
    return backends[standing.kept.backend].adopt(standing.dir, process)


async def _image(standing: Standing, backend: Backend) -> str:
    """What the engine calls the image that the job is, or runs on; empty: there is none."""
    ground = standing.ground
    if standing.job.image:
        return await ground.images.get(standing.job, standing.say)
    stack = ground.config.stack if backend.name == IMAGES else ""
    return await ground.images.stack(stack, standing.say) if stack else ""


async def _wait_for_client(standing: Standing, attached: asyncio.Event) -> None:
    standing.tell(reason="waits to be attached")
    try:
        async with asyncio.timeout(ATTACH):
            await attached.wait()
    except TimeoutError:
        raise NotStarted(f"nobody attached within {ATTACH:g} s") from None
    standing.tell(reason="")


async def _data(standing: Standing) -> tuple[Bind, ...]:
    """What it is given of data, once nobody else writes to it."""
    before = standing.state.reason
    return await standing.ground.volumes.binds(standing.job, lambda why: standing.set(reason=why or before))


async def _engine(standing: Standing) -> tuple[Bind, ...]:
    """The way of a build to the engine, if it is to have one."""
    ground, job = standing.ground, standing.job
    if not job.dockerfile:
        return ()
    if not isinstance(ground.choice.images, DockerBackend):
        raise NotStarted("this host builds no Dockerfiles: no Docker Engine works with flynn here")
    network = BuildNetwork(ground.choice.images, ground.config.image_network, others(ground))
    build = ImageBuild(job, standing.dir, ground.images, network)
    ground.image_builds[job.id] = build
    return (await build.open(),)


async def _wait_for_turn(standing: Standing) -> None:
    turns, before = standing.ground.turns, standing.state.reason
    who = Who(standing.job.app, standing.job.queue)
    if not turns.free(who):
        standing.tell(reason=f"waits: {turns.starting} {'jobs are' if turns.starting != 1 else 'job is'} starting")
    standing.turn = await turns.take(who)
    if standing.state.reason != before:
        standing.tell(reason=before)
