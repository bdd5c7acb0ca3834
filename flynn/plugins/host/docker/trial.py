"""Whether containers can have networks of their own here, tried with one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from flynn.core.errors import FlynnError
from flynn.plugins.host.backends.backend import Spec
from flynn.plugins.host.docker.container import RunningContainer
from flynn.plugins.host.docker.engine import WORK, engine
from flynn.plugins.host.docker.networks import Networks
from flynn.plugins.host.docker.walls import Unwalled, programs
from flynn.plugins.host.trees import remove_tree

LIMIT = 30.0
"""Seconds that the trial may take."""


class Lack(NamedTuple):
    """Why no job can have one, and the remedy ("": it can). `passing`: another trial may end otherwise."""

    why: str = ""
    passing: bool = False


AWAY = Lack("the Docker Engine was away when that was to be tried; start it", True)

Start = Callable[[Spec], Awaitable[RunningContainer]]


async def lacking(networks: Networks, dir: Path, start: Start) -> Lack:
    """What a trial shows. What was tried is gone, and `dir`, which is made."""
    spec = Spec("probe", "exec sleep 60", {}, {"app": dir / "tree"}, dir, network="own")
    spec = replace(spec, refused=await asyncio.to_thread(networks.known))  # Jobs of before may run behind these walls.
    try:
        programs()
    except Unwalled as error:
        return Lack(str(error))
    try:
        async with asyncio.timeout(LIMIT):
            async with engine(WORK) as client, networks.given(client, spec.app, spec.refused) as name:
                return Lack(await networks.unseen(client, name) or await _tried(spec, start))
    except TimeoutError:
        return Lack(f"a trial of it did not end within {LIMIT:g} s", True)
    except (FlynnError, OSError) as error:
        return Lack(str(error), True)
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
