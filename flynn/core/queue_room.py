"""A queue takes so many jobs and no more. Pure.

They are counted on the photo of the node that is asked: jobs that other nodes queue in the same moment are not in it,
so a queue may come to have a few more than its bound, as many as are being queued at once.
"""

from flynn.core import model
from flynn.core.errors import QueueFull
from flynn.core.facts import Facts

RETRY_AFTER = 5
"""Seconds after which it is worth while to ask again."""


def depth(facts: Facts, queue: model.Queue) -> int:
    """How many jobs wait in a queue."""
    return sum(
        len(waiting) for line, waiting in facts.groups.get("queues/app", {}).items() if line.endswith(f"/{queue}")
    )


def check_room(facts: Facts, queue: model.Queue, bound: int) -> None:
    """QueueFull: it has as many as it takes (`bound`; 0: any number)."""
    if bound and (waiting := depth(facts, queue)) >= bound:
        raise QueueFull(
            f"the queue {queue} is full: {waiting} wait, and it takes {bound}; try again in a moment, or cancel "
            f"some of them (`flynn queue {queue}` lists them)",
            queue=queue,
            bound=bound,
            retry_after=RETRY_AFTER,
        )
