"""The facts of an app, of an app's queue, and of a host, found without looking at those of others."""

from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.core.facts import Facts, encode
from flynn.core.model import Assignment, Job, JobState, Queued, Record, Release, Sink, Volume
from flynn.core.store import Batch, Item

SLUG = model.Artifact(sha256="a" * 64)


def records() -> dict[str, Record]:
    """Of two apps, in all queues, on two hosts."""
    found: dict[str, Record] = {}
    for app in ("a", "a-b"):
        found[keys.release(app, 1)] = Release(app=app, version=1, created=1.0, artifact=SLUG, processes={})
        found[keys.volume(app, "v")] = Volume(app=app, name="v", id=f"{app}-v", created=1.0)
        found[keys.sink(f"s-{app}")] = Sink(id=f"s-{app}", url="u", created=1.0, app=app)
        for queue in model.QUEUES:
            for host in ("h", "i"):
                job = Job(id=f"{app}-{queue}-{host}", app=app, type="t", queue=queue, command="c", created=1.0)
                found[keys.queued(queue, job.id)] = Queued(job=job)
                found[keys.job(host, job.id)] = Assignment(job=job, host=host, assigned=1.0)
                found[keys.state(host, job.id)] = JobState(
                    id=job.id, app=app, type="t", queue=queue, release=1, host=host, state="up", since=1.0, created=1.0
                )  # fmt: skip
    return found


RECORDS = records()
COMMITS = st.lists(st.dictionaries(st.sampled_from(sorted(RECORDS)), st.booleans(), min_size=1), max_size=8)


@given(COMMITS)
def test_what_is_found_is_what_a_look_at_all_finds(commits: list[dict[str, bool]]) -> None:
    facts = Facts()
    for revision, written in enumerate(commits, start=1):
        puts = tuple(Item(key, encode(RECORDS[key]), revision, revision) for key, here in written.items() if here)
        facts = facts.after(Batch(revision, puts, tuple(key for key, here in written.items() if not here)))
    for app in ("a", "a-b", "none"):
        assert facts.releases_of(app) == {key: r for key, r in facts.releases.items() if r.app == app}
        assert facts.volumes_of(app) == {key: v for key, v in facts.volumes.items() if v.app == app}
        assert facts.sinks_of(app) == {key: s for key, s in facts.sinks.items() if s.app == app}
        for queue in model.QUEUES:
            mine = (app, queue)
            assert facts.queued_of(*mine) == {k: q for k, q in facts.queues.items() if (q.job.app, q.job.queue) == mine}
            assert facts.jobs_of(*mine) == {k: a for k, a in facts.jobs.items() if (a.job.app, a.job.queue) == mine}
            assert facts.states_of(*mine) == {k: s for k, s in facts.states.items() if (s.app, s.queue) == mine}
    hosts = {host: {k: a for k, a in facts.jobs.items() if a.host == host} for host in ("h", "i")}
    assert facts.jobs_by_host == {host: jobs for host, jobs in hosts.items() if jobs}
