"""Where a deploy stands, read from a photo: its two releases, and how many jobs of each type do their work. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from flynn.core import model
from flynn.core.facts import Facts
from flynn.plugins.controller import one_writer
from flynn.plugins.controller.deploy.strategy import Part, Stage
from flynn.plugins.controller.jobs import Known, jobs_of, ready, slot_of, wanted_counts


@dataclass(frozen=True)
class Under:
    """A deploy under way. `counts`: how many are wanted by type, of either release. `new`, `old`: its jobs by type, but
    of types whose jobs are the same in both; those that are to stop are in `old` alone, those that ended in `new`.
    """

    deploy: model.Deploy
    was: model.Release | None
    release: model.Release
    counts: Mapping[str, int]
    new: Mapping[str, list[Known]]
    old: Mapping[str, list[Known]]
    ways: one_writer.Ways

    def target(self, type: str) -> int:
        """How many of a type of the new release there shall be after the step under way."""
        if type in self.deploy.whole:
            return self.counts[type]
        return min(self.deploy.target.get(type, self.deploy.moved.get(type, 0)), self.counts[type])

    def moved(self, type: str) -> int:
        """How many of a type the new release has taken over for good."""
        return (
            self.counts[type] if type in self.deploy.whole else min(self.deploy.moved.get(type, 0), self.counts[type])
        )

    @property
    def words(self) -> str:
        """What the step under way is about: `step 2: 3 web of v7`."""
        deploy = self.deploy
        more = {type: count - deploy.moved.get(type, 0) for type, count in sorted(deploy.target.items())}
        what = " and ".join(f"{count} {type}" for type, count in more.items() if count)
        return f"step {deploy.step}: {what} of v{deploy.new}"

    @property
    def replaced(self) -> int:
        """How many old processes run until those of the step under way do their work."""
        steps = {type: self.target(type) - self.moved(type) for type in self.new}
        return sum(min(more, len(self.old.get(type, ()))) for type, more in steps.items() if more > 0)


def under_way(facts: Facts, app: str) -> Under | None:
    """The deploy of an app, if one is under way and its release is there."""
    deploy = facts.deploys.get(app)
    release = facts.releases.get(f"{app}/{deploy.new}") if deploy and deploy.state == "running" else None
    if deploy is None or release is None:
        return None
    was = facts.releases.get(f"{app}/{facts.apps[app].release}")
    counts = (wanted_counts(facts, was) if was else {}) | wanted_counts(facts, release)
    olds = {slot_of(was, type) for type in was.processes} if was else set()
    news = {slot_of(release, type) for type in wanted_counts(facts, release)} - olds
    kept = {slot_of(release, type) for type in release.processes} & olds
    new: dict[str, list[Known]] = {type: [] for _, type in news}
    old: dict[str, list[Known]] = {type: [] for type in counts}
    for job in jobs_of(facts, app, ("services",)):
        slot = (job.job.release, job.job.type)
        if slot in news and not job.stop:
            new[job.job.type].append(job)
        elif slot in olds - kept and not job.ended:
            old[job.job.type].append(job)
    ways = one_writer.ways(was, release, counts) if was else one_writer.NONE
    return Under(deploy, was, release, counts, new, old, ways)


def stage(under: Under) -> Stage:
    """As a strategy sees it: without what is taken over already, and what is to make way at the end."""
    was = under.was.processes if under.was else {}
    parts = [
        Part(type, count, under.moved(type), type in was)
        for type in sorted(under.new)
        if (count := under.counts[type]) > under.moved(type) and type not in under.ways.new
    ]
    return Stage(parts, under.deploy.how, under.deploy.promoted)


def serving(facts: Facts, jobs: list[Known]) -> int:
    """How many of these do their work."""
    return sum(ready(facts, job) for job in jobs)
