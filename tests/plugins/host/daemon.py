"""An agent in a process of its own, which tests kill: `python -m tests.plugins.host.daemon DATA BACKEND NETWORK`.

It runs one job that prints numbers, and prints its pid, then again and again how many lines are in its log.
"""

import asyncio
import sys
from pathlib import Path

from tests.plugins.host.rig import open_rig

COUNT = "i=0; while :; do echo $i; i=$((i+1)); [ $((i % 20)) -eq 0 ] && sleep 0.02; done"


async def main(data: Path, backend: str, network: str) -> None:
    async with open_rig(data, backend=backend) as rig:
        await rig.assign(rig.job("worker-1", COUNT, files={"a": "b"}, network=network))
        async with rig.running():
            up = await rig.state("worker-1", "up")
            print(up.pid, flush=True)
            while True:
                if lines := await rig.printed("worker-1"):
                    print(int(lines[-1]) + 1, flush=True)
                await asyncio.sleep(0.05)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
