"""Whether containers can have networks of their own here, tried with one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from flynn.core.errors import FlynnError
from flynn.plugins.host.backends.backend import Spec
from flynn.plugins.host.docker.container import RunningContainer
from flynn.plugins.host.docker.engine import WORK, engine
from flynn.plugins.host.docker.networks import Networks
from flynn.plugins.host.docker.walls import programs
from flynn.plugins.host.trees import remove_tree

LIMIT = 30.0
"""Seconds that the trial may take."""

Start = Callable[[Spec], Awaitable[RunningContainer]]


async def lacking(networks: Networks, dir: Path, start: Start) -> str:
    """Why no job can have one, and the remedy; empty: it can. What was tried is gone, and `dir`, which is made."""
    spec = Spec("probe", "exec sleep 60", {}, {"app": dir / "tree"}, dir, network="own")
    try:
        programs()
        async with asyncio.timeout(LIMIT):
            async with engine(WORK) as client, networks.given(client, spec.app, ()) as name:
                return await networks.unseen(client, name) or await _tried(spec, start)
    except TimeoutError:
        return f"a trial of it did not end within {LIMIT:g} s"
    except (FlynnError, OSError) as error:
        return str(error)
    finally:
        await networks.leave(networks.name_of(spec.app))
        await asyncio.to_thread(remove_tree, dir)


async def _tried(spec: Spec, start: Start) -> str:
    """Whether somebody listens in a container is read from its processes (`health.py`), so they must be seen."""
    await asyncio.to_thread((spec.dir / "tree").mkdir, parents=True, exist_ok=True)
    running = await start(spec)
    try:
        sees = running.made is not None and running.made.local
        return "" if sees else "this daemon does not see the processes of containers; run it with --pid=host"
    finally:
        await running.kill()
        await running.cleanup()
