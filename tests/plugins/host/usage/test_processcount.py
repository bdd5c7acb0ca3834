"""When a machine has too few processes left for another job, and when it has enough again."""

import sys
import threading
from pathlib import Path

import pytest

from flynn.plugins.host.usage.count import Count
from flynn.plugins.host.usage.processcount import seen, trouble

TOLD = "it has nearly all processes that it may (32600 of 32768)"


def told(proc: Path, loadavg: str, pid_max: str = "32768\n", threads: str = "192730\n") -> Path:
    (proc / "sys/kernel").mkdir(parents=True, exist_ok=True)
    (proc / "loadavg").write_text(loadavg)
    (proc / "sys/kernel/pid_max").write_text(pid_max)
    (proc / "sys/kernel/threads-max").write_text(threads)
    return proc


def test_what_is_low_stays_so_until_there_are_some_more() -> None:
    assert trouble(Count(32_500, 32_768), "") == ""
    assert trouble(Count(32_600, 32_768), "") == TOLD
    assert trouble(Count(32_500, 32_768), TOLD) == TOLD
    assert trouble(Count(32_400, 32_768), TOLD) == ""


def test_the_lower_of_what_the_kernel_says_holds(tmp_path: Path) -> None:
    assert seen(told(tmp_path, "0.01 0.05 0.00 1/211 4242\n")) == Count(211, 32_468)
    assert seen(told(tmp_path, "0.01 0.05 0.00 1/211 4242\n", threads="500\n")) == Count(211, 500)


def test_a_machine_that_says_nothing_has_enough(tmp_path: Path) -> None:
    assert seen(tmp_path) == Count(0, 0)
    assert seen(told(tmp_path, "garbage\n")) == Count(0, 0)
    assert seen(told(tmp_path, "0.01 0.05 0.00 1/211 4242\n", pid_max="many\n")) == Count(0, 0)
    assert trouble(Count(0, 0), "") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_this_machine_says() -> None:
    found = seen()
    assert threading.active_count() <= found.used <= found.most
