"""Run by test_sqlite: commits without end to the store in a file, and prints `NUMBER REVISION` of each acknowledged.

python -m tests.core.commits FILE FIRST-NUMBER
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from flynn.core.sqlite import open_sqlite
from flynn.core.store import Put


async def main(file: Path, first: int) -> None:
    numbers = itertools.count(first)

    async def writer() -> None:
        for number in numbers:
            revision = await store.commit([Put(f"a/{number}", b"x" * 2000), Put(f"b/{number}", b"")])
            os.write(sys.stdout.fileno(), f"{number} {revision}\n".encode())

    async with open_sqlite(file) as store, asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(writer())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
