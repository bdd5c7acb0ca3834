"""A deploy, a scale or a delete as it happens: lines of the API in, lines for people out."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

import click
import msgspec

from flynn.cli import show
from flynn.cli.words import clock, paint, printable
from flynn.core.errors import FlynnError, Unavailable
from flynn.core.records import Line, Lines

CUT = "the stream was cut off before its end; what was asked for goes on: 'flynn info' and 'flynn ps' show how it fares"


class Progress:
    """Prints the lines of one stream. `json`: as they came, one a line.

    In a `build`, log lines before the release are the build's output and printed bare.
    """

    def __init__(self, json: bool = False, build: bool = False, indent: str = "") -> None:
        self.json = json
        self.building = build
        self.build = 0
        """The number of the build that is told of."""
        self.indent = indent
        self._shown: set[tuple[Any, ...]] = set()

    async def follow(self, lines: Lines) -> Line:
        """Print all lines; the last one. FlynnError: it says that it failed. Unavailable: it never came."""
        async with aclosing(lines):
            async for line in lines:
                self.build = int(line.get("number") or self.build) if line.get("kind") == "build" else self.build
                if self.json:
                    click.echo(msgspec.json.encode(line).decode())
                else:
                    self._print(line)
                if line.get("kind") == "done":
                    if not line.get("ok"):
                        raise FlynnError(str(line.get("message") or "it failed, and did not say why"))
                    return line
        raise Unavailable(CUT)

    def _print(self, line: Line) -> None:
        printers: dict[str, Callable[[Line], None]] = {
            "log": self._log,
            "job": self._job,
            "release": self._release,
            "deploy": self._deploy,
            "drain": self._drain,
        }
        if printer := printers.get(str(line.get("kind"))):
            printer(line)

    def _log(self, line: Line) -> None:
        if not self.building:
            click.echo(self.indent + show.log_line(line))
            return
        own = self.indent if line.get("stream") == "flynn" else ""
        click.echo(own + printable(str(line.get("line", ""))))

    def _job(self, line: Line) -> None:
        state, reason = line.get("state"), line.get("reason")
        # Jobs that wait for the same thing would all say so: one line is enough.
        seen = (state, reason) if state == "queued" else (line.get("id"), state, reason)
        if seen in self._shown or (self.building and line.get("type") == "build"):
            return
        self._shown.add(seen)
        if state in ("up", "down") or reason:
            click.echo(self.indent + show.event_line(line))

    def _release(self, line: Line) -> None:
        self.building = False
        if self.indent:
            why = f": {printable(str(line['description']))}" if line.get("description") else ""
            click.echo(paint(f"-----> Releasing v{line.get('version')}{why}", "bold"))

    def _deploy(self, line: Line) -> None:
        click.echo(self.indent + printable(str(line.get("reason", ""))))

    def _drain(self, line: Line) -> None:
        left = f" ({line['left']} left)" if line.get("left") else ""
        click.echo(f"{clock(float(line.get('time') or 0))} ==> {printable(str(line.get('message', '')))}{left}")


def spinner(text: str) -> AbstractContextManager[object]:
    """A sign of life on a terminal while something takes its time; nothing in a pipe."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)
