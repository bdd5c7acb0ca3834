"""The room that is kept for a daemon's start."""

from pathlib import Path

import pytest

from flynn.core import spare
from flynn.core.directory import own_directory
from flynn.core.errors import StartError
from tests.small import fill, free, mounted_disk


def test_room_is_kept_and_given_up_on_a_full_disk(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 144) as disk:
        for _ in range(2):
            spare.begin(disk)
            assert (disk / "spare").stat().st_blocks * 512 == spare.SIZE
        fill(disk)
        with own_directory(disk):
            assert not (disk / "spare").exists()
            assert free(disk) > spare.SIZE - 8192
        fill(disk)
        with own_directory(disk):
            assert free(disk) == 0


def test_nothing_is_kept_of_a_small_disk_and_a_full_one_is_named(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", 4) as disk:
        spare.begin(disk)
        assert list(disk.iterdir()) == []
        fill(disk)
        with pytest.raises(StartError, match=f"{disk} cannot be written to: No space left on device; make room"):
            with own_directory(disk):
                pass


def test_a_place_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    spare.begin(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []
