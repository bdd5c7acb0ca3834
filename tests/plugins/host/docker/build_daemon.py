"""An agent in a process of its own, which tests kill: `python -m tests.plugins.host.docker.build_daemon DATA IMAGE`.

It has a Dockerfile built whose step does not end, and prints a line once that step runs.
"""

import asyncio
import sys
from pathlib import Path

from tests.plugins.host.docker.test_image_build import build
from tests.plugins.host.rig import open_rig


async def main(data: Path, image: str) -> None:
    async with open_rig(data, backend="docker") as rig, rig.running():
        await rig.assign(build(rig, "build-1", {"Dockerfile": f"FROM {image}\nRUN echo on; exec sleep 600\n"}))
        while "       on" not in await rig.printed("build-1"):
            await asyncio.sleep(0.05)
        print("on", flush=True)
        await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
