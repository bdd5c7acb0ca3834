"""Why a job is where it is, or why it waits: each host, its score or its refusal, by the ground of now. Pure."""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from flynn.core import model
from flynn.core.errors import NotFound
from flynn.core.explained import Explained, Verdict
from flynn.core.facts import Facts
from flynn.plugins.controller import place_volumes
from flynn.plugins.controller.job_of import job_of
from flynn.plugins.controller.jobs import RELEASE, Known, find_job, jobs_of, slot_of
from flynn.plugins.controller.place import Ground, choose
from flynn.plugins.controller.place_refusals import asked, refusal
from flynn.plugins.controller.place_site import placement_of, want_of
from flynn.plugins.controller.place_starting import NO_LIMIT

FIRST = {"queued": 0, "next": 2}


def explain_job(facts: Facts, id: str, most_starting: Mapping[str, int] = NO_LIMIT) -> Explained:
    """One job that is queued or assigned. NotFound: there is none of that name."""
    found = find_job(facts, id)
    if found is None or found.ended:
        raise NotFound(f"no job {id[:80]!r} waits or runs; `flynn ps` lists those that do", job=id[:80])
    return _explain(facts, Ground.of(facts, most_starting), found)


def explain_app(facts: Facts, app: str, most_starting: Mapping[str, int] = NO_LIMIT) -> list[Explained]:
    """For each type of the release that serves: the first job of it that waits, or the next one that there would be.

    Then all else of the app that waits, one of each kind.
    """
    ground, waiting = Ground.of(facts, most_starting), _waiting(facts, app)
    release = facts.releases.get(f"{app}/{facts.apps[app].release}")
    found = [_explain(facts, ground, jobs[0], len(jobs) - 1) for jobs in waiting.values()]
    for type in release.processes if release else ():
        if release and type != RELEASE and ("services", *slot_of(release, type)) not in waiting:
            job = replace(job_of(release, type, "services", "", 0.0), release=slot_of(release, type)[0])
            found.append(_explain(facts, ground, Known(job, "")))
    return sorted(found, key=lambda one: (FIRST.get(one.state, 1), one.type, one.release))


def _waiting(facts: Facts, app: str) -> dict[tuple[str, int, str], list[Known]]:
    """The jobs of an app that have no host, by their kind, the oldest first."""
    waiting: dict[tuple[str, int, str], list[Known]] = {}
    for one in sorted(jobs_of(facts, app), key=lambda one: (one.job.created, one.job.id)):
        if not one.host:
            waiting.setdefault((one.job.queue, one.job.release, one.job.type), []).append(one)
    return waiting


def _explain(facts: Facts, ground: Ground, one: Known, behind: int = 0) -> Explained:
    job, queued = one.job, facts.queues.get(f"{one.job.queue}/{one.job.id}")
    own = facts.jobs.get(f"{one.host}/{job.id}") if one.host else None
    if own:
        ground.release(own, starting=one.state is None or one.state.state == "starting")
    state = one.state.state if one.state else "starting" if one.host else "queued" if job.id else "next"
    reason = one.state.reason if one.state else queued.reason if queued else ""
    if own and not one.state and own.after:
        reason = f"begins once {', '.join(own.after)} has ended there, which makes way"
    if not one.host:
        reason = choose(facts, ground, job)[1] or reason
    verdicts = sorted(_verdicts(facts, ground, job, one.host), key=_order)
    ground.restore()
    return Explained(
        app=job.app, type=job.type, release=job.release, state=state, id=job.id, host=one.host, reason=reason,
        waiting=behind, memory=job.memory, cpu=job.cpu_reserve, placement=placement_of(facts, job),
        hosts=tuple(verdicts),
    )  # fmt: skip


def _order(verdict: Verdict) -> tuple[bool, int, int, float, str, str]:
    """As places are given: see `Ground.lowest`."""
    return bool(verdict.refusal), verdict.in_zone, verdict.on_host, verdict.fit, verdict.zone, verdict.host


def _verdicts(facts: Facts, ground: Ground, job: model.Job, host: str) -> Iterator[Verdict]:
    columns, want = ground.columns, want_of(facts, job)
    spread, scores = ground.spreads.get(want.kind), ground.scores(want.demand)
    bound, _ = place_volumes.bound(facts, job, ground.writer)
    for row, site in enumerate(columns.sites):
        if site is None:
            continue
        name, zone = columns.names[row], columns.zone[row]
        refused = refusal(ground, row, want)
        if bound and name != bound:
            refused = f"has not its volume {place_volumes.named(facts, job, bound)}, which is on {bound}"
        elif refused.startswith("has "):
            refused += f", {asked(want.demand)} asked"
        yield Verdict(
            host=name, zone=site.zone, refusal=refused, here=name == host,
            in_zone=spread.zones[zone] if spread else 0, on_host=spread.rows.get(row, 0) if spread else 0,
            fit=0.0 if refused else round(float(scores[row]), 6),
        )  # fmt: skip
