"""What requirements name that may change while they stay as they are: a branch of a repository."""

from __future__ import annotations

import os
import re
import subprocess

from ..lib.pack import warn

ADDRESS = re.compile(r"\bgit\+((?:https?|ssh|git|file)://[^/\s]*/[^\s#;,\"'@]+)(?:@([^\s#;,\"']+))?")
"""As pip writes it: `git+https://HOST/PATH@REF` (VCS Support, pip's documentation)."""

COMMIT = re.compile(r"[0-9a-f]{40}")

LIMIT = 30.0
"""Seconds that a server has to say what it has."""


class Unknown(Exception):
    """A server does not say it."""


def commits(text: str) -> list[str]:
    """The commits that the branches and tags in these requirements are at now, as `ADDRESS REF COMMIT`. Unknown."""
    named = sorted({(found[1], found[2] or "HEAD") for found in ADDRESS.finditer(text)})
    return [f"{address} {ref} {_commit(address, ref)}" for address, ref in named if not COMMIT.fullmatch(ref)]


def _commit(address: str, ref: str) -> str:
    """Empty where it has nothing of that name: it is a part of a commit's, then, which stays what it is."""
    words = ["git", "ls-remote", "--quiet", address, ref, f"{ref}^{{}}"]
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(words, env=env, stdout=subprocess.PIPE, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        warn(f"git cannot ask for {ref} of a repository: {type(error).__name__}")
        raise Unknown from None
    if done.returncode:
        raise Unknown
    return " ".join(line.split()[0] for line in done.stdout.decode().splitlines() if line.split())
