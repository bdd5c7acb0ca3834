"""A word every so often on the build of an app that another one waits for: the stream of that begins only after it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from flynn.cli.words import span
from flynn.core.errors import FlynnError
from flynn.core.records import BuildInfo, Line, Lines

if TYPE_CHECKING:
    from flynn.client import Client

EVERY = 10.0
"""Seconds between two words."""


async def told(client: "Client", app: str, lines: Lines, every: float = EVERY) -> AsyncGenerator[Line]:
    """The lines. Until the first of them comes it is said what is waited for, on the standard error."""
    telling = asyncio.create_task(_tell(client, app, every), name="what is waited for")
    try:
        async with aclosing(lines):
            async for line in lines:
                telling.cancel()
                yield line
    finally:
        telling.cancel()


async def _tell(client: "Client", app: str, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            found = await client.builds(app)
        except FlynnError:
            continue  # Whoever waits will hear of it.
        if build := next((build for build in found if build.state == "building"), None):
            click.echo(f"       {sentence(build, time.time())}", err=True)


def sentence(build: BuildInfo, now: float) -> str:
    """What is waited for."""
    waits = f", which waits itself: {build.waits}" if build.waits else ""
    return f"Waits for build {build.number} of {build.app}, begun {span(max(now - build.started, 0.0))} ago{waits}"
