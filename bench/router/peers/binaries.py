"""Where the programs are that come as Python packages."""

import shutil
import sys
from pathlib import Path

from bench.router.errors import NotMeasured


def binary(name: str) -> str:
    """The path of caddy or traefik: beside this Python, else on the PATH. NotMeasured: it is not there."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise NotMeasured(f"there is no {name}; pip install {name}-bin")
    return found


def needed(*names: str) -> None:
    """NotMeasured: one of these is not on the PATH."""
    for name in names:
        if not shutil.which(name):
            raise NotMeasured(f"there is no {name}; Debian has it as a package (bench/engines.sh)")
