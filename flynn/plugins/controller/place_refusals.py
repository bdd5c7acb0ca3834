"""Why a host does not take a job, and why none does, in words. Pure."""

import re
from collections import Counter
from functools import lru_cache

from flynn.plugins.controller.place_ground import Ground
from flynn.plugins.controller.place_site import CORE, Demand, Site, Want, unfit

NAMED = 5
"""Hosts up to which each one's refusal is told; of more it is told how many refuse for the same reason."""

NUMBER = re.compile(r"\d+(\.\d+)?")


def refusal(ground: Ground, row: int, want: Want) -> str:
    """Why the host of a row does not take a job now, in words that follow its name; empty: it does."""
    site = ground.columns.sites[row]
    if site is None:
        return "is away"
    demand = want.demand
    return unfit(site, demand.needs) or _full(ground, row, site, demand) or _crowded(ground, row, want)


def none_fits(ground: Ground, want: Want) -> str:
    """Why no host takes a job."""
    up = [row for row, site in enumerate(ground.columns.sites) if site]
    if not up:
        return "no host is up"
    names = ground.columns.names
    told = {names[row]: refusal(ground, row, want) for row in up}
    short = any(said.startswith("has ") for said in told.values())
    begin = f"no host has room for {asked(want.demand)}: " if short else ""
    if len(told) <= NAMED:
        return begin + "; ".join(f"{name} {said}" for name, said in sorted(told.items()))
    return begin + _counted(told)


@lru_cache(1024)
def _words(reason: str) -> str:
    return NUMBER.sub("", reason)


def _full(ground: Ground, row: int, site: Site, demand: Demand) -> str:
    columns = ground.columns
    memory, cpu = columns.memory[row], columns.cpu[row]
    if demand.memory > memory:
        return f"has {max(memory, 0):.0f} MiB of {site.memory} free"
    if demand.cpu and demand.cpu > cpu:
        return f"has {cores(max(cpu, 0))} of {cores(site.cpu)} cores free"
    if demand.build and columns.builds[row] < 1:
        most = site.builds
        return f"runs {most} build{'s' if most > 1 else ''} already, as many as it may at once"
    if (held := ground.starting.held(demand.starts)) is not None and held[row]:
        return (
            f"starts {ground.starting.counts[demand.starts][columns.names[row]]} of the queue {demand.starts} already"
        )
    return ""


def _crowded(ground: Ground, row: int, want: Want) -> str:
    _, kind, most = want
    spread = ground.spreads.get(kind)
    count = spread.rows.get(row, 0) if spread else 0
    return f"runs {count} {kind[2]} of {kind[0]} already, as many as it may" if most and count >= most else ""


def asked(demand: Demand) -> str:
    """What a job asks, in words."""
    return f"{demand.memory} MiB" + (f" and {cores(demand.cpu)} cores" if demand.cpu else "")


def cores(cpu: float) -> str:
    """Thousandths of a core as cores."""
    return f"{cpu / CORE:g}"


def _counted(told: dict[str, str]) -> str:
    """How many hosts refuse in the same words, most first; with the one that has the most room."""
    alike: dict[str, list[str]] = {}
    for said in told.values():
        alike.setdefault(NUMBER.sub("", said), []).append(said)
    parts = []
    for same in sorted(alike.values(), key=lambda same: (-len(same), same[0])):
        most = max(same, key=lambda said: (_first_number(said), said))
        said = f"at most {most}" if most.startswith("has ") else Counter(same).most_common(1)[0][0]
        parts.append(f"{len(same)} of {len(told)} hosts: {said}")
    return "; ".join(parts)


def _first_number(said: str) -> float:
    found = NUMBER.search(said)
    return float(found[0]) if found else 0.0
