"""A git work tree told of the grid: a remote that is the app, and whom git asks for the token."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flynn.cli.session import Session, git
from flynn.core import client_file
from flynn.core.errors import FlynnError

if TYPE_CHECKING:
    from flynn.client import Client

PROBE = 2.0
"""Seconds that a router has to show that git is answered through it."""


def is_work_tree(directory: Path) -> bool:
    return git(directory, "rev-parse", "--is-inside-work-tree") == "true"


def add_remote(session: Session, directory: Path, app: str, name: str, replace: bool = False) -> str:
    """Name the app in this work tree, so that `git push NAME` asks for nothing; what to tell about it (empty: it is no
    work tree). `replace`: also if there is a remote of that name, which else stays as it is."""
    if not is_work_tree(directory):
        return ""
    known = git(directory, "config", "--get", f"remote.{name}.url") or ""
    url = session.ask(lambda client: push_url(client, app))
    if known and known != url and not replace:
        return f"The git remote {name} stays as it is: {known}"
    words = ("set-url", name, url) if known else ("add", name, url)
    if git(directory, "remote", *words) is None:
        return f"The git remote {name} could not be added; use -a, or FLYNN_APP"
    ask_flynn(session, directory, url)
    return f"Git remote {name} added: {url}"


def drop_remote(directory: Path, name: str) -> None:
    """Take the remote away, and what `add_remote` said of its URL."""
    url = git(directory, "config", "--get", f"remote.{name}.url") or ""
    git(directory, "remote", "remove", name)
    others = (git(directory, "config", "--get-regexp", r"^remote\..*\.url$") or "").splitlines()
    if url and not any(base(line.partition(" ")[2]) == base(url) for line in others):
        git(directory, "config", "--local", "--remove-section", f"credential.{base(url)}")


def ask_flynn(session: Session, directory: Path, url: str) -> None:
    """Have git ask this program for the token, for this URL alone, and nobody else: none is to keep it."""
    key = f"credential.{base(url)}.helper"
    grid = session.target().url
    asked = shlex.join([grid, sys.executable, "-I", "-S", client_file.__file__, grid])
    helper = f'!f() {{ if test "$1" = get; then set -- {asked}; . {shlex.quote(str(client_file.QUICK))}; fi; }}; f'
    git(directory, "config", "--local", "--replace-all", key, "")
    git(directory, "config", "--local", "--add", key, helper)


async def push_url(client: "Client", app: str) -> str:
    """Where this machine can push an app to: by a router, which leads to any node; else to the node that it asks. Who
    asks that one by https pushes to it so, too: a router's http would show the token."""
    direct = f"{client.url}/{app}.git"
    try:
        routed = (await client.repository(app)).url
    except FlynnError:
        return direct
    if direct.startswith("https:") and not routed.startswith("https:"):
        return direct
    return routed if routed and await client.answers_git(routed, PROBE) else direct


def base(url: str) -> str:
    """`http://git.example.com:8080` of `http://git.example.com:8080/hello.git`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
