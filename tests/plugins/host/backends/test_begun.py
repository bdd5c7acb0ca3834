"""A process says that it has come to its own program; and goes on if nobody listens any more."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from flynn.plugins.host.backends.begun import BEGUN, Begun


@pytest.fixture
def ends() -> Iterator[tuple[int, socket.socket]]:
    """The near one, and the far one for a process."""
    near, far = socket.socketpair()
    with far:
        yield near.detach(), far


async def test_it_is_heard_while_the_process_goes_on(ends: tuple[int, socket.socket]) -> None:
    near, far = ends
    begun = Begun(near)
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", BEGUN + "cat; exec sleep 60", stdin=far.fileno())
    async with asyncio.timeout(10):
        await asyncio.gather(begun.wait(), begun.wait())
    assert process.returncode is None
    process.kill()
    await process.wait()


async def test_a_process_that_never_says_so_is_not_waited_for(ends: tuple[int, socket.socket]) -> None:
    near, far = ends
    begun = Begun(near)
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 3", stdin=far.fileno())
    far.close()
    async with asyncio.timeout(10):
        await begun.wait()
    assert await process.wait() == 3


def test_nobody_need_listen(ends: tuple[int, socket.socket]) -> None:
    near, far = ends
    os.close(near)
    script = f"{BEGUN} sh -c 'kill -PIPE $$'; echo $?; cat"
    done = subprocess.run(["/bin/sh", "-c", script], stdin=far.fileno(), capture_output=True, timeout=10, check=True)
    assert (done.stdout, done.stderr) == (b"141\n", b"")
