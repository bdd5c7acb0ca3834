"""When a host has too few open files left for another job, and when it has enough again."""

import os
import sys
from pathlib import Path

import pytest

from flynn.core import files
from flynn.plugins.host.usage.count import Count
from flynn.plugins.host.usage.openfiles import seen, trouble

NONE = Count(0, 0)
OWN = "its daemon has nearly all files open that it may (3800 of 4000)"


def test_what_is_low_stays_so_until_there_are_some_more() -> None:
    assert trouble((Count(3700, 4000), NONE), "") == ""
    assert trouble((Count(3800, 4000), NONE), "") == OWN
    assert trouble((Count(3700, 4000), NONE), OWN) == OWN
    assert trouble((Count(3600, 4000), NONE), OWN) == ""


def test_where_there_can_be_few_a_part_of_them_is_left() -> None:
    assert trouble((Count(200, 256), NONE), "") == ""
    assert trouble((Count(230, 256), NONE), "") != ""


def test_the_machine_may_have_none_either() -> None:
    told = trouble((Count(10, 4000), Count(999_900, 1_000_000)), "")
    assert told == "it has nearly all files open that it may (999900 of 1000000)"
    assert trouble((Count(10, 0), NONE), "") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_this_machine_says() -> None:
    own, machine = seen()
    assert own.used == pytest.approx(len(os.listdir("/proc/self/fd")), abs=2)
    assert own.most == (files.limit() or 0)
    assert 0 < machine.used < machine.most


def test_a_machine_that_says_nothing_has_enough(tmp_path: Path) -> None:
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/file-nr").write_text("garbage\n")
    own, machine = seen(tmp_path)
    assert (own.used, machine) == (0, NONE)
    (tmp_path / "sys/fs/file-nr").write_text("5000\t200\t9000\n")
    assert seen(tmp_path)[1] == Count(4800, 9000)
