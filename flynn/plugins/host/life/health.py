"""Whether a job is well, found out in one of three ways: its port, an HTTP request, a command run beside it."""

import asyncio
import errno
import os
import socket
from dataclasses import dataclass

import aiohttp
from yarl import URL

from flynn.core.model import Check
from flynn.plugins.host.backends.backend import NotStarted, Running
from flynn.plugins.host.backends.proc import listening
from flynn.plugins.host.lacking import is_lack

BOOTING = 0.1
"""Seconds between two checks until the first success, at most."""

AT_ONCE = 0.002
"""Seconds between the first two, where a check costs little."""

FAILURES = 2
"""Failures in a row after which a job's UNIX socket counts as not answering."""

MATCHED = 5120
"""Bytes of an answer's body in which the text that is looked for must be."""

SHOWN = 60
"""Characters of a path that are shown."""


@dataclass(frozen=True)
class Patient:
    """A job to check: its process, and where it shall listen (port 0: nowhere). `apart`: in a network of its own."""

    check: Check
    running: Running
    address: str
    port: int
    apart: bool = False


def boot_pause(check: Check, waited: float) -> float:
    """Seconds until the next check of a job that has been waited for so long: what is quick shall not seem slow."""
    return BOOTING if check.kind == "command" else min(max(waited / 50, AT_ONCE), BOOTING)


async def problem(patient: Patient) -> str:
    """What is wrong with the job now, in words; empty: it is well. Takes the check's timeout at most.

    OSError: it is this daemon that lacks something (`lacking.py`).
    """
    match patient.check.kind:
        case "http":
            return await _asked(patient)
        case "command":
            return await _commanded(patient)
        case _:
            return "" if await _listens(patient) else f"does not answer on port {patient.port}"


async def _listens(patient: Patient) -> bool:
    """What stands before a network of a job's own takes every connection, hence is no word on the job."""
    if patient.apart:
        return listening(await patient.running.pid(), patient.port)
    return await listens(patient.address, patient.port, patient.check.timeout)


async def listens(address: str, port: int, timeout: float) -> bool:
    """Whether a TCP connection is accepted there within `timeout` seconds."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            if not _connected(probe, (address, port)):
                async with asyncio.timeout(timeout):
                    await loop.sock_connect(probe, (address, port))
        except (OSError, TimeoutError) as error:
            if is_lack(error):
                raise
            return False
        return bool(probe.getsockname() != probe.getpeername())


def _connected(probe: socket.socket, place: tuple[str, int]) -> bool:
    """Begin to connect; whether that is done. On this machine the kernel has the answer at once, and gives it when it
    is asked again: that spares the loop and a timer. OSError: it cannot be."""
    for _ in range(2):
        if (error := probe.connect_ex(place)) not in (0, errno.EINPROGRESS, errno.EALREADY):
            raise OSError(error, os.strerror(error))
        if not error:
            return True
    return False


async def _asked(patient: Patient) -> str:
    """By a GET. The job is not trusted: it is told no secret, and no more of its answer is read than is needed."""
    check, port = patient.check, patient.port
    address = f"[{patient.address}]" if ":" in patient.address else patient.address
    what = f"GET {check.path[:SHOWN]} on port {port}"
    headers = {"Host": check.host or f"{address}:{port}", "User-Agent": "flynn-health", "Connection": "close"}
    url = URL(f"http://{address}:{port}{check.path}", encoded=True)
    limit = aiohttp.ClientTimeout(total=check.timeout)
    try:
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Accept-Encoding"], auto_decompress=False) as http,
            http.get(url, headers=headers, allow_redirects=False, timeout=limit) as answer,
        ):
            if answer.status != check.status:
                return f"{what} was answered with {answer.status}, not {check.status}"
            if check.match and check.match.encode() not in await _beginning(answer):
                return f"{what} was answered without {check.match[:SHOWN]!r}"
    except TimeoutError:
        return f"{what} was not answered within {check.timeout:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if is_lack(error):
            raise
        return f"{what} was not answered"
    return ""


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    while len(found) < MATCHED and (piece := await answer.content.read(MATCHED - len(found))):
        found += piece
    return found


async def _commanded(patient: Patient) -> str:
    try:
        async with asyncio.timeout(patient.check.timeout):
            code = await patient.running.exec(patient.check.command)
    except TimeoutError:
        return f"its check did not end within {patient.check.timeout:g} s"
    except NotStarted as error:
        return f"its check could not be run: {error}"
    return f"its check ended with code {code}" if code else ""
