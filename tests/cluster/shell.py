"""Commands as they are typed, with the `flynn` that is tested."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.grid import Said

BIN = Path(sys.executable).parent


def here(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a shell that finds this `flynn` first, and knows of no grid but by them."""
    return {**environ, "PATH": f"{BIN}:{environ.get('PATH', '')}"}


async def shell(
    line: str, environ: Mapping[str, str], place: Path, limit: float, stdin: bytes = b"", until: str = ""
) -> Said:
    """What a line does that is typed in the directory `place`. `until`: once it has printed this, Ctrl-C is pressed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=here(environ),
        cwd=place, start_new_session=True,
    )  # fmt: skip
    out = bytearray()
    try:
        async with asyncio.timeout(limit):
            if until:
                assert process.stdout
                while until.encode() not in out:
                    piece = await process.stdout.read(65536)
                    assert piece, f"{line}: it ended without {until!r}\n{out.decode(errors='replace')}"
                    out += piece
                os.killpg(process.pid, signal.SIGINT)
            rest, err = await process.communicate(stdin)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        rest, err = await process.communicate()
        told = (bytes(out) + rest + err).decode(errors="replace")
        raise AssertionError(f"{line}: it took over {limit:g} s\n{told}") from None
    assert process.returncode is not None
    return Said(process.returncode, (bytes(out) + rest).decode(errors="replace"), err.decode(errors="replace"))
