"""Parts of the contract with the backend docker, as an ordinary user: `python -m tests.plugins.host.ordinary DIR USER`.

All is imported before this process becomes that user, who may not be able to read this Python.
"""

import asyncio
import concurrent.futures.thread  # noqa: F401 (imported late, by asyncio)
import encodings.idna  # noqa: F401 (imported late, by socket)
import os
import sys
from pathlib import Path

import psutil

from flynn.plugins.host.docker import machine, overlay
from flynn.plugins.host.docker.docker import DockerBackend
from tests.contract import backend as contract

PARTS = (contract._throws_changes_away, contract._signals_all_processes, contract._leaves_nothing_behind)


async def main(dir: Path) -> None:
    backend = DockerBackend(dir / "backend")
    await backend.open()
    for part in PARTS:
        (dir / part.__name__ / "job").mkdir(parents=True)
        await part(backend, dir / part.__name__)
    print(backend.mode, overlay.owner())


list(psutil.process_iter())
machine.archive()
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
asyncio.run(main(Path(sys.argv[1])))
