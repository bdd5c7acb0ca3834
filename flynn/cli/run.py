"""run: a one-off job with its standard streams here, or by itself."""

import asyncio
import contextlib
import math
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from flynn.cli.config import pair
from flynn.cli.limits import number as limit_of
from flynn.cli.options import app_option, pass_session
from flynn.cli.releases import version
from flynn.cli.session import Session
from flynn.cli.terminal import HEARTBEAT, own_kind, own_size, raw_terminal, terminal_option
from flynn.core.errors import Unavailable

if TYPE_CHECKING:
    from flynn.client import Client
    from flynn.client.attach import Attached, Exit, Output

CHUNK = 64 * 1024

OWN_END = re.compile(r"exited with code|killed by signal")
"""How a reason begins that says nothing which the exit code does not say."""

BACKLOG = 1024
"""Pieces of output, 64 KiB at most as hosts send them, that are kept for a slow reader."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="CMD...", type=click.UNPROCESSED)
@click.option("-e", "--env", "pairs", multiple=True, metavar="K=V", help="A variable for this run alone.")
@click.option("-v", "--volume", "mounts", multiple=True, metavar="NAME:/PATH", help="Mount it; with :ro to read.")
@click.option("-m", "--meta", "notes", multiple=True, metavar="K=V", help="A note that 'flynn ps --json' shows.")
@click.option("-r", "--release", metavar="vN", help="Not in the release that serves, but in this one, with its config.")
@click.option("-s", "--size", "sizes", multiple=True, metavar="MEMORY|LIMIT=N", help="Limits: 2G, memory=2G, cpu=0.5.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop it after so long.")
@click.option("-d", "--detach", is_flag=True, help="Only start it and print its job; its output goes to the log.")
@click.option("--no-log", is_flag=True, help="Keep nothing that it prints in the app's log: for dumps and secrets.")
@terminal_option
@app_option
@pass_session
def run(session: Session, /, words: Sequence[str], detach: bool, terminal: bool, release: str, **own: Any) -> None:
    """Run a command in the app's current release: its input, output, errors and exit code are this command's own.

    A single word may be a whole shell line: flynn run 'cd data && ls | wc -l'.
    """
    if detach and terminal:
        raise click.UsageError("--detach leaves no terminal to be had; leave away -t")
    if detach and own["no_log"]:
        raise click.UsageError("--detach leaves only the log to read; leave away --no-log")
    app, wanted = session.app(), _wanted(words, release=version(release) if release else 0, **own)
    if detach:
        id = session.ask(lambda client: client.run(app, **wanted, detach=True))
        session.show({"id": id}, lambda answer: [answer["id"]])
        return
    code = session.ask(lambda client: attached_run(client, app, wanted, terminal))
    raise click.exceptions.Exit(code)


def _wanted(
    words: Sequence[str],
    pairs: Sequence[str],
    notes: Sequence[str],
    mounts: Sequence[str],
    sizes: Sequence[str],
    timeout: float | None,
    release: int,
    no_log: bool,
) -> dict[str, Any]:
    """What `Client.run` is told."""
    if timeout is not None and not math.isfinite(timeout):
        raise click.UsageError(f"--timeout is a number of seconds, not {timeout}")
    limits = dict(limit_of(text if "=" in text else f"memory={text}") for text in sizes)
    env = dict(pair(text, "variable") for text in pairs)
    return {
        "command": shell_line(words), "env": env, "mounts": mounts, "release": release, "limits": limits,
        "time_limit": timeout or 0.0, "meta": dict(pair(text, "note") for text in notes),
        "log": not no_log,
    }  # fmt: skip


def shell_line(words: Sequence[str]) -> str:
    """The words as they were typed, for `sh -c`; a single one that is more than a word is a shell line already."""
    if len(words) == 1 and words[0].strip() and shlex.quote(words[0]) != words[0]:
        return words[0]
    # exec: no shell stays in between, whose own end by Ctrl-C would hide the command's exit code.
    return f"exec {shlex.join(words)}"


async def attached_run(client: "Client", app: str, wanted: dict[str, Any], terminal: bool = False) -> int:
    """Run to the end; the exit code. Unavailable: it never ran, or the connection broke."""
    size = own_size() if terminal else None
    env = (own_kind() if terminal else {}) | wanted["env"]
    job = await client.run(app, **(wanted | {"env": env}), terminal=size)
    async with client.attach(job, HEARTBEAT if terminal else None) as attached:
        return await converse(attached, terminal)


async def converse(attached: "Attached", terminal: bool = False) -> int:
    """Our standard streams are the process's until it ends; its exit code. Unavailable: as above."""
    end = await _converse(attached, terminal)
    if end.exit_code is None:
        raise Unavailable(f"the command did not run: {end.reason or 'its host did not say why'}")
    if end.reason and end.exit_code and (sys.stderr.isatty() or not OWN_END.match(end.reason)):
        click.echo(f"flynn: {end.reason}", err=True)
    return end.exit_code


async def _converse(attached: "Attached", terminal: bool) -> "Exit":
    with signals_sent(attached), raw_terminal(attached) if terminal else contextlib.nullcontext():
        feeding = asyncio.create_task(feed(attached), name="standard input")
        try:
            return await drain(attached)
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])


async def drain(attached: "Attached") -> "Exit":
    """Pass on what the process writes, unbuffered, to the descriptor it wrote it to; how it ended.

    Up to BACKLOG pieces wait for a slow reader of ours: the connection's pings must be answered meanwhile.
    """
    from flynn.client.attach import Exit

    events: asyncio.Queue[Output | Exit | Exception] = asyncio.Queue(BACKLOG)

    async def read() -> None:
        try:
            async for event in attached.output():
                await events.put(event)
        except Exception as error:
            await events.put(error)

    reading = asyncio.create_task(read(), name="output of the job")
    try:
        while not isinstance(event := await events.get(), Exit):
            if isinstance(event, Exception):
                raise event
            await asyncio.to_thread(write_all, 2 if event.fd == 2 else 1, event.data)
        return event
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def write_all(fd: int, data: bytes) -> None:
    """Write all of it; BrokenPipeError: nobody reads it."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # a terminal that another process made non-blocking
            os.set_blocking(fd, True)


async def feed(attached: "Attached") -> None:
    """Send standard input to the process, as it comes, and then its end."""
    try:
        async for data in stdin():
            await attached.send(data)
        await attached.end_input()
    except ConnectionError:
        return  # the process ended first: the other direction tells how


async def stdin() -> AsyncIterator[bytes]:
    """Standard input piece by piece, whatever it is: pipe, file, device or terminal.

    A thread reads it, since epoll knows no files; a daemon thread, since nothing can wake it from a read.
    """
    loop, pieces = asyncio.get_running_loop(), asyncio.Queue[bytes](4)

    def read() -> None:
        with contextlib.suppress(RuntimeError, asyncio.CancelledError):  # the loop is gone, and so is who asked
            while True:
                try:
                    data = os.read(0, CHUNK)
                except OSError:  # closed, or a terminal in the background
                    data = b""
                asyncio.run_coroutine_threadsafe(pieces.put(data), loop).result()
                if not data:
                    return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while data := await pieces.get():
        yield data


@contextlib.contextmanager
def signals_sent(attached: "Attached") -> Iterator[None]:
    """Ctrl-C and SIGTERM are the process's, not ours, for the length of a block."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def send(number: int) -> None:
        task = asyncio.create_task(_send(attached, number), name=f"signal {number}")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, send, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _send(attached: "Attached", number: int) -> None:
    with contextlib.suppress(ConnectionError):
        await attached.signal(number)
