"""Exact drain (law 4): an instance may stop once every router has confirmed that it sends nothing to it any more."""

from flynn.core.facts import Facts


def drained(facts: Facts, instance: str, revision: int) -> bool:
    """Whether no router has or can get a request in flight on `SERVICE/INSTANCE`, draining since `revision`."""
    return facts.revision >= revision and all(
        router.revision >= revision and not router.draining.get(instance) for router in facts.routers.values()
    )
