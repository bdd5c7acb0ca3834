"""What the leader tells Prometheus of the queues."""

from collections.abc import AsyncGenerator

from flynn.core import model
from flynn.core.brick import Context
from flynn.core.exposition import Sample, family, labels
from flynn.core.metrics import Part
from flynn.plugins.controller.queue_limits import Queues
from flynn.plugins.controller.queue_view import QueueInfo, queue_info


def part(ctx: Context, queues: Queues) -> Part:
    """The part of the metrics that is of the queues, while this node leads."""

    async def told() -> AsyncGenerator[bytes, None]:
        facts, now = ctx.mirror.facts, ctx.clock()
        yield text([queue_info(facts, name, queues, now) for name in model.QUEUES], now).encode()

    return told


def text(rows: list[QueueInfo], now: float) -> str:
    def samples(value: str) -> list[Sample]:
        return [Sample(labels(queue=row.name), getattr(row, value)) for row in rows]

    ages = [Sample(labels(queue=row.name), max(now - row.oldest, 0.0) if row.oldest else 0.0) for row in rows]
    return (
        family("flynn_queue_waiting", "gauge", "Jobs that have no host yet.", samples("depth"))
        + family("flynn_queue_oldest_seconds", "gauge", "For how long the oldest of them waits.", ages)
        + family("flynn_queue_starting", "gauge", "Jobs that start.", samples("starting"))
        + family("flynn_queue_running", "gauge", "Jobs that have started and not ended.", samples("running"))
    )
