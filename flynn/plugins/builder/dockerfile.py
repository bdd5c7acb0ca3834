"""Which way an app is built: by buildpacks, or by the engine of a host, as its Dockerfile says. Pure."""

from collections.abc import Collection

from flynn.core.facts import Facts

DOCKERFILE = "Dockerfile"
BUILDPACKS = ".buildpacks"
WATCHED = frozenset({DOCKERFILE, BUILDPACKS})
"""Names at the top of a source that tell how it is to be built."""


def by_engine(facts: Facts, app: str, names: Collection[str]) -> bool:
    """Whether an engine builds the source that has these names at its top: there is a Dockerfile and a host with an
    engine, and nobody has named buildpacks."""
    found = facts.apps.get(app)
    set_so = found is not None and bool(found.buildpacks or found.env.get("BUILDPACK_URL"))
    return (
        DOCKERFILE in names
        and BUILDPACKS not in names
        and not set_so
        and any(host.images for host in facts.hosts.values())
    )
