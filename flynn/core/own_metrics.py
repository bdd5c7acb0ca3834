"""What a daemon tells Prometheus of itself: its process, and how late its loop runs."""

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import NamedTuple

import psutil

from flynn.core.exposition import Sample, family, labels
from flynn.core.lag import LoopLag
from flynn.core.metrics import Part


class ProcessSeen(NamedTuple):
    """A process: seconds of CPU, bytes of memory, open files, and when it began, since the epoch."""

    cpu: float
    memory: int
    files: int
    started: float


def own(lag: LoopLag) -> Part:
    """The part of the metrics that is of no brick."""

    async def part() -> AsyncGenerator[bytes, None]:
        yield text(await asyncio.to_thread(_process), lag.snapshot()).encode()

    return part


def text(process: ProcessSeen, lag: dict[str, float]) -> str:
    """`lag`: of the last minute, in milliseconds."""
    late = [Sample(labels(of=name), value / 1000) for name, value in lag.items()]
    return (
        family("process_cpu_seconds_total", "counter", "Seconds of CPU of this daemon.", [Sample("", process.cpu)])
        + family("process_resident_memory_bytes", "gauge", "Memory of this daemon.", [Sample("", process.memory)])
        + family("process_open_fds", "gauge", "Open files of this daemon.", [Sample("", process.files)])
        + family(
            "process_start_time_seconds", "gauge", "When this daemon began, since the epoch.",
            [Sample("", process.started)],
        )
        + family("flynn_loop_lag_seconds", "gauge", "How late the loop ran in the last minute.", late)
    )  # fmt: skip


def _process() -> ProcessSeen:
    """This process. Reads /proc, where a directory of many thousand open files takes its time."""
    me = psutil.Process(os.getpid())
    with me.oneshot():
        used = me.cpu_times()
        return ProcessSeen(used.user + used.system, me.memory_info().rss, me.num_fds(), me.create_time())
