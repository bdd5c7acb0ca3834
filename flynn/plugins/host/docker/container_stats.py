"""What the engine counts of a container, where this machine's kernel does not (Docker Engine API, "ContainerStats")."""

from typing import Any

import msgspec

from flynn.core.errors import FlynnError
from flynn.plugins.host.docker.engine import engine
from flynn.plugins.host.usage.reading import Reading

LIMIT = 3.0
"""Seconds for one answer: whoever asked waits for it."""


class _Cpu(msgspec.Struct):
    total_usage: int | None = None


class _CpuStats(msgspec.Struct):
    cpu_usage: _Cpu = msgspec.field(default_factory=_Cpu)


class _Memory(msgspec.Struct):
    usage: int | None = None
    stats: dict[str, int] = {}


class _Moved(msgspec.Struct):
    op: str = ""
    value: int = 0


class _Blocks(msgspec.Struct):
    io_service_bytes_recursive: list[_Moved] | None = None


class _Stats(msgspec.Struct):
    """The few of its numbers that we take."""

    cpu_stats: _CpuStats = msgspec.field(default_factory=_CpuStats)
    memory_stats: _Memory = msgspec.field(default_factory=_Memory)
    blkio_stats: _Blocks = msgspec.field(default_factory=_Blocks)


async def told_by_engine(id: str) -> Reading:
    """Of the container of this id. Nothing is known if the engine does not answer."""
    try:
        async with engine(LIMIT) as client:
            told = await client._query_json(f"containers/{id}/stats", params={"stream": "false", "one-shot": "true"})
    except FlynnError:
        return Reading()
    return reading(told)


def reading(told: Any) -> Reading:
    """What the engine's answer says."""
    try:
        stats = msgspec.convert(told, _Stats)
    except msgspec.ValidationError:
        return Reading()
    cpu, memory = stats.cpu_stats.cpu_usage.total_usage, stats.memory_stats.usage
    dropped = stats.memory_stats.stats.get("total_inactive_file", stats.memory_stats.stats.get("inactive_file", 0))
    moved = stats.blkio_stats.io_service_bytes_recursive
    read, written = (
        None if moved is None else sum(one.value for one in moved if one.op.lower() == op) for op in ("read", "write")
    )
    return Reading(
        cpu=None if cpu is None else cpu / 1e9,
        memory=None if memory is None else max(memory - dropped, 0),
        limited=memory is not None,
        read=read,
        written=written,
    )
