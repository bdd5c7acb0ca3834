"""What a daemon has written down for who talks to the grid: `client.json`, and who may find it where.

Run as a program it tells git the token (gitcredentials(7)): `python3 -I -S client_file.py URL`. So it needs nothing but
the standard library, and answers in a tenth of the time that `flynn` takes to begin. git asks `git_token.sh` first.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

NAME = "client.json"

QUICK = Path(__file__).with_name("git_token.sh")
"""Tells git the token where that is plain, and asks this file else."""


class Target(NamedTuple):
    """A node's API and the grid's token."""

    url: str
    token: str = ""


class Unreadable(Exception):
    """The file is there, but not to be read by this user."""


def default_data(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a daemon of this user keeps everything: FLYNN_DATA, or the usual place for root or a user."""
    if told := environ.get("FLYNN_DATA"):
        return Path(told)
    if os.geteuid() == 0:
        return Path("/var/lib/flynn")
    home = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(home) / "flynn"


def read(data: Path) -> Target | None:
    """What the daemon with this data directory wrote down; None: nothing. Unreadable; ValueError, OSError: it is no
    good."""
    path = data / NAME
    try:
        said = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        if data == default_data() and "FLYNN_DATA" not in os.environ:
            return None
        raise Unreadable(f"{path} cannot be read by this user; set FLYNN_URL and FLYNN_TOKEN") from None
    if not isinstance(said, dict) or not isinstance(said.get("url"), str) or not isinstance(said.get("token", ""), str):
        raise ValueError("it names no grid")
    return Target(said["url"], said.get("token", ""))


def find(url: str = "", token: str = "") -> Target | None:
    """Where the grid is, as is told here, in FLYNN_URL and FLYNN_TOKEN, or by the daemon of this machine; None: nothing
    says it. As `read`."""
    url, token = url or os.environ.get("FLYNN_URL", ""), token or os.environ.get("FLYNN_TOKEN", "")
    found = read(default_data())
    if not url:
        return Target(found.url, token or found.token) if found else None
    known = found.token if found and found.url.rstrip("/") == url.rstrip("/") else ""
    return Target(url, token or known)


def answer_git(url: str) -> int:
    """Tell git the token of the grid whose API is at `url`, if it is known; the exit code. What the daemon there wrote
    down comes first: FLYNN_TOKEN may be of another grid."""
    sys.stdin.read()  # What git asks for: it asks here for the grid's own URL alone.
    try:
        own = read(default_data())
        token = own.token if own and own.url.rstrip("/") == url.rstrip("/") else ""
    except (Unreadable, OSError, ValueError) as error:
        token, why = "", str(error)
    else:
        why = f"the token of the grid at {url} is not known here; set FLYNN_TOKEN to it"
    if token := token or os.environ.get("FLYNN_TOKEN", ""):
        print(f"username=flynn\npassword={token}")
        return 0
    print(f"flynn: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(answer_git(sys.argv[1]))
