"""The receipt of a deploy: what routers count of it between its beginning and its end. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from msgspec.structs import replace

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.route_stats import GridStats
from flynn.plugins.controller.jobs import jobs_of

OVER = 3600.0
"""What is told of an answer that took longer than the last class of duration."""

LEAVING = 60.0
"""Seconds after a deploy in which processes that it replaced may still end within its receipt."""

FEW = 20
"""Answers of a canary below which nothing is concluded from its errors."""

ENOUGH = 100
"""Passages that are kept at most: the first ones."""

Now = Mapping[str, model.Counted]
"""What each router that answered has counted for the app."""


def counted(started: float, told: GridStats) -> model.Counted:
    """One router's answer about the routes and services of an app."""
    releases: dict[str, model.Served] = {}
    for service in told.services.values():
        for name, tally in service.releases.items():
            before = releases.get(name, model.Served())
            releases[name] = model.Served(answers=before.answers + tally.answers, failed=before.failed + tally.failed)
    routes = told.routes.values()
    return model.Counted(
        started=started,
        releases=releases,
        failed=sum(route.answers.get("5xx", 0) for route in routes),
        held=sum(route.retries + route.replays for route in routes),
        durations=_summed([route.durations for route in routes]),
    )


def begun(deploy: model.Deploy, now: Now) -> model.Receipt:
    """The receipt of a deploy that has just begun."""
    words = (model.Passage(at=deploy.started, words=f"v{deploy.new} is made"),)
    return noted(
        model.Receipt(
            app=deploy.app, version=deploy.new, old=deploy.old, started=deploy.started, steps=words, before=dict(now)
        ),
        deploy,
    )


def noted(receipt: model.Receipt, deploy: model.Deploy) -> model.Receipt:
    """With what the deploy does now, if that is new."""
    words = deploy.reason if deploy.state == "running" else _outcome(deploy)
    at = deploy.ended or max(deploy.held, deploy.stepped)
    last = receipt.steps[-1] if receipt.steps else None
    if not words or (last and last.words == words) or len(receipt.steps) >= ENOUGH:
        return replace(receipt, state=deploy.state, reason=_why(deploy))
    step = model.Passage(at=max(at, last.at if last else at), words=words)
    return replace(receipt, state=deploy.state, reason=_why(deploy), steps=(*receipt.steps, step))


def summed(receipt: model.Receipt, now: Now, silent: Sequence[str], bounds: Sequence[float]) -> model.Receipt:
    """With what has been counted since it began. A router that has started anew meanwhile counts from there; one that
    was there but did not answer at the beginning counts from now on."""
    before = dict(receipt.before)
    for host, counts in now.items():
        known = before.get(host)
        if known is None or known.started != counts.started:
            new = counts.started >= receipt.started
            before[host] = model.Counted(started=counts.started) if new else counts
    served: dict[str, model.Served] = {}
    for host, counts in now.items():
        for name, total in counts.releases.items():
            was, sum_ = before[host].releases.get(name, model.Served()), served.get(name, model.Served())
            answers, failed = total.answers - was.answers, total.failed - was.failed
            if answers > 0:
                served[name] = model.Served(answers=sum_.answers + answers, failed=sum_.failed + failed)
    durations = Counter[int]()
    for host, counts in now.items():
        for number, (total_, was_) in enumerate(zip_longest(counts.durations, before[host].durations, fillvalue=0)):
            durations[number] += total_ - was_
    return replace(
        receipt,
        before=before,
        served=served,
        failed=sum(counts.failed - before[host].failed for host, counts in now.items()),
        held=sum(counts.held - before[host].held for host, counts in now.items()),
        slowest=_slowest(durations, bounds),
        silent=tuple(sorted({*receipt.silent, *silent})),
    )


def left(facts: Facts, deploy: model.Deploy, now: float) -> bool:
    """Whether a deploy that is over has nothing more to count: what it replaced has ended, or takes too long to."""
    leaving = any(job.stop and not job.ended for job in jobs_of(facts, deploy.app, ("services",)))
    return not leaving or now >= deploy.ended + LEAVING


def worse(facts: Facts, deploy: model.Deploy) -> str:
    """Why a canary does worse than what served before, as far as its answers tell; empty: it does not."""
    receipt = facts.receipts.get(f"{deploy.app}/{deploy.new}")
    if receipt is None:
        return ""
    mine = receipt.served.get(f"v{deploy.new}", model.Served())
    others = [served for name, served in receipt.served.items() if name != f"v{deploy.new}"]
    share = mine.failed / max(mine.answers, 1)
    usual = sum(one.failed for one in others) / max(sum(one.answers for one in others), 1)
    if mine.answers < FEW or share <= max(2 * usual, usual + 0.02):
        return ""
    return f"the canary answers {share:.1%} of its requests with errors, the others {usual:.1%}"


def _outcome(deploy: model.Deploy) -> str:
    return f"v{deploy.new} serves" if deploy.state == "complete" else f"{deploy.state}: {deploy.reason}"


def _why(deploy: model.Deploy) -> str:
    return deploy.reason if deploy.state in ("failed", "cancelled") else ""


def _summed(rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip_longest(*rows, fillvalue=0)))


def _slowest(durations: Mapping[int, int], bounds: Sequence[float]) -> float:
    last = max((number for number, count in durations.items() if count > 0), default=-1)
    return 0.0 if last < 0 else bounds[last] if last < len(bounds) else OVER
