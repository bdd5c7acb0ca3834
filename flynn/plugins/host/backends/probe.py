"""Trying a backend before jobs are started in it: which of its ways to make `/app` writable works on this machine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from flynn.core.errors import FlynnError
from flynn.plugins.host.backends.backend import Running, Spec
from flynn.plugins.host.trees import remove_tree

TRY = "echo b >a && mkdir d && mv a d/c && test ! -e a"

TAIL = 4096

Start = Callable[[Spec, str], Awaitable[Running]]
"""Starts a process in a mode."""


async def first_mode(dir: Path, modes: Sequence[str], start: Start, limit: float) -> tuple[str, str]:
    """The first that works within `limit` seconds; or empty, and why the last one does not. `dir` is made, and gone."""
    reason = ""
    for mode in modes:
        reason = await _tried(dir, mode, start, limit)
        if not reason:
            return mode, ""
    return "", reason


async def _tried(dir: Path, mode: str, start: Start, limit: float) -> str:
    """Why it does not work; empty if it does."""
    await asyncio.to_thread(_prepare, dir)
    spec = Spec("probe", TRY, {}, {"app": dir / "tree"}, dir)
    running: Running | None = None
    try:
        async with asyncio.timeout(limit):
            running = await start(spec, mode)
            code = await running.wait()
        return "" if code == 0 else last_line(spec.stderr) or f"its process ended with code {code}"
    except TimeoutError:
        return f"it did not start within {limit:g} s"
    except (FlynnError, OSError) as error:
        return str(error)
    finally:
        if running:
            await running.kill()
            await running.cleanup()
        await asyncio.to_thread(remove_tree, dir)


def last_line(path: Path) -> str:
    """Its last line, looked for at its end: a raw file says that it is as large as all that was ever printed."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, 2) - TAIL, 0))
        lines = file.read(TAIL).decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _prepare(dir: Path) -> None:
    remove_tree(dir)
    (dir / "tree").mkdir(parents=True)
    (dir / "tree" / "a").write_text("a\n")
