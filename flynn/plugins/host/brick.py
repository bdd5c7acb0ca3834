"""The host agent: runs the jobs that are assigned to this machine, and tells what becomes of them.

A daemon that stops or is killed leaves the jobs running; the next one finds them again.
"""

import asyncio
import logging

from flynn.core.brick import Context
from flynn.core.errors import StartError
from flynn.core.room import MIB
from flynn.plugins.host import layers, tags
from flynn.plugins.host.agent import Agent
from flynn.plugins.host.backends.backend import Ahead, Backend
from flynn.plugins.host.backends.choice import choose
from flynn.plugins.host.backends.identity import boot_id
from flynn.plugins.host.config import HostConfig
from flynn.plugins.host.disk.first import until_room
from flynn.plugins.host.docker.docker import DockerBackend
from flynn.plugins.host.docker.images import IMAGE
from flynn.plugins.host.docker.networks import pool_of
from flynn.plugins.host.life import kept
from flynn.plugins.host.life.kept import Kept
from flynn.plugins.host.ports import Ports
from flynn.plugins.host.race import race
from flynn.plugins.host.sandbox import network
from flynn.plugins.host.sockets import Sockets
from flynn.plugins.host.volumes import disk, permit


class HostAgent:
    """The brick. Building it is free."""

    name = "host"
    Config = HostConfig

    def __init__(self, config: HostConfig) -> None:
        self.config = config

    async def run(self, ctx: Context) -> None:
        """Run jobs until told to stop; then leave them running. StartError: no backend, or something in the
        settings is no good."""
        ports = Ports(self.config.ports)
        permit.checked(self.config.mounts, ctx.node.data)
        tags.parse(self.config.tags)
        network.checked(self.config.refused)
        pool = pool_of(self.config.app_networks)
        if not await until_room(ctx, max(self.config.log_size, 1) * MIB):
            return
        backends = found_backends(ctx)
        for backend in backends.values():
            if isinstance(backend, DockerBackend):
                backend.nets.pool = pool
        try:
            choice = await choose(backends, self.config.backend)
        except OSError as error:
            raise _unusable(ctx, error) from None
        level = logging.WARNING if choice.backend.name == "process" else logging.INFO
        ctx.log.log(level, "jobs run in the backend %s: %s", choice.backend.name, choice.why)
        if choice.backend.lacks:
            ctx.log.warning("on %s: %s", ctx.host, choice.backend.lacks)
        found, sockets = await asyncio.to_thread(_prepare, ctx)
        agent = Agent(ctx, self.config, choice, backends, ports, sockets)
        with agent.left:
            if isinstance(choice.backend, Ahead):
                agent.left.enter_context(choice.backend.ahead(lambda: agent.ground.turns.starting > 0))
            await race(agent.work(found), _stopping(ctx, agent))


async def _stopping(ctx: Context, agent: Agent) -> None:
    await ctx.stopping.wait()
    if not ctx.estate.handing:
        await agent.leave()


def found_backends(ctx: Context) -> dict[str, Backend]:
    """The backends of all plugins by name."""
    found: dict[str, Backend] = {}
    for offered in reversed(ctx.hooks.hook.flynn_backends()):
        found |= {name: kind(ctx.data) for name, kind in offered.items()}
    return found


def _prepare(ctx: Context) -> tuple[list[Kept], Sockets]:
    """Make the agent's directories; the jobs that are there, and where their sockets are. All for this user alone."""
    try:
        layers.prepare(ctx.data / "layers", boot_id())
        for left in (ctx.data / "docker").glob(f"*{IMAGE}*"):  # A daemon was killed while it loaded them.
            left.unlink(missing_ok=True)
        for name in ("jobs", "cache"):
            (ctx.data / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        found = kept.load(ctx.data / "jobs")
        sockets = Sockets.below(ctx.data)
        sockets.tidy(one.job.id for one in found)
        alive = {one.job.id for one in found if one.state.state != "down"}
        disk.tidy(ctx.data / "volumes", ctx.data / "scratch", alive)
        return found, sockets
    except OSError as error:
        raise _unusable(ctx, error) from None


def _unusable(ctx: Context, error: OSError) -> StartError:
    return StartError(f"the host agent cannot use {error.filename or ctx.data}: {error.strerror}; mend it, start again")
