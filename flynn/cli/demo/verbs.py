"""The real command line, typed for the reader: each verb is a process of its own."""

import asyncio
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flynn.cli.demo.grid import Grid, command, environment
from flynn.cli.demo.transcript import NotSo, answered, typed

APP = "hello"

SHOWN = 24
"""Lines of an answer that the transcript shows; of a longer one the first and the last."""


@dataclass(frozen=True)
class Verbs:
    """Runs `flynn WORDS...` against the demo's grid, with the demo's app."""

    grid: Grid

    async def __call__(self, *words: str) -> str:
        """Type it, show what it answers as it comes; the answer. NotSo: it failed."""
        typed("flynn " + shlex.join(words))
        return await self._run(words, shown=SHOWN)

    async def json(self, *words: str) -> Any:
        """The answer of a reading verb as data, not shown."""
        return json.loads(await self._run([*words, "--json"], shown=0))

    async def _run(self, words: Sequence[str], shown: int) -> str:
        process = await asyncio.create_subprocess_exec(
            *command(words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            stdin=asyncio.subprocess.DEVNULL, cwd=self.grid.top,
            env=environment(FLYNN_DATA=str(self.grid.data), FLYNN_APP=APP),
        )  # fmt: skip
        try:
            lines = await self._read(process, shown)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self.grid.look()
        if code:
            raise NotSo(f"'flynn {shlex.join(words)}' ended with exit code {code}: {' / '.join(lines[-3:])}")
        return "\n".join(lines)

    async def _read(self, process: asyncio.subprocess.Process, shown: int) -> list[str]:
        assert process.stdout is not None
        lines: list[str] = []
        async for raw in process.stdout:
            lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
            if len(lines) <= shown - 8:
                answered(lines[-1])
        rest = lines[max(shown - 8, 0) :] if shown else []
        if len(rest) > 8:
            answered(f"... {len(rest) - 8} lines more ...")
        for line in rest[-8:]:
            answered(line)
        return lines
