"""Sandboxes that wait for jobs before there are any."""

import asyncio
import importlib
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from flynn.core.errors import Full
from flynn.plugins.host.backends.backend import Limits, NotStarted, Running, Spec
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.backends.proc import first_child, over
from flynn.plugins.host.limits.limiter import group_of
from flynn.plugins.host.sandbox import network, ready, waiting
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from flynn.plugins.host.sandbox.waiting import Waiting
from tests.contract.backend import spec, start
from tests.plugins.host.sandbox.test_network import apart as apart

LIMIT = 20.0

SHM = Path("/dev/shm")


@pytest.fixture
async def ahead(sandbox: SandboxBackend) -> AsyncIterator[SandboxBackend]:
    with sandbox.ahead():
        yield sandbox


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's addresses stay what they are: engines of other tests make networks and remove them."""
    cards = psutil.net_if_addrs()
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: cards)


def told(root: Path, name: str, command: str, **fields: object) -> Spec:
    (root / name / "job").mkdir(parents=True)
    return replace(spec(root / name, command), id=name, **fields)  # type: ignore[arg-type]


async def kept(backend: SandboxBackend, own: bool = False) -> Waiting:
    """What is kept ready, once it is."""
    assert backend.ready
    async with asyncio.timeout(LIMIT):
        while (found := backend.ready.kept(own)) is None or not found.ready():
            await asyncio.sleep(0.01)
    return found


async def ran(backend: SandboxBackend, wanted: Spec) -> Running:
    """A job that has ended well, and of which nothing is left."""
    running = await start(backend, wanted)
    async with asyncio.timeout(LIMIT):
        assert await running.wait() == 0, wanted.stderr.read_text()
    await running.cleanup()
    return running


async def gone(*waiting: Waiting) -> None:
    async with asyncio.timeout(LIMIT):
        while any(each.alive() for each in waiting):
            await asyncio.sleep(0.01)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def test_the_next_job_is_what_was_kept_ready(ahead: SandboxBackend, tmp_path: Path) -> None:
    await ran(ahead, told(tmp_path, "job-1", "echo one"))
    waiting = await kept(ahead)
    command = "ulimit -Hn; echo err >&2; hostname; cat file; touch /app/new"
    wanted = told(tmp_path, "job-2", command, limits=Limits(memory=64, pids=20, files=123))
    running = await start(ahead, wanted)
    assert running.identity == waiting.gate.identity
    group = group_of(wanted.dir)
    if group and ahead.limiter.hierarchy and "memory" not in ahead.limiter.hierarchy.lacks:
        files = [dir / name for dir in group.dirs for name in ("memory.max", "memory.limit_in_bytes")]
        assert [path.read_text().strip() for path in files if path.exists()] == [str(64 << 20)]
    assert await running.wait() == 0
    await running.cleanup()
    assert wanted.stdout.read_text() == "123\njob-2\nhello"
    assert wanted.stderr.read_text() == "err\n"
    assert not waiting.dir.exists()
    assert group is None or not any(dir.exists() for dir in group.dirs)


@pytest.mark.parametrize("kind", ["host", "own"])
async def test_a_job_has_no_file_open_but_its_own(ahead: SandboxBackend, tmp_path: Path, kind: str) -> None:
    if kind not in ahead.networks:
        pytest.skip(f"no network of its own here: {ahead.no_own}")
    for number in (1, 2):  # One that begins now, one that was ready.
        command = "for file in /proc/$$/fd/*; do readlink $file || :; done"
        wanted = told(tmp_path, f"job-{number}", command, network=kind)
        await ran(ahead, wanted)
        await kept(ahead, kind == "own")
        found = wanted.stdout.read_text().splitlines()
        assert found[0] == "/dev/null"
        assert {path.rpartition("/")[2] for path in found[1:]} == {"stdout", "stderr"}, found


@pytest.mark.parametrize("sourced", [False, True], ids=["plain", "sourced"])
async def test_nothing_stays_of_the_shell_that_a_job_begins_as(
    sandbox: SandboxBackend, tmp_path: Path, sourced: bool
) -> None:
    """Nor of what it was told by."""
    wanted = told(tmp_path, "job-1", "exec sleep 60")
    if sourced:
        (wanted.layers["app"] / ".profile").write_text("A=1")
    running = await start(sandbox, wanted)
    async with asyncio.timeout(LIMIT):
        pid = await running.pid()
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
            await asyncio.sleep(0.01)
    assert b"FLYNN_BEGIN" not in Path(f"/proc/{pid}/environ").read_bytes()
    await running.kill()
    await running.wait()
    await running.cleanup()


@pytest.mark.parametrize("where", ["command", "env"])
async def test_nothing_of_a_job_is_an_argument_of_the_walls(
    sandbox: SandboxBackend, tmp_path: Path, where: str
) -> None:
    """As it would be behind a NUL byte."""
    text = f"cat /seen/*\0--bind\0{tmp_path}\0/seen"
    wanted = told(tmp_path, "job-1", text) if where == "command" else told(tmp_path, "job-1", "true", env={"A": text})
    with pytest.raises(NotStarted, match="NUL byte"):
        await sandbox.start(wanted, lambda identity: None)


async def test_what_goes_wrong_in_a_command_is_told_as_a_shell_does(sandbox: SandboxBackend, tmp_path: Path) -> None:
    missing = "sh: 1: nosuch: not found\n"
    lines = {"nosuch": missing, "nosuch; echo $0 >&2; exit 2": f"{missing}sh\n", "'": "Unterminated"}
    for number, (command, said) in enumerate(lines.items()):
        wanted = told(tmp_path, f"job-{number}", command)
        running = await start(sandbox, wanted)
        assert await running.wait() in (2, 127)
        await running.cleanup()
        assert said in wanted.stderr.read_text()
        assert "eval" not in wanted.stderr.read_text()


@pytest.mark.parametrize("quoted", [40_000, 130_000])
async def test_a_command_may_be_as_long_as_the_kernel_lets_it(
    sandbox: SandboxBackend, tmp_path: Path, quoted: int
) -> None:
    """Also where something is sourced before, whatever it is made of."""
    wanted = told(tmp_path, "job-1", f'echo "$A"; exit 0 #{"*" * (quoted - 40_000)}{chr(39) * 40_000}')
    (wanted.layers["app"] / ".profile").write_text("export A=sourced")
    await ran(sandbox, wanted)
    assert wanted.stdout.read_text() == "sourced\n"


async def test_one_that_does_not_listen_is_given_up(
    sandbox: SandboxBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does anybody wait for it for ever."""
    monkeypatch.setattr(waiting, "PATIENCE", 0.2)
    begun, stopped = waiting.begin, list[int]()

    def stop(*args: Any) -> Waiting:
        found = begun(*args)
        stopped.append(found.gate.identity.pid)
        os.kill(stopped[0], signal.SIGSTOP)
        return found

    monkeypatch.setattr("flynn.plugins.host.sandbox.sandbox.begin_waiting", stop)
    with pytest.raises(NotStarted, match=r"did not read its arguments within 0.2 s"):
        await sandbox.start(told(tmp_path, "job-1", "true", env={"A": "a" * 1_000_000}), lambda identity: None)
    assert over(stopped[0])


async def test_nothing_runs_that_cannot_be_written_down(ahead: SandboxBackend, tmp_path: Path) -> None:
    """Though its walls stand by then, and it waits within."""
    cache = tmp_path / "cache"
    cache.mkdir()

    def refuse(identity: Identity) -> None:
        deadline = time.monotonic() + LIMIT
        while not (inner := ahead.adopt(wanted.dir, identity)._inner()) or not first_child(inner):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        raise Full("no room")

    for number in (1, 2):  # One that begins now, one that was ready.
        wanted, before = told(tmp_path, f"job-{number}", "touch /cache/ran", cache=cache), children()
        with pytest.raises(Full):
            await ahead.start(wanted, refuse)
        async with asyncio.timeout(LIMIT):
            while children() - before:
                await asyncio.sleep(0.01)
        assert list(cache.iterdir()) == []
        assert group_of(wanted.dir) is None
        await ran(ahead, told(tmp_path, f"job-{number}-after", "true"))
        await kept(ahead)


async def test_none_is_given_twice(ahead: SandboxBackend, tmp_path: Path) -> None:
    await ran(ahead, told(tmp_path, "job-0", "true"))
    waiting = await kept(ahead)
    wanted = [told(tmp_path, f"job-{number}", "echo $FLYNN_JOB_ID; exec sleep 60") for number in range(1, 6)]
    running = await asyncio.gather(*(start(ahead, each) for each in wanted))
    assert len({each.identity for each in running}) == 5
    assert sum(each.identity == waiting.gate.identity for each in running) == 1
    for each in running:
        await each.kill()
        assert await each.wait() == 137
        await each.cleanup()


async def test_a_job_that_has_run_before_goes_on_in_its_files(ahead: SandboxBackend, tmp_path: Path) -> None:
    wanted = told(tmp_path, "job-1", "echo again")
    for _ in range(2):
        await ran(ahead, wanted)
        await kept(ahead)
    assert wanted.stdout.read_text() == "again\nagain\n"


async def test_what_has_died_is_not_given(ahead: SandboxBackend, tmp_path: Path) -> None:
    await ran(ahead, told(tmp_path, "job-1", "true"))
    waiting = await kept(ahead)
    os.kill(waiting.gate.identity.pid, 9)
    await gone(waiting)
    running = await ran(ahead, told(tmp_path, "job-2", "true"))
    assert running.identity != waiting.gate.identity
    assert not waiting.dir.exists()


async def test_no_name_is_used_again(tmp_path: Path) -> None:
    """Not by a daemon with the pid of one before: directories of jobs still name the groups that these had then."""
    names: list[str] = []

    def make(dir: Path, name: str, refused: object) -> Waiting:
        names.append(name)
        raise NotStarted("not here")

    for number in (1, 2):
        importlib.reload(ready).Ready(tmp_path, make).used(False)
        async with asyncio.timeout(LIMIT):
            while len(names) < number:
                await asyncio.sleep(0.01)
    assert len({*names}) == 2


async def test_none_is_begun_while_jobs_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the kind that costs next to nothing."""
    monkeypatch.setattr(ready, "AFTER", {False: 0.0, True: 0.0})
    monkeypatch.setattr(ready, "AGAIN", 0.01)
    asked, made = 0, asyncio.Queue[bool]()

    def busy() -> bool:
        nonlocal asked
        asked += 1
        return asked < 4

    def make(dir: Path, name: str, refused: Sequence[str] | None) -> Waiting:
        loop.call_soon_threadsafe(made.put_nowait, refused is not None)
        raise NotStarted("not here")

    loop, keeps = asyncio.get_running_loop(), ready.Ready(tmp_path, make, busy)
    async with asyncio.timeout(LIMIT):
        keeps.used(False)
        assert await made.get() is False
        assert asked == 0
        keeps.used(True)
        assert await made.get() is True
        assert asked == 4
    keeps.end()


async def test_groups_that_a_killed_daemon_gave_a_job_go_with_its_next_run(
    ahead: SandboxBackend, tmp_path: Path
) -> None:
    if (hierarchy := ahead.limiter.hierarchy) is None:
        pytest.skip("there are no groups here")
    await ran(ahead, told(tmp_path, "job-1", "true"))
    waiting, wanted = await kept(ahead), told(tmp_path, "job-2", "exec sleep 60")
    ahead.limiter.give(wanted, waiting.dir)
    wanted.stdout.touch()
    running = await start(ahead, wanted)
    assert waiting.dir.name not in hierarchy.present()
    await running.kill()
    await running.wait()
    await running.cleanup()


async def test_none_is_kept_where_jobs_are_on_another_disk(sandbox: SandboxBackend, tmp_path: Path) -> None:
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk here")
    with tempfile.TemporaryDirectory(dir=SHM) as other:
        (sandbox.limiter.data / "jobs").symlink_to(other)
        with sandbox.ahead():
            for number in (1, 2):
                await ran(sandbox, told(Path(other), f"job-{number}", "true"))
                assert sandbox.ready is None


@pytest.mark.parametrize("own", [False, True])
async def test_they_end_with_the_agent(sandbox: SandboxBackend, tmp_path: Path, own: bool) -> None:
    if own and sandbox.no_own:
        pytest.skip(f"no network of its own here: {sandbox.no_own}")
    before = children()
    with sandbox.ahead():
        await ran(sandbox, told(tmp_path, "job-1", "true", network="own" if own else "host"))
        waiting = await kept(sandbox, own)
        assert children() - before
    async with asyncio.timeout(LIMIT):
        while children() - before:
            await asyncio.sleep(0.01)
    assert not waiting.dir.exists()
    assert sandbox.limiter.hierarchy is None or sandbox.limiter.hierarchy.present() == []


async def test_a_killed_daemon_leaves_none(apart: SandboxBackend, tmp_path: Path) -> None:
    """What ends them is that nobody holds the other ends of their standard input and of their arguments any more."""
    before = children()
    with apart.ahead():
        await ran(apart, told(tmp_path, "job-1", "true", network="own"))
        waiting = await kept(apart, own=True)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, waiting.gate.near)
        os.dup2(nothing, waiting.told.fileno())
        os.close(nothing)
        async with asyncio.timeout(LIMIT):
            while len(children() - before) > 1 or waiting.alive():
                await asyncio.sleep(0.01)


@pytest.mark.usefixtures("still")
async def test_a_network_is_ready_for_the_next_job(apart: SandboxBackend, tmp_path: Path) -> None:
    with apart.ahead():
        await ran(apart, told(tmp_path, "job-1", "true", network="own"))
        waiting = await kept(apart, own=True)
        carrier = (waiting.dir / "pasta").read_text()
        wanted = told(tmp_path, "job-2", "cut -s -d: -f1 /proc/net/dev; exec sleep 60", network="own")
        running = await start(apart, wanted)
        assert running.identity == waiting.gate.identity
        assert (wanted.dir / "pasta").read_text() == carrier
        async with asyncio.timeout(LIMIT):
            while len(wanted.stdout.read_text().split()) < 2:
                await asyncio.sleep(0.01)
        assert sorted(wanted.stdout.read_text().split()) == ["eth0", "lo"]
        await running.kill()
        await running.wait()
        await running.cleanup()
        assert over(int(carrier.split()[0]))


async def test_one_that_refuses_something_else_is_not_given(apart: SandboxBackend, tmp_path: Path) -> None:
    with apart.ahead():
        await ran(apart, told(tmp_path, "job-1", "true", network="own"))
        waiting = await kept(apart, own=True)
        wanted = told(tmp_path, "job-2", "true", network="own", refused=("10.77.0.0/16",))
        running = await ran(apart, wanted)
        assert running.identity != waiting.gate.identity
        assert not waiting.alive()
        assert not waiting.dir.exists()
        after = await kept(apart, own=True)
        assert "10.77.0.0/16" in after.refused


async def test_one_that_asks_others_for_names_than_the_machine_does_now_is_not_given(
    apart: SandboxBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with apart.ahead():
        await ran(apart, told(tmp_path, "job-1", "true", network="own"))
        waiting = await kept(apart, own=True)
        monkeypatch.setattr(network, "servers", lambda: ("nameserver 10.77.0.1",))
        running = await ran(apart, told(tmp_path, "job-2", "true", network="own"))
        assert running.identity != waiting.gate.identity
        assert not waiting.alive()
        assert (await kept(apart, own=True)).servers == ("nameserver 10.77.0.1",)


def test_who_is_asked_for_names_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.1\nsearch a\n\nnameserver 10.0.0.2\n")
    assert network.servers(tmp_path / "resolv.conf") == ("nameserver 10.0.0.1", "nameserver 10.0.0.2")
    assert network.servers(tmp_path / "none") == ()
