"""The builds of an app: the last of them, and those before. Pure."""

from flynn.core import model
from flynn.core.facts import Facts

KEPT = 20
"""Builds of an app that are remembered, the one under way included."""


CACHE = "build-"
"""How the names of caches of builds begin."""


def cache_of(app: model.App) -> str:
    """The name of the directory that the builds of an app find again. Another app of the name shall not find what this
    one had, however soon it comes."""
    return f"{CACHE}{app.name}-{int(app.created * 1000):x}"


def latest(facts: Facts, app: str) -> model.Build | None:
    """The build of the app that began last; only this one may be under way."""
    return max(facts.builds_of(app).values(), key=lambda build: build.number, default=None)


def under_way(facts: Facts, app: str) -> model.Build | None:
    """The build of the app that has not ended."""
    build = latest(facts, app)
    return build if build and build.state == "building" else None


def of_job(facts: Facts, app: str, job: str) -> model.Build | None:
    """The build that a job makes, or made; None: it is not remembered."""
    return next((build for build in facts.builds_of(app).values() if build.job == job), None)


def too_old(facts: Facts, app: str) -> list[int]:
    """The numbers of those to forget so that there is room for one more."""
    return sorted(build.number for build in facts.builds_of(app).values())[: -(KEPT - 1)]


def known_layers(facts: Facts, app: str) -> dict[str, str]:
    """The layers that releases of the app stand on: blobs, by their keys. Of one key the newest counts."""
    releases = sorted(facts.releases_of(app).values(), key=lambda release: release.version)
    return {key: sha256 for release in releases for key, sha256 in release.artifact.layers.items()}


def outcome(build: model.Build) -> str:
    """What became of one that has come to nothing, in a sentence."""
    if build.state == "cancelled":
        return f"build {build.number} of {build.app} was cancelled: {build.reason}"
    return f"build failed: {build.reason}"
