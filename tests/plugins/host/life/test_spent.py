"""What a job with a limit of disk has written: measured only when it may be too much."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flynn.core.room import MIB, Room
from flynn.plugins.host.life.spent import FILES, Spent, measure

SIZES = st.integers(0, 100 * MIB)
EMPTY = Room(10 << 30, 20 << 30, 5_000_000, 10_000_000)


def test_what_is_in_trees_is_counted_by_the_disk_it_takes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "full").write_bytes(os.urandom(MIB))
    with (tmp_path / "a" / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "a" / "out").symlink_to("/usr")
    spent = measure([tmp_path / "a", tmp_path / "none"], 10 * MIB, EMPTY)
    assert MIB <= spent.size < 2 * MIB
    assert spent.files == 5
    assert spent.excess(10 * MIB) == ""
    assert spent.excess(MIB // 2) == "out of disk: limit 512 KiB"
    assert Spent(0, FILES + 1, EMPTY).excess(MIB) == f"out of disk: limit {FILES} files"


@given(SIZES, SIZES, SIZES, st.integers(0, 1000))
def test_nothing_that_is_too_much_is_passed_over_as_long_as_nobody_makes_room(
    limit: int, before: int, written: int, others: int
) -> None:
    spent = Spent(before, 1, EMPTY)
    left = Room(EMPTY.free - written - others, EMPTY.size, EMPTY.free_files, EMPTY.files)
    if before + written > limit:
        assert not spent.is_surely_within(limit, left)
