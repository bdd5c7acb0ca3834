"""Several things at once, of which the first that ends counts; and things that are ended once begun."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


async def race(*runners: Coroutine[Any, Any, T]) -> T:
    """The result of the first to end (of several at once: the first named); the others are cancelled.

    An error of one ends all, and is raised as it is.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(runner, name=_name(runner)) for runner in runners]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            first = next(task for task in running if task.done())
            for task in running:
                task.cancel()
        return first.result()
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def whole(runner: Coroutine[Any, Any, T]) -> T:
    """The result of something short that shall not be left half done: a cancellation waits until it has ended."""
    task = asyncio.create_task(runner, name=_name(runner))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def begun(tasks: asyncio.TaskGroup, runner: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
    """A task of a group. CancelledError: the group is ending, and so is whoever asks, though he may not know yet."""
    try:
        return tasks.create_task(runner, name=name)
    except RuntimeError:
        runner.close()
        raise asyncio.CancelledError(name) from None


async def in_thread(threads: Executor, work: Callable[..., T], *args: object) -> T:
    """What `work` returns, done in one of `threads`. A cancellation waits until it has ended."""

    async def done() -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, work, *args)

    return await whole(done())


def _name(runner: Coroutine[Any, Any, Any]) -> str:
    return str(getattr(runner, "__qualname__", runner))
