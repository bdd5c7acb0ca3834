"""The looks of queues. Pure."""

from collections.abc import Sequence

from flynn.cli.words import count, span, table
from flynn.core.records import QueueDetail, QueueInfo


def queues(rows: Sequence[QueueInfo], now: float) -> list[str]:
    """A line a queue, and below why the next job of each waits."""
    head = ("QUEUE", "WAITING", "OLDEST", "STARTING", "RUNNING", "LIMITS")
    lines = table([_queue(row, now) for row in rows], head)
    why = [f"{row.name}: {row.head.id} {_why(row.head.reason)}" for row in rows if row.head]
    return [*lines, *([""] if why else []), *why]


def queue(found: QueueDetail, now: float) -> list[str]:
    """The jobs of one queue."""
    rows = [(one.id, one.app, span(now - one.created), one.reason) for one in found.jobs]
    more = found.depth - len(found.jobs)
    lines = [f"=== {found.name} ({found.depth})", *table(rows, ("JOB", "APP", "WAITS", "WHY"))]
    return [*lines, f"and {count(more, 'more job')}; -n shows them" if more > 0 else ""][: len(lines) + (more > 0)]


def _queue(row: QueueInfo, now: float) -> tuple[object, ...]:
    oldest = span(now - row.oldest) if row.oldest else ""
    return (row.name, row.depth, oldest, row.starting, row.running, limits(row.limits))


def limits(found: dict[str, float]) -> str:
    """Those that hold anything: `20000 wait, 2 start on a host`."""
    words = {"bound": "wait", "starting": "start", "starting_per_host": "start on a host", "running": "run"}
    return ", ".join(f"{found[name]:g} {what}" for name, what in words.items() if found.get(name))


def _why(reason: str) -> str:
    return reason if reason.startswith("is ") else f"waits: {reason}"
