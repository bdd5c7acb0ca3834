"""The file beside a blob which says that it may be swept."""

from pathlib import Path

MARK = ".unused"


def mark_of(path: Path) -> Path:
    """The mark of the blob at `path`, whether it is there or not."""
    return path.with_name(path.name + MARK)


def set_mark(path: Path, sweep: bool, is_new: bool) -> None:
    """Say whether the blob may be swept: one that is here already and stays for good does so."""
    mark = mark_of(path)
    if not sweep:
        mark.unlink(missing_ok=True)
    elif is_new or mark.exists():
        mark.touch()
