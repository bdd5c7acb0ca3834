"""Hearing at once of what concerns this host, and of nothing else that happens in the grid."""

import asyncio
import operator
from collections.abc import Callable
from typing import Never

from flynn.core.facts import Facts
from flynn.core.mirror import Mirror


async def follow(mirror: Mirror, host: str, act: Callable[[Facts], None]) -> Never:
    """Call `act` with the photo of now, and with each later one that concerns the host; what it raises ends this."""
    failed: asyncio.Future[Never] = asyncio.get_running_loop().create_future()
    seen: list[object] = []

    def look(facts: Facts) -> None:
        found = concern(facts, host)
        if seen and all(map(operator.is_, seen, found)):
            return
        seen[:] = found
        try:
            act(facts)
        except Exception as error:
            if not failed.done():
                failed.set_exception(error)

    with mirror.listening(look):
        look(mirror.facts)
        await failed
    raise AssertionError("it ends with what was raised")


def concern(facts: Facts, host: str) -> list[object]:
    """What is the same in two photos if nothing that the host acts on has changed."""
    return [facts.jobs_by_host.get(host), facts.volumes, facts.stored]
