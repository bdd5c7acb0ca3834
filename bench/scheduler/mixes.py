"""Seeded mixes of jobs, and what hosts they would take at least, and by first fit. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from flynn.core.model import Job

MEMORY, CORES = 65_536, 16
"""What each host has: MiB, cores."""

Size = tuple[int, int]
"""MiB, thousandths of a core."""


@dataclass(frozen=True)
class Mix:
    """Sizes that are drawn alike often."""

    what: str
    sizes: Sequence[Size]


def _each(memory: Sequence[int], cpu: Sequence[int]) -> list[Size]:
    return [(m, c) for m in memory for c in cpu]


MIXES = (
    Mix("web processes: 128 MiB to 2 GiB, 0.1 to 1 core", _each((128, 256, 512, 1024, 2048), (100, 250, 500, 1000))),
    Mix("memory alone: 256 MiB to 9 GiB", _each((256, 512, 1024, 4096, 9000), (0,))),
    Mix(
        "sizes that a cloud sells, and some between",
        ((512, 250), (1024, 250), (2048, 500), (4096, 1000), (8192, 2000), (16_384, 2000), (6000, 3000)),
    ),
    Mix("half of them need memory, half CPU", ((16_384, 500), (8192, 1000), (1024, 4000), (2048, 3000), (4096, 1000))),
    Mix(
        "large ones, two to eight a host, and smaller ones",
        ((8192, 1000), (16_384, 2000), (24_000, 1500), (9000, 4000), (4096, 5000), (1024, 500), (2048, 250)),
    ),
)

INSTANCES: Mapping[int, float] = MappingProxyType({1: 0.5, 2: 0.2, 3: 0.15, 5: 0.08, 10: 0.05, 100: 0.015, 300: 0.005})
"""How many processes an app has, and which part of the apps has so many."""


def singles(mix: Mix, count: int, seed: int) -> list[Job]:
    """Jobs that are alone in their apps."""
    chance = random.Random(seed)
    return [job(f"app-{number}", 0, chance.choice(mix.sizes), number) for number in range(count)]


def apps(count: int, seed: int) -> list[Job]:
    """Jobs of apps with many processes and with few, in no order."""
    chance, found = random.Random(seed), list[Job]()
    while len(found) < count:
        name, size = f"app-{len(found)}", chance.choice(MIXES[0].sizes)
        (processes,) = chance.choices(list(INSTANCES), list(INSTANCES.values()))
        found += [job(name, number, size, len(found)) for number in range(processes)]
    chance.shuffle(found)
    return found[:count]


def job(app: str, number: int, size: Size, created: float) -> Job:
    memory, cpu = size
    return Job(
        id=f"{app}-web-{number}", app=app, type="web", queue="services", command="exec sleep 1000000", created=created,
        release=1, memory=memory, cpu_reserve=cpu,
    )  # fmt: skip


def least(jobs: Sequence[Job]) -> int:
    """Fewer hosts cannot have them all: by memory, and by CPU."""
    memory, cpu = sum(job.memory for job in jobs), sum(job.cpu_reserve for job in jobs)
    return max(-(-memory // MEMORY), -(-cpu // (CORES * 1000)))


def first_fit(jobs: Sequence[Job]) -> int:
    """How many hosts take them, each job on the first that has room."""
    left: list[list[int]] = []
    for each in jobs:
        for host in left:
            if host[0] >= each.memory and host[1] >= each.cpu_reserve:
                break
        else:
            host = [MEMORY, CORES * 1000]
            left.append(host)
        host[0] -= each.memory
        host[1] -= each.cpu_reserve
    return len(left)
