"""What of a disk is for what, in numbers."""

import pytest

from flynn.core.room import GIB, MIB, Room, share, words
from flynn.plugins.host.disk.budget import Kept, Marks, budget, excess, marks, to_go, trouble

DISK = Room(free=20 * GIB, size=80 * GIB, free_files=1_000_000, files=5_000_000)


def test_usual_shares() -> None:
    assert marks(DISK, 0) == Marks(GIB, 50_000)
    assert budget(DISK, 0) == 12 * GIB
    small = Room(free=0, size=4 * GIB, files=1000)
    assert marks(small, 0) == Marks(4 * GIB // 10, 50)
    assert budget(small, 0) == 2 * GIB
    assert (marks(small, 2048).free, budget(small, 100)) == (2 * GIB, 100 * MIB)
    assert share(-1, 1, 10, 100 * MIB) == MIB


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 bytes"),
        (2000, "1 KiB"),
        (MIB, "1 MiB"),
        (GIB - 1, "1023 MiB"),
        (2 * GIB, "2 GiB"),
        (GIB * 5 // 4, "1.2 GiB"),
    ],
)
def test_words(size: int, told: str) -> None:
    assert words(size) == told


def test_nearly_full_begins_and_ends_apart() -> None:
    """In between it is what it was, and its words do not change."""

    def at(free: int, before: str) -> str:
        return trouble(Room(free * MIB, 80 * GIB), Marks(2048 * MIB), before)

    assert at(2048, "") == ""
    said = at(2047, "")
    assert said == "its disk is nearly full (2 GiB free of 80 GiB, reserve 2 GiB)"
    assert at(2559, said) == at(10, said) == said
    assert at(2559, "") == at(2560, said) == ""


def test_files_run_out_too() -> None:
    lacks = Room(20 * GIB, 80 * GIB, free_files=10, files=1000)
    assert trouble(lacks, marks(lacks, 0), "") == (
        "its disk is nearly full (room for 10 more files of 1000, reserve 50)"
    )
    assert trouble(Room(20 * GIB, 80 * GIB), Marks(1, 50), "") == ""


def test_how_much_goes() -> None:
    reserve = Marks(GIB, 50_000)
    assert excess(DISK, reserve, 10 * GIB, 12 * GIB) == 0
    assert excess(DISK, reserve, 13 * GIB, 12 * GIB) == GIB
    low = Room(GIB, 80 * GIB, 1_000_000, 5_000_000)
    assert excess(low, reserve, 0, 12 * GIB) == GIB // 2
    assert excess(low, reserve, 13 * GIB, 12 * GIB) == GIB
    assert excess(Room(20 * GIB, 80 * GIB, 1000, 5_000_000), reserve, 0, 12 * GIB) == 1


def test_the_longest_unused_goes_first() -> None:
    a, b, c = (Kept("layer", name, 10, used) for name, used in (("a", 3.0), ("b", 1.0), ("c", 2.0)))
    assert to_go([a, b, c], 0) == []
    assert to_go([a, b, c], 1) == [b]
    assert to_go([a, b, c], 11) == [b, c]
    assert to_go([a, b, c], 1000) == [b, c, a]
