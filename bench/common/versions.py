"""Which versions of programs are measured."""

import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version

from flynn import __version__


def own() -> str:
    """`flynn 0.1.0 (Python 3.11.2, uvloop 0.22.1)`."""
    return f"flynn {__version__} (Python {platform.python_version()}, uvloop {version('uvloop')})"


def version_of(command: Sequence[str]) -> str:
    """The first number with a point that a command prints; `?`: there is none."""
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", told)
    return found[0] if found else "?"
