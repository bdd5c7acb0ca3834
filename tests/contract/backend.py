"""What every host backend must do. Call `check` with a backend that is open, and a directory of the test's own."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flynn.core.model import Network
from flynn.plugins.host.backends.backend import Backend, NotStarted, Running, Spec
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.identity import Identity, gone
from flynn.plugins.host.backends.identity import alive as lives
from flynn.plugins.host.usage.meter import read
from flynn.plugins.host.usage.reading import Reading
from flynn.plugins.host.usage.remote import ask

LIMIT = 20.0
"""Seconds that a step may take on a slow machine."""


async def check(backend: Backend, root: Path) -> None:
    """All of the contract, each part in a directory of its own."""
    for part in PARTS:
        dir = root / part.__name__
        (dir / "job").mkdir(parents=True)
        async with asyncio.timeout(LIMIT):
            await part(backend, dir)


def spec(dir: Path, command: str, stdin: bool = False, **layers: str) -> Spec:
    """A process with one file `hello` in its `app` layer, and in each other layer a file of its content."""
    trees = {"app": "hello", **layers}
    for name, text in trees.items():
        (dir / name).mkdir(exist_ok=True)
        (dir / name / "file").write_text(text)
    (dir / "cache").mkdir(exist_ok=True)
    (dir / "out").mkdir(exist_ok=True)
    return Spec(
        id="job-1",
        command=command,
        env={"COLOR": "red; echo $HOME", "FLYNN_APP": "x"},
        layers={name: dir / name for name in trees},
        dir=dir / "job",
        cache=dir / "cache",
        out=dir / "out",
        stdin=stdin,
    )


async def start(backend: Backend, told: Spec) -> Running:
    return await backend.start(told, lambda identity: None)


async def printed(told: Spec, wanted: bytes) -> None:
    """Wait until the process has printed this."""
    while not told.stdout.exists() or wanted not in told.stdout.read_bytes():
        await asyncio.sleep(0.01)


async def output(backend: Backend, told: Spec) -> list[str]:
    """The lines that a process prints until its end, which is to be a good one."""
    running = await start(backend, told)
    assert await running.wait() == 0, told.stderr.read_text()
    await running.cleanup()
    assert told.stderr.read_text() == ""
    return told.stdout.read_text().splitlines()


async def _tells_what_it_runs(backend: Backend, dir: Path) -> None:
    told = spec(dir, 'pwd; echo "$COLOR"; cat "$APP_DIR/file" "$TOOLS_DIR/file"; echo; echo "$HOME" "$LANG"', tools="x")
    lines = await output(backend, told)
    assert lines[1:3] == ["red; echo $HOME", "hellox"]
    assert lines[0] == lines[3].split()[0]
    assert lines[3].split()[1] == "C.UTF-8"


async def _hides_the_daemons_environment(backend: Backend, dir: Path) -> None:
    os.environ["FLYNN_TEST_SECRET"] = "secret"
    try:
        lines = await output(backend, spec(dir, "env"))
    finally:
        del os.environ["FLYNN_TEST_SECRET"]
    names = {line.partition("=")[0] for line in lines}
    assert names <= {
        "APP_DIR", "CACHE_DIR", "COLOR", "FLYNN_APP", "HOME", "LANG", "OLDPWD", "OUT_DIR", "PATH", "PWD", "_", "SHLVL",
    }  # fmt: skip


async def _sources_profiles(backend: Backend, dir: Path) -> None:
    told = spec(dir, 'echo "$A$B"')
    (dir / "app" / ".profile.d").mkdir()
    (dir / "app" / ".profile.d" / "a.sh").write_text("export A=1\n")
    (dir / "app" / ".profile.d" / "b.sh").write_text('export B="$A"2\n')
    assert await output(backend, told) == ["112"]
    (dir / "app" / ".profile").write_text('export B="$B"3\n')
    assert await output(backend, told) == ["112", "1123"]


async def _sources_what_is_written_for_bash(backend: Backend, dir: Path) -> None:
    told = spec(dir, '[[ "$A" == 1* ]] && echo "$A"')
    (dir / "app" / ".profile.d").mkdir()
    (dir / "app" / ".profile.d" / ".bash").touch()
    (dir / "app" / ".profile.d" / "a.sh").write_text('all=(1 2)\nfunction joined() { echo "${all[*]}"; }\n')
    (dir / "app" / ".profile").write_text("export A=$(joined)\n")
    assert await output(backend, told) == ["1 2"]


async def _gives_a_build_a_source_to_change(backend: Backend, dir: Path) -> None:
    """It is not `/app`, which is there for what looks for it."""
    command = 'ls "$APP_DIR"; echo x >"$APP_DIR/x"; cd "$BUILD_DIR" && cat file && echo new >new && echo changed >file'
    told = spec(dir, f"{command}; cat file; pwd", build="source")
    told = replace(told, layers={"build": dir / "build"})
    first = await output(backend, told)
    assert first[:-1] == ["sourcechanged"]
    assert first[-1].endswith("/build")
    assert await output(backend, told) == first * 2
    assert [path.name for path in (dir / "build").iterdir()] == ["file"]


async def _shows_what_lies_under_the_app(backend: Backend, dir: Path) -> None:
    """Of what both have the upper one counts, also where it has a link; what is below is not changed."""
    command = "cat file both/own both/low link both/over; echo x >both/low; cat both/low; rm link; ls both"
    told = spec(dir, command)
    for name in ("low", "over"):
        (dir / name / "both").mkdir(parents=True)
        (dir / name / "both" / name).write_text(f"{name}\n")
        (dir / name / "file").write_text(name)
        (dir / name / "link").write_text(name)
    (dir / "app" / "file").write_text("app\n")
    (dir / "app" / "both").mkdir()
    (dir / "app" / "both" / "own").write_text("own\n")
    (dir / "app" / "link").symlink_to("file")
    told = replace(told, under=(dir / "low", dir / "over"))
    seen = ["app", "own", "low", "app", "over", "x", *sorted(["low", "over", "own"])]
    assert await output(backend, told) == seen
    assert (dir / "low" / "both" / "low").read_text() == "low\n"
    assert await output(backend, told) == seen * 2


async def _throws_changes_away(backend: Backend, dir: Path) -> None:
    told = spec(dir, 'cat file; echo changed >file; echo new >new; echo kept >>"$CACHE_DIR/c"; echo out >"$OUT_DIR/o"')
    assert await output(backend, told) == ["hello"]
    assert (dir / "app" / "file").read_text() == "hello"
    assert not (dir / "app" / "new").exists()
    assert (dir / "out" / "o").read_text() == "out\n"
    await output(backend, told)
    assert (dir / "cache" / "c").read_text() == "kept\nkept\n"


async def _tells_exit_codes(backend: Backend, dir: Path) -> None:
    for command, code in (("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("nothere", 127)):
        running = await start(backend, spec(dir, command))
        assert await running.wait() == code, command
        assert await running.pid() == 0
        assert not running.alive()
        await running.cleanup()


async def _numbers_its_process(backend: Backend, dir: Path) -> None:
    told = spec(dir, "echo here; exec sleep 60")
    running = await start(backend, told)
    await printed(told, b"here")
    pid = await running.pid()
    while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
        await asyncio.sleep(0.01)
    assert running.alive()
    assert lives(running.identity)
    await running.kill()
    assert await running.wait() == 137
    await running.cleanup()
    assert not Path(f"/proc/{pid}").exists()


async def _signals_all_processes(backend: Backend, dir: Path) -> None:
    inner = "sh -c 'trap \"echo inner; exit 0\" TERM; echo ready; while :; do sleep 0.05; done'"
    told = spec(dir, f'trap "echo outer; wait; exit 7" TERM; {inner} & while :; do sleep 0.05; done')
    running = await start(backend, told)
    await printed(told, b"ready")
    await running.signal(signal.SIGTERM)
    assert await running.wait() == 7
    await running.cleanup()
    assert set(told.stdout.read_text().split()) == {"ready", "inner", "outer"}


async def _leaves_nothing_behind(backend: Backend, dir: Path) -> None:
    left = "sh -c 'trap : TERM HUP; echo left; : >\"$OUT_DIR/left\"; while :; do sleep 0.05; done' & "
    told = spec(dir, left + 'while ! test -e "$OUT_DIR/left"; do sleep 0.02; done; exit 4')
    running = await start(backend, told)
    await printed(told, b"left")
    assert await running.wait() == 4
    await running.cleanup()
    size = told.stdout.stat().st_size
    again = await start(backend, spec(dir, "echo again"))
    assert await again.wait() == 0
    await again.cleanup()
    assert told.stdout.stat().st_size == size + len("again\n")


async def _ends_all_of_it_before_it_is_cleared_away(backend: Backend, dir: Path) -> None:
    on = '(while :; do echo on; : >"$OUT_DIR/on"; sleep 0.01; done) & echo made >"$OUT_DIR/slug"; '
    told = spec(dir, on + 'while ! test -e "$OUT_DIR/on"; do sleep 0.02; done; exit 4')
    running = await start(backend, told)
    assert await running.wait() == 4
    await running.end()
    assert (size := told.stdout.stat().st_size)
    assert await _a_moment_later(told.stdout) == size
    assert (dir / "out" / "slug").read_text() == "made\n"
    await running.end()
    await running.cleanup()


async def _a_moment_later(path: Path) -> int:
    await asyncio.sleep(0.1)
    return path.stat().st_size


async def _reads_from_a_pipe(backend: Backend, dir: Path) -> None:
    told = spec(dir, "cat; echo end", stdin=True)
    running = await start(backend, told)
    os.write(running.stdin, b"first\n\0\xff\nsecond")
    os.close(running.stdin)
    assert await running.wait() == 0
    await running.cleanup()
    assert told.stdout.read_bytes() == b"first\n\0\xff\nsecondend\n"


async def _reads_nothing_without_a_pipe(backend: Backend, dir: Path) -> None:
    assert await output(backend, spec(dir, "cat; echo end")) == ["end"]


async def _adopts_what_runs(backend: Backend, dir: Path) -> None:
    told = spec(dir, "echo here; read line <file; exec sleep 60")
    running = await start(backend, told)
    await printed(told, b"here")
    found = type(backend)(dir).adopt(told.dir, running.identity)
    assert found.alive()
    assert await found.pid() == await running.pid()
    await found.kill()
    assert await found.wait() == 137
    await found.cleanup()


async def _finds_the_exit_code_of_what_ended(backend: Backend, dir: Path) -> None:
    told = spec(dir, "exit 9")
    running = await start(backend, told)
    assert await running.wait() == 9
    found = backend.adopt(told.dir, running.identity)
    assert not found.alive()
    assert await found.wait() == 9
    await found.cleanup()


async def _takes_no_other_process_for_its_own(backend: Backend, dir: Path) -> None:
    mine = Identity(os.getpid(), 1.0, "another boot")
    found = backend.adopt(dir / "job", mine)
    assert not found.alive()
    assert await found.wait() is None
    await found.signal(signal.SIGKILL)
    await found.kill()
    await found.cleanup()


async def _runs_nothing_that_is_not_written_down(backend: Backend, dir: Path) -> None:
    seen: list[Identity] = []

    def refuse(identity: Identity) -> None:
        seen.append(identity)
        raise RuntimeError("the disk is full")

    told = spec(dir, "echo ran")
    with pytest.raises(RuntimeError):
        await backend.start(told, refuse)
    await gone(seen[0])
    assert told.stdout.read_text() == ""


async def _runs_commands_beside_it(backend: Backend, dir: Path) -> None:
    told = spec(dir, "cd /; echo here; exec sleep 60")
    (dir / "app" / ".profile.d").mkdir()
    (dir / "app" / ".profile.d" / "a.sh").write_text("export A=1\n")
    running = await start(backend, told)
    await printed(told, b"here")
    found = backend.adopt(told.dir, running.identity)
    for beside in (running, found):
        assert await said(beside, 'cat file; echo "$A$COLOR"; cat; echo $$ >&2') == b"hello1red; echo $HOME\nin"
    for command, code in (("exit 3", 3), ("kill -9 $$", 137), ("nothere", 127), ("true", 0)):
        assert await running.exec(command) == code, command
    await running.kill()
    await running.wait()
    with pytest.raises(NotStarted, match="has ended"):
        await running.exec("true")
    await running.cleanup()


async def said(running: Running, command: str) -> bytes:
    """What a command prints that is given `in` to read."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(b"in")
        given.seek(0)
        assert await running.exec(command, given.fileno(), taken.fileno()) == 0
        taken.seek(0)
        return taken.read()


async def _ends_commands_beside_it(backend: Backend, dir: Path) -> None:
    told = spec(dir, "echo here; exec sleep 60")
    running = await start(backend, told)
    await printed(told, b"here")
    beat = 'echo begun; sh -c "while :; do date +%s%N >\\$CACHE_DIR/beat; sleep 0.02; done" & sleep 60'
    with told.stderr.open("ab") as out:
        broken_off = asyncio.create_task(running.exec(beat, stdout=out.fileno()))
        await _beats(dir)
        while not told.stderr.read_bytes():
            await asyncio.sleep(0.01)
        broken_off.cancel()
        with pytest.raises(asyncio.CancelledError):
            await broken_off
        assert told.stderr.read_bytes() == b"begun\n"
        await still(dir / "cache" / "beat")
        (dir / "cache" / "beat").unlink()
        endless = asyncio.create_task(running.exec(beat))
        await _beats(dir)
        await running.kill()
        assert await endless == 137
    await running.wait()
    await running.cleanup()
    await still(dir / "cache" / "beat")


async def _beats(dir: Path) -> None:
    while not (dir / "cache" / "beat").exists():
        await asyncio.sleep(0.01)


async def still(path: Path) -> None:
    """Nobody writes to this file."""
    before = path.read_bytes()
    await asyncio.sleep(0.2)
    assert path.read_bytes() == before


async def _tells_where_it_is_counted(backend: Backend, dir: Path) -> None:
    told = spec(dir, "x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo here; sleep 60")
    running = await start(backend, told)
    await printed(told, b"here")
    adopted = backend.adopt(told.dir, running.identity)
    for one in (running, adopted):
        reading = await _read(one)
        assert reading.memory is not None
        assert reading.memory > 20_000_000
        assert reading.cpu is not None
    await running.kill()
    await running.wait()
    await running.cleanup()
    assert (await _read(running)).memory is None


async def _read(running: Running) -> Reading:
    seats = {"job": await asyncio.to_thread(running.seat)}
    found = await asyncio.to_thread(read, seats) | await ask(seats)
    return found.get("job", Reading())


def given(dir: Path, name: str, path: str, read_only: bool = False, owned: bool = True) -> Bind:
    """A directory of this machine, for jobs."""
    (dir / name).mkdir(exist_ok=True)
    return Bind(dir / name, path, f"FLYNN_VOLUME_{name.upper()}", read_only, owned)


async def _keeps_what_is_written_to_a_bind(backend: Backend, dir: Path) -> None:
    binds = (given(dir, "data", "/var/lib/data"), given(dir, "inner", "/app/storage/inner"))
    write = 'for d in "$FLYNN_VOLUME_DATA" "$FLYNN_VOLUME_INNER"; do mkdir -p $d/d; echo one >>$d/d/f; cat $d/d/f; done'
    for times in (1, 2):
        told = replace(spec(dir, write), binds=binds, id=f"job-{times}", dir=dir / f"job-{times}")
        told.dir.mkdir()
        assert await output(backend, told) == ["one"] * 2 * times
    assert [(dir / name / "d" / "f").read_text() for name in ("data", "inner")] == ["one\none\n"] * 2
    if backend.name != "process":
        told = replace(spec(dir, 'echo "$FLYNN_VOLUME_DATA $FLYNN_VOLUME_INNER"; cat storage/inner/d/f'), binds=binds)
        assert await output(backend, told) == ["/var/lib/data /app/storage/inner", "one", "one"]


async def _lets_nobody_write_to_what_is_read_only(backend: Backend, dir: Path) -> None:
    photos = given(dir, "photos", "/photos", read_only=True, owned=False)
    (photos.source / "one.jpg").write_text("image")
    photos.source.chmod(0o777)
    told = spec(dir, 'cat "$FLYNN_VOLUME_PHOTOS/one.jpg"; (: >"$FLYNN_VOLUME_PHOTOS/two") 2>&1 | wc -l')
    lines = await output(backend, replace(told, binds=(photos,)))
    assert lines == (["image0"] if backend.name == "process" else ["image1"])
    assert (photos.source / "two").exists() == (backend.name == "process")


async def _does_not_start_without_a_bind(backend: Backend, dir: Path) -> None:
    told = replace(spec(dir, "echo ran"), binds=(given(dir, "data", "/data", owned=False),))
    (dir / "data").rmdir()
    if backend.name == "process":
        return
    with pytest.raises(NotStarted):
        await output(backend, told)
    assert not told.stdout.exists() or told.stdout.read_text() == ""
    assert not (dir / "data").exists()


def _cards() -> set[str]:
    return {line.partition(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}


async def _gives_the_network_that_it_can(backend: Backend, dir: Path) -> None:
    look = "cut -s -d: -f1 /proc/net/dev | tr -d ' ' | sort"
    before = _cards()
    wanted: dict[Network, list[str]] = {"host": [], "none": ["lo"], "own": ["eth0", "lo"]}
    for network, seen in wanted.items():
        told = replace(spec(dir, look), network=network, dir=dir / f"job-{network}")
        told.dir.mkdir()
        if network in backend.networks:
            found = await output(backend, told)
            after = _cards()  # Engines of other tests make networks and remove them.
            assert found == seen if seen else before & after <= set(found) <= before | after
        else:
            with pytest.raises(NotStarted, match=f"no network '{network}'"):
                await start(backend, told)
    assert (backend.no_own == "") == ("own" in backend.networks)


PARTS: list[Callable[[Backend, Path], Awaitable[None]]] = [
    _tells_what_it_runs, _hides_the_daemons_environment, _sources_profiles, _throws_changes_away, _tells_exit_codes,
    _sources_what_is_written_for_bash, _gives_a_build_a_source_to_change, _shows_what_lies_under_the_app,
    _numbers_its_process, _signals_all_processes, _leaves_nothing_behind,
    _ends_all_of_it_before_it_is_cleared_away, _reads_from_a_pipe,
    _reads_nothing_without_a_pipe, _adopts_what_runs, _finds_the_exit_code_of_what_ended,
    _takes_no_other_process_for_its_own, _runs_nothing_that_is_not_written_down, _runs_commands_beside_it,
    _ends_commands_beside_it, _tells_where_it_is_counted, _keeps_what_is_written_to_a_bind,
    _lets_nobody_write_to_what_is_read_only, _does_not_start_without_a_bind, _gives_the_network_that_it_can,
]  # fmt: skip
