"""Where the programs are."""

import shutil
import sys
from pathlib import Path

from bench.common.errors import NotMeasured


def binary(name: str) -> str:
    """The path of a program: beside this Python, else on the PATH. NotMeasured: it is not there."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise NotMeasured(f"there is no {name}; bench/engines.sh installs it, or says how")
    return found
