"""The terminal we run in, lent to a process on another machine."""

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flynn.core.errors import Invalid

if TYPE_CHECKING:
    from flynn.client.attach import Attached

F = TypeVar("F", bound=Callable[..., Any])

HEARTBEAT = 15.0
"""Seconds between two signs of life; without, a terminal would hang in raw mode when the network has gone."""


def terminal_option(verb: F) -> F:
    """-t"""
    return click.option("-t", "--terminal", is_flag=True, help="Give it a terminal: this one.")(verb)


def own_size() -> tuple[int, int]:
    """Rows and columns. Invalid: standard input is no terminal."""
    try:
        columns, rows = os.get_terminal_size(0)
    except OSError:
        raise Invalid("-t needs a terminal, and standard input is none; leave it away in scripts and pipes") from None
    return rows, columns


def own_kind() -> dict[str, str]:
    """The variable that tells programs what the terminal understands."""
    return {"TERM": os.environ.get("TERM") or "xterm"}


@contextlib.contextmanager
def raw_terminal(attached: "Attached") -> Iterator[None]:
    """Each key goes to the process, also Ctrl-C, and each change of size. It is as before after the block."""
    before = termios.tcgetattr(0)
    with _sizes_sent(attached):
        try:
            tty.setraw(0, termios.TCSANOW)
            yield
        finally:
            # Not TCSADRAIN: that waits without end for a terminal whose output is held.
            termios.tcsetattr(0, termios.TCSANOW, before)


@contextlib.contextmanager
def _sizes_sent(attached: "Attached") -> Iterator[None]:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def send() -> None:
        task = asyncio.create_task(_send(attached), name="size of the terminal")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGWINCH, send)
    send()  # It may have changed since it was asked for.
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


async def _send(attached: "Attached") -> None:
    with contextlib.suppress(ConnectionError, Invalid):
        await attached.resize(own_size())
