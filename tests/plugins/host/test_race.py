"""Several things at once, and what ends with them."""

import asyncio

import pytest

from flynn.plugins.host.race import begun


async def test_nothing_begins_in_a_group_that_is_ending() -> None:
    """Who asks for it there ends too: what it is about goes on with the next daemon."""
    asked = asyncio.Event()

    async def ends_late(tasks: asyncio.TaskGroup) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(asyncio.CancelledError, match="late"):
                begun(tasks, asyncio.sleep(0), "late")
            asked.set()

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            await begun(tasks, asyncio.sleep(0), "in time")
            begun(tasks, ends_late(tasks), "ends late")
            await asyncio.sleep(0)
            raise ValueError

    with pytest.raises(ExceptionGroup):
        await group()
    assert asked.is_set()
