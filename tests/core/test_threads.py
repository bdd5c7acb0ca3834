"""Threads that are there before there is work for them."""

import threading
from concurrent.futures import wait

import pytest

from flynn.core.errors import StartError
from flynn.core.threads import begun


def test_all_run_before_there_is_work() -> None:
    before = set(threading.enumerate())
    with begun(3, "early") as threads:
        early = set(threading.enumerate()) - before
        assert sorted(thread.name for thread in early) == ["early_0", "early_1", "early_2"]
        together = threading.Barrier(3)
        done, left = wait([threads.submit(together.wait, 20) for _ in range(3)], 20)
        assert ({future.exception() for future in done}, left) == ({None}, set())
        assert set(threading.enumerate()) - before == early


def test_a_machine_that_gives_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that were begun end again."""
    begin, tries = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        tries.append(thread)
        if len(tries) == 3:
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(StartError, match="no thread can be begun: this machine, or this user, has as many processes"):
        begun(3, "early")
    for thread in tries[:2]:
        thread.join(20)
        assert not thread.is_alive()
