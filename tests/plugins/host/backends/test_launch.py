"""A process that is not set going after all."""

import asyncio
import contextlib
import os
from pathlib import Path

import psutil
import pytest

from flynn.core.errors import Full
from flynn.plugins.host.backends.backend import Limits, Spec
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.backends.launch import Gate, launch, opened
from flynn.plugins.host.limits.limiter import Hold, Limiter, group_of


def refuse(identity: Identity) -> None:
    raise Full("the disk is full")


def left() -> tuple[list[psutil.Process], int]:
    """The children of this process, and how many files it has open."""
    return psutil.Process().children(), len(os.listdir("/proc/self/fd"))


def test_what_cannot_be_written_down_leaves_nothing(tmp_path: Path) -> None:
    before = left()
    with pytest.raises(Full), opened(["/bin/true"], {}, (tmp_path / "out", tmp_path / "err")) as gate:
        gate.go(refuse)
    assert left() == before


@pytest.mark.parametrize("entered", [False, True])
def test_a_gate_whose_daemon_dies_ends_without_having_run_anything(tmp_path: Path, entered: bool) -> None:
    """As the kernel closes the pipe then, before or after the process was told of its groups."""
    mark = tmp_path / "ran"
    outputs, argv = (tmp_path / "out", tmp_path / "err"), ["/bin/sh", "-c", f"echo >{mark}"]
    with opened(argv, {}, outputs, stdin=True, hold=Hold((tmp_path / "group",))) as gate:
        if entered:
            gate.enter()
        os.close(gate.near)
        gate.gone = True
    assert os.waitstatus_to_exitcode(os.waitpid(gate.identity.pid, 0)[1]) == 125
    assert (tmp_path / "group").exists() == entered
    assert not mark.exists()


def test_a_process_that_yields_stands_back_where_it_has_no_group(tmp_path: Path) -> None:
    outputs = (tmp_path / "out", tmp_path / "err")
    for yields in (True, False):
        told = Spec("job", "", {}, {}, tmp_path, limits=Limits(yields=yields))
        with opened(["/bin/true"], {}, outputs, hold=Limiter(tmp_path).hold(told)) as gate:
            own, theirs = (os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, gate.identity.pid))
            assert theirs == (min(own + 10, 19) if yields else own)


async def test_what_cannot_be_made_ready_leaves_nothing(tmp_path: Path) -> None:
    """Not even when it is given up while it is made ready."""
    limiter = Limiter(tmp_path)
    limiter.open()
    told = Spec("job", "", {}, {}, tmp_path)
    running = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ready(stack: contextlib.ExitStack) -> Gate:
        gate = stack.enter_context(opened(["/bin/true"], {}, (told.stdout, told.stderr), hold=limiter.hold(told)))
        limiter.make(told)
        gate.enter()
        loop.call_soon_threadsafe(running.set)
        return gate

    await asyncio.to_thread(int)  # There is a thread, with what it needs.
    before = left()
    with pytest.raises(Full):
        await launch(told, ready, refuse)
    assert left() == before
    starting = asyncio.create_task(launch(told, ready, refuse))
    await running.wait()
    starting.cancel()
    with pytest.raises((asyncio.CancelledError, Full)):
        await starting
    assert left() == before
    assert group_of(tmp_path) is None
    assert limiter.hierarchy is None or limiter.hierarchy.present() == []
