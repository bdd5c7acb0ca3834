"""Which versions of all programs are measured."""

import sys

from bench.common.versions import own, version_of


def versions() -> list[str]:
    """flynn, git and pip; NotMeasured: there is none."""
    git = version_of(("git", "--version"))
    return [own(), f"git {git}", f"pip {version_of((sys.executable, '-m', 'pip', '--version'))}"]
