"""How what a buildpack prints is passed on: live, indented, and with a word about whoever keeps silent."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

LIMIT = 20.0


@asynccontextmanager
async def running(kit: Path, script: str, quiet: float = 60.0) -> AsyncIterator[asyncio.StreamReader]:
    """What `run` prints while it runs a shell script."""
    words = f"['sh', '-c', {script!r}], '/', dict({{}}), {quiet}"
    program = f"import sys; from inside.run import run; sys.exit(run({words}).code)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-B", "-c", program, cwd=kit, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            yield process.stdout
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_line_is_shown_before_it_is_whole(tmp_path: Path, kit: Path) -> None:
    os.mkfifo(tmp_path / "go")
    async with running(kit, f"printf 'connecting '; read x <{tmp_path}/go; echo done") as output:
        assert await output.readuntil(b"connecting ") == b"       connecting "
        (tmp_path / "go").write_text("now\n")
        assert await output.read() == b"done\n"


async def test_what_is_marked_is_not_indented_in_whatever_pieces_it_comes(tmp_path: Path, kit: Path) -> None:
    script = f"printf -- '--'; read x <{tmp_path}/go; printf -- '---> Step\\nplain\\n'; printf ' !'"
    os.mkfifo(tmp_path / "go")
    async with running(kit, script) as output:
        (tmp_path / "go").write_text("now\n")
        assert await output.read() == b"-----> Step\n       plain\n !"


async def test_what_is_marked_in_colour_is_not_indented_either(tmp_path: Path, kit: Path) -> None:
    """As Heroku's buildpacks print their errors; here one comes in three pieces, cut in its colour and in its mark."""
    first, second = tmp_path / "first", tmp_path / "second"
    script = (
        f"printf '\\033[1;3'; read x <{first}; printf '1m '; read x <{second}; printf '!  Wrong\\033[0m\\n';"
        "printf '\\033[1;34m----->\\033[0m Step\\n\\033[32mplain\\033[0m\\n\\033[2Kx\\n\\033[1'"
    )
    for gate in (first, second):
        os.mkfifo(gate)
    async with running(kit, script) as output:
        for gate in (first, second):
            gate.write_text("now\n")
        assert (await output.read()).splitlines() == [
            b"\x1b[1;31m !  Wrong\x1b[0m",
            b"\x1b[1;34m----->\x1b[0m Step",
            b"       \x1b[32mplain\x1b[0m",
            b"       \x1b[2Kx",
            b"\x1b[1",
        ]


async def test_who_keeps_silent_is_named(tmp_path: Path, kit: Path) -> None:
    os.mkfifo(tmp_path / "go")
    async with running(kit, f"(exec cat {tmp_path}/go >/dev/null); echo done", quiet=0.5) as output:
        lines = [await output.readline() for _ in range(2)]
        assert lines == [f"       (cat has said nothing for {s} s)\n".encode() for s in ("0.5", "1")]
        (tmp_path / "go").write_text("now\n")
        assert (await output.read()).endswith(b"       done\n")


TOLD_AT_ONCE = """
import os, signal, time
from inside import BuildFailed
from inside.__main__ import limit_time
from inside.run import run_here
limit_time()
fork = os.fork
def told():
    if pid := fork():
        os.kill(os.getpid(), signal.SIGTERM)
    return pid
os.fork = told
try:
    run_here(lambda: time.sleep(60), '/', {})
except BuildFailed as error:
    print(error)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nothing is left")
"""


async def test_a_build_that_is_told_to_end_while_it_forks_leaves_nothing(kit: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-B", "-c", TOLD_AT_ONCE, cwd=kit, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LIMIT):
        said, _ = await process.communicate()
    assert said == b"the build was stopped\nnothing is left\n"
