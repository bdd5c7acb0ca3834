"""The limit of open files is raised in processes of their own: no other test shall have it."""

import subprocess
import sys

RAISE = """
import resource
from flynn.core import files
before = files.limit()
files.raise_limit()
print(before, files.AT_START, files.limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[1])
"""


def run(shell: str) -> list[str]:
    """What RAISE prints after these words of a shell."""
    words = ["/bin/sh", "-c", f'{shell}; exec "$0" -c "$1"', sys.executable, RAISE]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout.split()


def test_the_soft_limit_is_raised_to_the_hard_one_and_the_former_is_known() -> None:
    assert run("ulimit -Sn 300") == ["300", "300", "True"]


def test_what_cannot_be_raised_stays() -> None:
    assert run("ulimit -Hn 300; ulimit -Sn 300") == ["300", "300", "True"]
