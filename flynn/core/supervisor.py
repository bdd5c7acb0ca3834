"""Bricks kept alive: started in order, started again after a crash, stopped in reverse."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from flynn.core.brick import Brick, Context
from flynn.core.errors import StartError

log = logging.getLogger(__name__)

READY = 60.0
"""Seconds that a brick may take until it is ready."""

STOP = 45.0
"""Seconds that a brick may take to stop; then it is cut off."""

CRASHES, WINDOW = 5, 60.0
"""This many crashes of one brick within this many seconds take the daemon down; jobs live on."""


@dataclass(eq=False)
class Supervised:
    """One brick, its context, and how it fares. `pause`: half the seconds before its first restart, later doubled."""

    brick: Brick
    ctx: Context
    pause: float = 0.2
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    crashes: list[float] = field(default_factory=list)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.ctx.on_ready = self.ready.set

    async def run(self) -> None:
        """Run the brick until it is told to stop. StartError: it crashes too often, or never was ready."""
        while not self.ctx.stopping.is_set():
            try:
                await self.brick.run(self.ctx)
            except Exception as error:
                cause = _cause(error)
                if isinstance(cause, StartError):
                    raise cause from None
                await self._crashed(error, cause)
            else:
                if not self.ctx.stopping.is_set():
                    cause = RuntimeError("it returned though nobody told it to stop")
                    await self._crashed(cause, cause)

    async def _crashed(self, error: Exception, cause: BaseException) -> None:
        now = time.monotonic()
        self.crashes = [at for at in self.crashes if now - at < WINDOW] + [now]
        self.restarts += 1
        self.ready.clear()
        log.error("the brick %s crashed: %s", self.brick.name, cause, exc_info=error)
        if len(self.crashes) >= CRASHES:
            raise StartError(
                f"the brick {self.brick.name} crashed {CRASHES} times within {WINDOW:g} s, last with: {cause!r}. "
                "Running jobs live on; mend the cause and start the daemon again"
            )
        try:
            async with asyncio.timeout(self.pause * 2 ** len(self.crashes)):
                await self.ctx.stopping.wait()
        except TimeoutError:
            pass


async def run_bricks(
    bricks: Sequence[Supervised],
    up: asyncio.Event,
    stop: asyncio.Event,
    ready_limit: float = READY,
    stop_limit: float = STOP,
) -> None:
    """Start the bricks one after the other, set `up`, and on `stop` stop them in reverse. StartError as it comes."""
    tasks: list[tuple[Supervised, asyncio.Task[None]]] = []
    stopping = asyncio.create_task(stop.wait(), name="wait for stop")
    try:
        for supervised in bricks:
            task = asyncio.create_task(supervised.run(), name=supervised.brick.name)
            tasks.append((supervised, task))
            ready = asyncio.create_task(supervised.ready.wait(), name=f"{supervised.brick.name} ready")
            try:
                await _first(ready_limit, ready, stopping, *(t for _, t in tasks))
                started = ready.done()
            finally:
                ready.cancel()
            if stop.is_set():
                return
            if not started:
                raise StartError(f"the brick {supervised.brick.name} was not ready within {ready_limit:g} s")
        up.set()
        await _first(None, stopping, *(t for _, t in tasks))
    finally:
        stopping.cancel()
        for supervised, task in reversed(tasks):
            await _stop(supervised, task, stop_limit)


async def _first(timeout: float | None, *tasks: asyncio.Task[object]) -> None:
    """Wait for the first of them; raise what it raised."""
    done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _stop(supervised: Supervised, task: asyncio.Task[None], limit: float) -> None:
    supervised.ctx.stopping.set()
    limit = max(limit, supervised.ctx.stop_limit)
    _, late = await asyncio.wait([task], timeout=limit)
    if late:
        log.warning("the brick %s did not stop within %g s and is cut off", supervised.brick.name, limit)
        task.cancel()
        await asyncio.wait([task], timeout=5)
    if task.done() and not task.cancelled() and (error := task.exception()):
        log.error("the brick %s ended with: %s", supervised.brick.name, error)


def _cause(error: BaseException) -> BaseException:
    """What a group of errors is about: its first StartError, or else its first error."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_cause(inner) for inner in error.exceptions]
    return next((cause for cause in causes if isinstance(cause, StartError)), causes[0])
