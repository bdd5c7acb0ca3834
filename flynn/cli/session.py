"""What a verb works with: the grid it talks to, the app it is about, and how it answers."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from flynn.cli.words import paint, span
from flynn.core import keys
from flynn.core.client_file import NAME, Target, Unreadable, default_data, find
from flynn.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from flynn.cli.progress import Progress
    from flynn.client import Client
    from flynn.core.records import Line, Lines

T = TypeVar("T")

REMOTE = "flynn"
"""The git remote whose URL names the app of a work tree."""


@dataclass(eq=False)
class Session:
    """The options that all verbs share. Empty: not given."""

    url: str = ""
    token: str = ""
    named: str = ""
    json: bool = False

    def app(self) -> str:
        """The app that the verb is about: from -a, FLYNN_APP, or the git remote. Invalid: none is named."""
        if name := self.named or os.environ.get("FLYNN_APP", "") or app_of_remote(git_remote(Path.cwd())):
            return keys.check_name("app", name)
        raise Invalid(
            f"no app is named: use -a APP, or set FLYNN_APP, or work in a git tree that has the remote {REMOTE!r} "
            "('flynn create' adds it)"
        )

    def target(self) -> Target:
        """Where the grid is. Unavailable: nothing says it."""
        data = default_data()
        try:
            found = find(self.url, self.token)
        except Unreadable as error:
            raise Unavailable(str(error)) from None
        except (OSError, ValueError) as error:
            raise Unavailable(f"{data / NAME} is no good ({error}); start the daemon again, or set FLYNN_URL") from None
        if found is None:
            raise Unavailable("no grid found: start one with 'flynn daemon', or set FLYNN_URL and FLYNN_TOKEN")
        return found

    def ask(self, call: Callable[["Client"], Awaitable[T]]) -> T:
        """The answer to what `call` asks the grid."""
        from flynn.client import open_client

        target = self.target()

        async def asking() -> T:
            async with open_client(target.url, target.token) as client:
                told = await call(client)
                if (since := client.wire.stale_since) is not None:
                    complain(f"the store has not answered for {span(time.time() - since)}: facts are as of then")
                return told

        return asyncio.run(asking())

    def follow(self, call: Callable[["Client"], "Lines"], progress: "Progress") -> "Line":
        """Show a stream as it comes; its last line. FlynnError: it says that what was asked for failed."""
        return self.ask(lambda client: progress.follow(call(client)))

    def show(self, value: Any, look: Callable[[Any], Iterable[str]]) -> None:
        """Print a value: as JSON if that was asked for, else as `look` has it."""
        if self.json:
            click.echo(as_json(value))
            return
        for line in look(value):
            click.echo(paint(line, "bold") if line.startswith("=== ") else line)


def as_json(value: Any) -> str:
    """The value as JSON for people and programs, structs with all their fields."""
    from flynn.core.web import plain

    return msgspec.json.format(msgspec.json.encode(plain(value)), indent=2).decode()


def git(directory: Path, *words: str) -> str | None:
    """What git prints, or None: it failed, or there is no git. It has 10 s."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def git_remote(directory: Path) -> str:
    """The URL of the remote `flynn` of a work tree; empty if there is none."""
    return git(directory, "config", "--get", f"remote.{REMOTE}.url") or ""


def app_of_remote(url: str) -> str:
    """The app that a remote's URL names: `http://host/hello.git`, `flynn:hello`, `git@host:hello.git`.

    Empty: the URL names none.
    """
    name = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git")
    return name if keys.NAME.fullmatch(name) else ""


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    head, *rest = message.splitlines() or ["something went wrong"]
    click.echo(paint(" !     " + head, "red", sys.stderr), err=True)
    for line in rest:
        click.echo("       " + line, err=True)
