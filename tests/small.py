"""A disk of a few megabytes, which a test can fill: a tmpfs, for root."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


@contextmanager
def mounted_disk(path: Path, size: int, files: int = 0) -> Iterator[Path]:
    """A new disk at `path`, of `size` MiB and with room for `files` files (0: enough)."""
    path.mkdir(parents=True, exist_ok=True)
    told = f"size={size}m" + (f",nr_inodes={files}" if files else "")
    mount = ["mount", "-t", "tmpfs", "-o", told, "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def free(disk: Path) -> int:
    """Bytes."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def fill(disk: Path, left: int = 0) -> Path:
    """A file that leaves so many bytes free."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while (more := free(disk) - left) > 0:
            file.write(bytes(min(more, MIB)))
    return ballast


def use_up_files(disk: Path, left: int = 0) -> Path:
    """A directory with so many files that only `left` more fit."""
    many = disk / "many"
    many.mkdir(exist_ok=True)
    for n in range(os.statvfs(disk).f_favail - left):
        (many / str(n)).touch()
    return many
