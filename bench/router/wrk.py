"""One run of wrk, and what it says of it."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.common.binaries import binary
from bench.common.errors import NotMeasured

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
"""Milliseconds."""

LATE = 30.0
"""Seconds that wrk may take longer than it was told."""

LONG = 3600.0
"""Seconds that a run is told that is ended before."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted. Times in ms; `failed`: connections refused, broken or silent, and answers over 399."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int


def parse(text: str) -> Load:
    """What wrk printed, called with --latency. NotMeasured: it is something else."""
    counted = re.search(r"(\d+) requests in ([\d.]+)(\w+),", text)
    median, slow = re.search(r" 50%\s+([\d.]+)(\w+)", text), re.search(r" 99%\s+([\d.]+)(\w+)", text)
    if not counted or not median or not slow:
        raise NotMeasured(f"wrk said: {text.strip()[-500:] or 'nothing'}")
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, broken.groups())) if broken else 0
    return Load(
        requests=int(counted[1]),
        seconds=_ms(counted[2], counted[3]) / 1000,
        p50=_ms(median[1], median[2]),
        p99=_ms(slow[1], slow[2]),
        failed=failed + (int(refused[1]) if refused else 0),
    )


def _ms(value: str, unit: str) -> float:
    return float(value) * UNITS[unit]


def command(port: int, host: str, seconds: float, clients: int, script: str = "") -> list[str]:
    """One thread; `script`: a Lua file that makes the requests, in place of `GET /` of `host`."""
    made = ["-s", script] if script else ["-H", f"Host: {host}"]
    told = ["-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "5s", "--latency"]
    return [binary("wrk"), *told, *made, f"http://127.0.0.1:{port}/"]


@asynccontextmanager
async def running(told: Sequence[str]) -> AsyncIterator[Callable[[], Awaitable[Load]]]:
    """A `command` for the length of a block; what is yielded ends it, and gives what it counted. NotMeasured."""
    async with _process(told) as process:

        async def end() -> Load:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            return await _said(process, 0)

        yield end


async def run(told: Sequence[str], seconds: float) -> Load:
    """A `command` that ends by itself after so long. NotMeasured."""
    async with _process(told) as process:
        return await _said(process, seconds)


@asynccontextmanager
async def _process(told: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*told, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _said(process: asyncio.subprocess.Process, seconds: float) -> Load:
    try:
        out, _ = await asyncio.wait_for(process.communicate(), seconds + LATE)
    except TimeoutError:
        raise NotMeasured(f"wrk is not done after {seconds + LATE:g} s") from None
    return parse(out.decode())
