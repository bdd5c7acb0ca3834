"""The command `flynn` as a process of its own, as a user runs it."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """What the process wrote, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs `flynn WORDS...` in `cwd`, with variables of its own."""

    cwd: Path
    environ: dict[str, str]

    async def spawn(self, *words: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FLYNN_")}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "flynn", *words, stdin=pipe, stdout=pipe, stderr=pipe, cwd=self.cwd,
            env=kept | {"FLYNN_DATA": str(self.cwd / "no-data"), "PYTHONWARNINGS": "error"} | self.environ,
        )  # fmt: skip

    async def __call__(self, *words: str, stdin: bytes = b"") -> Result:
        process = await self.spawn(*words)
        out, err = await asyncio.wait_for(process.communicate(stdin), 30)
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())
