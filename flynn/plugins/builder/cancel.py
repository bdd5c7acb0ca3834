"""A build that shall end before its time. Pure: the leader sees to it."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import latest, of_job
from flynn.core.change import Change
from flynn.core.errors import Conflict, NotFound
from flynn.core.facts import Facts

ASKED = "a user asked for it"


def find_build(facts: Facts, app: str, number: int) -> model.Build:
    """NotFound: there is no such app, or it has no such build (any more)."""
    if app not in facts.apps:
        raise NotFound(f"there is no app {app[:60]}")
    if build := facts.builds.get(f"{app}/{number}"):
        return build
    newest = latest(facts, app)
    known = f"the last one is {newest.number}" if newest else "it was never built"
    raise NotFound(f"{app} has no build {number}; {known} (`flynn build list -a {app}`)")


def cancel_build(facts: Facts, app: str, number: int, why: str = ASKED) -> Change:
    """Build `number` shall end, queued or running; nothing is released of it. NotFound. Conflict: it has ended."""
    build = find_build(facts, app, number)
    if build.state != "building":
        raise Conflict(_over(build), app=app, build=number)
    if build.cancel:
        return Change()
    return Change(puts={keys.build(app, number): replace(build, cancel=why)}, why=f"cancel build {build.job}")


def cancel_job(facts: Facts, app: str, job: str, why: str) -> Change:
    """The same by the job of the build, for whom it does not matter if it has ended already."""
    build = of_job(facts, app, job)
    if build is None or build.state != "building" or build.cancel:
        return Change()
    return cancel_build(facts, app, build.number, why)


def _over(build: model.Build) -> str:
    ended = f"build {build.number} of {build.app} has ended already"
    if build.state == "complete":
        return f"{ended}: it became v{build.release} (`flynn deploy --cancel -a {build.app}` ends a deploy under way)"
    return f"{ended}: {build.reason}"
