"""All that a node needs to take pushes, opened and closed in one place."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flynn.core.disk import room
from flynn.core.room import share
from flynn.plugins.builder.git import repository_api
from flynn.plugins.builder.git.api import GitApi, Limits
from flynn.plugins.builder.git.building import Begin, Supply, end_orphans
from flynn.plugins.builder.git.endpoint import NAME, domain, keep_route
from flynn.plugins.builder.git.packs import Packs
from flynn.plugins.builder.git.program import find
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.git.repositories import Repositories

if TYPE_CHECKING:
    from flynn.core.brick import Context


@asynccontextmanager
async def taking_pushes(
    ctx: "Context", supply: Supply, begin: Begin, limits: Limits, space: int
) -> AsyncIterator[None]:
    """Answer git for the length of a block, at whose end pushes under way break off. Where there is no git, the answers
    say so. `space`: bytes that repositories may have on this node's disk between pushes."""
    root = ctx.data / "git"
    home, scratch, pending = root / "home", root / "scratch", root / "pending"
    await asyncio.to_thread(_ready, scratch, home, pending)
    git = await asyncio.to_thread(find, home)
    if git.problem:
        ctx.log.warning("%s", git.problem)
    reserve = share(0, 512, 20, room(root).size)
    repositories = Repositories(ctx, root, space, limits.size, reserve)
    await asyncio.to_thread(repositories.prepare)
    packs = Packs(ctx, pending)
    async with asyncio.TaskGroup() as tasks:
        api = GitApi(Means(ctx, git, repositories, packs, supply, begin, scratch, reserve), limits, tasks)
        always = [
            tasks.create_task(packs.collect(), name="packs on the shelf"),
            tasks.create_task(keep_route(ctx), name="route of git"),
        ]
        try:
            await end_orphans(ctx)
            async with AsyncExitStack() as stack:
                stack.enter_context(ctx.web.serving(*api.routes(), front=domain(ctx.domain)))
                stack.enter_context(ctx.web.serving(*repository_api.routes(ctx)))
                if not git.problem:
                    await stack.enter_async_context(ctx.registered(NAME))
                yield
        finally:
            api.leave()
            for task in always:
                task.cancel()


def _ready(scratch: Path, *folders: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in (scratch, *folders):
        folder.mkdir(parents=True, exist_ok=True)
