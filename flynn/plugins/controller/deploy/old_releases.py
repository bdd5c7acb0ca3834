"""Releases that nobody goes back to any more: the last ones are kept, with their receipts. Pure."""

from flynn.core import keys
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import jobs_of

KEPT = 10
"""Releases of an app that are kept beside the one that serves."""

AT_ONCE = 40
"""Releases removed in one commit, each with its receipt."""


def clear_old(facts: Facts, app: str) -> list[Change]:
    """A commit's worth of what is too old: none while a deploy is under way, and never what serves or has jobs."""
    releases, deploy = facts.releases_of(app), facts.deploys.get(app)
    if len(releases) <= KEPT + 1 or (deploy and deploy.state == "running"):
        return []
    used = {facts.apps[app].release, *(job.job.release for job in jobs_of(facts, app))}
    idle = sorted((release.version for release in releases.values() if release.version not in used), reverse=True)
    if not (old := idle[KEPT:][-AT_ONCE:]):
        return []
    receipts = [keys.receipt(app, version) for version in old if f"{app}/{version}" in facts.receipts]
    deletes = (*(keys.release(app, version) for version in old), *receipts)
    why = f"forget releases of {app} before v{max(old) + 1}, but for those in use"
    return [Change(deletes=deletes, seen=(keys.app(app), keys.deploy(app)), why=why)]
