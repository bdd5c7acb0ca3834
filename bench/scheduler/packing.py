"""S3: how few hosts jobs take. S4: how evenly one app is spread over hosts and zones meanwhile."""

from collections import Counter
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.run import Run
from bench.scheduler.ground import Placing
from bench.scheduler.mixes import MIXES, Mix, first_fit, job, least, singles

JOBS, SEEDS = 4_000, (1, 2, 3, 4, 5)
INSTANCES, SIZE, MORE = 120, (512, 250), 1.15
"""The app that is spread among the others, and how many times the hosts that are needed at least there are then."""


async def measure_packing(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    rows, shares, beside = [], [], []
    for mix in MIXES:
        bounds, firsts, ours = zip(*(_hosts(mix, seed) for seed in SEEDS), strict=True)
        shares.append(sum(bounds) / sum(ours))
        beside.append(sum(firsts) / sum(ours))
        rows.append([mix.what, *(" ".join(map(str, found)) for found in (bounds, firsts, ours)), f"{shares[-1]:.3f}"])
    run.show([f"{JOBS} jobs", "hosts at least", "by first fit", "by flynn", "share"], rows)
    return [
        Figure("S3a", min(shares), ">=", 0.90, "hosts at least : hosts used, the worst mix"),
        Figure("S3b", min(beside), ">=", 1.0, "hosts used by first fit : by flynn, the worst mix"),
    ]


def _hosts(mix: Mix, seed: int) -> tuple[int, int, int]:
    """Hosts at least, by first fit, and as placed."""
    jobs = singles(mix, JOBS, seed)
    bound = least(jobs)
    placing = Placing(2 * bound, jobs)
    places = placing.placed(jobs)
    if len(places) != len(jobs):
        raise NotMeasured(f"{len(jobs) - len(places)} of {len(jobs)} jobs got no place")
    return bound, first_fit(jobs), len({a.host for a in places})


async def measure_spread(run: Run, work: Path) -> list[Figure]:
    """NotMeasured."""
    rows = []
    found = [_spread(mix, seed) for mix in MIXES for seed in SEEDS]
    for mix, at in zip(MIXES, range(0, len(found), len(SEEDS)), strict=True):
        mine = found[at : at + len(SEEDS)]
        rows.append([mix.what, *(" ".join(f"{each[n]:.3g}" for each in mine) for n in range(3))])
    run.show([f"{JOBS} jobs, {INSTANCES} of one app", "over hosts", "over zones", "hosts at least : used"], rows)
    hosts, zones, shares = zip(*found, strict=True)
    return [
        Figure("S4a", max(hosts), "<=", 1, "most - least of one app on the hosts that can take it"),
        Figure("S4b", max(zones), "<=", 1, "the same over zones"),
        Figure("S4c", min(shares), ">=", 0.85, "hosts at least : hosts used, meanwhile"),
    ]


def _spread(mix: Mix, seed: int) -> tuple[int, int, float]:
    """One app comes when half of the others are there: the most less the least of it on hosts, and in zones; and how
    well all are packed at the end."""
    others = singles(mix, JOBS, seed)
    mine = [job("spread", number, SIZE, JOBS + number) for number in range(INSTANCES)]
    bound = least([*others, *mine])
    placing = Placing(round(MORE * bound), [*others, *mine])
    first = placing.placed(others[: JOBS // 2])
    places = placing.placed(mine)
    on_hosts = Counter(a.host for a in places)
    on_zones = Counter(dict.fromkeys(placing.zones.values(), 0))
    on_zones.update(placing.zones[a.host] for a in places)
    could = [on_hosts[name] for name in placing.could(mine[0], on_hosts)]
    last = placing.placed(others[JOBS // 2 :])
    used = len({a.host for a in (*first, *places, *last)})
    if len(first) + len(places) + len(last) != JOBS + INSTANCES:
        raise NotMeasured("a job got no place, though there is room")
    return max(could) - min(could), max(on_zones.values()) - min(on_zones.values()), bound / used
