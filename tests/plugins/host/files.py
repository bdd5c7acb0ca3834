"""A daemon's process with very many open files, that starts one job: `python -m tests.plugins.host.files DATA BACKEND`.

It prints what the job says of its own limits, soft and hard, then its own limit.
"""

import asyncio
import sys
from pathlib import Path

from flynn.core import files
from tests.contract.backend import output, spec
from tests.plugins.host.conftest import KINDS

MANY = 2000
"""More than jobs may have: what they inherit has numbers above their limit."""


async def main(data: Path, kind: str) -> None:
    files.raise_limit()
    kept = [open("/dev/null") for _ in range(MANY)]  # noqa: SIM115
    backend = KINDS[kind](data / "backend")
    await backend.open()
    (data / "job").mkdir()
    print(*await output(backend, spec(data, "ulimit -Sn; ulimit -Hn")), files.limit())
    for file in kept:
        file.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
