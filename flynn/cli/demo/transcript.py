"""What the demo prints: a title, what is typed, what it answers, and how long each step took."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from flynn.cli.words import paint
from flynn.core.errors import FlynnError


class NotSo(FlynnError):
    """A step did not come out as promised; the text says what was seen instead."""


def check(holds: object, seen: str) -> None:
    """NotSo unless it holds."""
    if not holds:
        raise NotSo(seen)


class Step:
    """One step under way; `result` is what its last line says when it has come out well."""

    def __init__(self, result: str) -> None:
        self.result = result


@contextmanager
def step(title: str) -> Iterator[Step]:
    """A step of the demo: its title first, then what happens in the block, then a tick and the time it took."""
    click.echo("\n" + paint(title, "bold"))
    began, current = time.monotonic(), Step(title)
    try:
        yield current
    except BaseException as error:
        reason = "interrupted" if isinstance(error, asyncio.CancelledError) else str(error) or type(error).__name__
        click.echo(paint(f"  ✗ {time.monotonic() - began:.1f} s  {reason}", "red"))
        raise
    click.echo(paint(f"  ✓ {time.monotonic() - began:.1f} s  {current.result}", "green"))


def typed(command: str) -> None:
    """What a reader would type."""
    click.echo(paint(f"  $ {command}", "bold"))


def answered(line: str) -> None:
    """One line of what came back."""
    click.echo(f"    {line}".rstrip())
