"""The Flask example in a git repository, as its developer changes and pushes it."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.common.errors import NotMeasured

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask"

BRANCH = "main"

GREETING = "Hello from flynn"
"""The words in the example that are changed."""

LIMIT = 300.0
"""Seconds that a command may take."""


class Repository:
    """A work tree whose every change is a commit. `env`: of all commands that are run in it."""

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        self.path = path
        self.env = env

    def make(self) -> None:
        """Copy the example, and commit it; but not the bytecode that a start leaves there: a change within the same
        second would not be seen."""
        shutil.copytree(EXAMPLE, self.path, ignore=shutil.ignore_patterns("__pycache__"))
        (self.path / ".gitignore").write_text("__pycache__/\n")
        self.git("init", "--quiet", f"--initial-branch={BRANCH}")
        self.git("config", "user.name", "bench")
        self.git("config", "user.email", "bench@example.com")
        self.commit()

    def greet(self, words: str) -> None:
        """Change one line of the app, and commit it."""
        path = self.path / "app.py"
        text = (EXAMPLE / "app.py").read_text()
        if GREETING not in text:
            raise NotMeasured(f"{EXAMPLE}/app.py says {GREETING!r} no more")
        path.write_text(text.replace(GREETING, words))
        self.commit()

    def need(self, *packages: str) -> None:
        """Add to what the example needs, and leave it to the next commit."""
        text = (EXAMPLE / "requirements.txt").read_text()
        (self.path / "requirements.txt").write_text(text + "".join(f"{package}\n" for package in packages))

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")

    def git(self, *words: str) -> str:
        return self.run("git", *words)

    def run(self, *command: str) -> str:
        """What a command prints. NotMeasured: it fails."""
        return run(command, self.path, self.env)


def run(command: Sequence[str], where: Path, env: Mapping[str, str]) -> str:
    """What a command prints on both streams. NotMeasured: it fails, or takes too long."""
    try:
        done = subprocess.run(
            command, cwd=where, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=LIMIT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(f"{' '.join(command)}: {error}") from None
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise NotMeasured(f"{' '.join(command)} ended with {done.returncode}: {text}")
    return text


def environ(home: Path) -> dict[str, str]:
    """Ours, without what is flynn's or git's own, and with another home."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("FLYNN_", "GIT_"))}
    return own | {"HOME": str(home), "GIT_TERMINAL_PROMPT": "0"}
