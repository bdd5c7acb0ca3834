"""The room on a disk, in numbers: what is free, and what of it is to stay free, so that nothing breaks. Pure."""

from dataclasses import dataclass

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Room:
    """Of a file system, for this user: bytes, and files, that are free and that it has in all.

    `files` 0: it may have as many as there is space for.
    """

    free: int
    size: int
    free_files: int = 0
    files: int = 0


def share(told: int, usual: int, part: int, size: int) -> int:
    """Bytes of a disk of `size` bytes: the MiB that were `told`, or (0) what is `usual`, and a `part`th at most."""
    return told * MIB if told > 0 else min(usual * MIB, size // part)


def words(size: int) -> str:
    """A number of bytes for people: `1.2 GiB`."""
    if size >= GIB:
        return f"{size / GIB:.1f} GiB".replace(".0 ", " ")
    return f"{size // MIB} MiB" if size >= MIB else f"{size // 1024} KiB" if size >= 1024 else f"{size} bytes"
