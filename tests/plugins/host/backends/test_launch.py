"""A process that is not set going after all."""

import os
from pathlib import Path

import psutil
import pytest

from flynn.core.errors import Full
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.backends.launch import launch


def refuse(identity: Identity) -> None:
    raise Full("the disk is full")


def left() -> tuple[list[psutil.Process], int]:
    """The children of this process, and how many files it has open."""
    return psutil.Process().children(), len(os.listdir("/proc/self/fd"))


def test_what_cannot_be_written_down_leaves_nothing(tmp_path: Path) -> None:
    before = left()
    with pytest.raises(Full):
        launch(["/bin/true"], {}, (tmp_path / "out", tmp_path / "err"), refuse)
    assert left() == before
