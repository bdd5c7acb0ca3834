"""Whether a job listens on its port."""

import asyncio
import socket

BOOTING, STEADY = 0.1, 2.0
"""Seconds between two checks: until the first success, and after it."""

TIMEOUT = 2.0
"""Seconds that a check may take."""

FAILURES = 2
"""Failures in a row after which a job counts as not answering."""


async def listens(address: str, port: int) -> bool:
    """Whether a TCP connection is accepted there within TIMEOUT."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(TIMEOUT):
                await loop.sock_connect(probe, (address, port))
        except (OSError, TimeoutError):
            return False
        return bool(probe.getsockname() != probe.getpeername())


async def until_listens(address: str, port: int, timeout: float) -> bool:
    """Check every BOOTING seconds until it listens; False after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not await listens(address, port):
                await asyncio.sleep(BOOTING)
    except TimeoutError:
        return False
    return True
