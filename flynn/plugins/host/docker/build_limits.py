"""What the steps of a Dockerfile may take at most.

The engine's builder is told of memory, CPU and open files, and makes their containers so. It cannot be told how many
processes one may have: so each container is, once the builder has named it, which it does before it starts it. What has
begun more of them until then begins no further ones.
"""

import logging
import re
from typing import Any

import msgspec
from aiodocker import Docker, DockerError

from flynn.plugins.host.backends.backend import Limits

log = logging.getLogger(__name__)

RUNNING = re.compile(r" ---> Running in ([0-9a-f]{12})$")
"""How the builder names the container of a step."""

PERIOD = 100_000
"""Microseconds of a period in which a build has its share of the CPUs."""

SHARES = 102
"""Of 1024, where CPUs are short."""


def told(limits: Limits) -> dict[str, str]:
    """For the builder (Docker Engine API, "ImageBuild")."""
    memory, quota = _figures(limits)
    found = {
        "memory": str(memory), "memswap": str(memory), "cpuperiod": str(PERIOD), "cpuquota": str(quota),
        "cpushares": str(SHARES),
    }  # fmt: skip
    files = [{"Name": "nofile", "Soft": limits.files, "Hard": limits.files}]
    return found | ({"ulimits": msgspec.json.encode(files).decode()} if limits.files else {})


async def hold(client: Docker, line: str, limits: Limits, network: str) -> str:
    """Limit the processes of a step, if this line of the builder's names its container; which that is ("": none).

    A step may print such a line too, so it must be a container that was made as these are.
    """
    found = RUNNING.match(line)
    if not found:
        return ""
    step = ""
    try:
        shown = await client.containers.container(found[1]).show()
        if not _is_step(shown, limits, network):
            return step
        step = found[1]
        if limits.pids and shown["State"]["Status"] in ("created", "running"):
            said = {"PidsLimit": limits.pids}
            await client._query_json(f"containers/{step}/update", "POST", data=said)
    except DockerError as error:
        if error.status != 404:  # It has ended.
            log.info("the processes of step %s are not limited: %s", found[1], error.message)
    return step


def _is_step(shown: Any, limits: Limits, network: str) -> bool:
    host, (memory, quota) = shown["HostConfig"], _figures(limits)
    made = (host["Memory"], host["CpuQuota"], host["CpuPeriod"], host["CpuShares"])
    on = (network,) if network else ("default", "bridge")  # As later engines call it.
    return made == (memory, quota, PERIOD, SHARES) and host["NetworkMode"] in on


def _figures(limits: Limits) -> tuple[int, int]:
    """Bytes of memory, and microseconds of CPU in each period (0: any number)."""
    return limits.memory << 20, int(limits.cpus * PERIOD)
