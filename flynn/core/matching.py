"""Which hosts jobs of a type may be on, and how many of them that makes. Pure."""

from flynn.core import model
from flynn.core.facts import Facts

ANYWHERE = model.Placement()


def tags(facts: Facts, host: model.Host) -> dict[str, str]:
    """The tags of a host: its own, with those of its operator over them."""
    wish = facts.wishes.get(host.name)
    if wish is None or not wish.tags:
        return dict(host.tags)
    return {name: value for name, value in {**host.tags, **wish.tags}.items() if value}


def draining(facts: Facts, host: str) -> bool:
    """Whether a host gets no new job, and is left by those that it has."""
    wish = facts.wishes.get(host)
    return wish is not None and wish.drained > 0


def lacking(facts: Facts, host: model.Host, placement: model.Placement) -> list[str]:
    """The tags that a host has not and that jobs need, as `disk=ssd`."""
    if not placement.tags:
        return []
    has = tags(facts, host)
    return [f"{tag}={value}" for tag, value in sorted(placement.tags.items()) if has.get(tag) != value]


def placement(facts: Facts, app: str, type: str) -> model.Placement:
    """Where service jobs of a type may be, as the app's formation says now."""
    formation = facts.formations.get(app)
    return formation.placement.get(type, ANYWHERE) if formation else ANYWHERE


def wanted(facts: Facts, app: str, type: str) -> int:
    """How many processes of a type an app shall have in all."""
    formation = facts.formations.get(app)
    count = formation.counts.get(type, 0) if formation else 0
    where = placement(facts, app, type)
    return count * len(hosts(facts, where)) if where.omni and count else count


def hosts(facts: Facts, where: model.Placement) -> list[str]:
    """The hosts that shall run jobs so placed, room or not."""
    return [
        name
        for name, host in facts.hosts.items()
        if not draining(facts, name) and not lacking(facts, host, where)
    ]  # fmt: skip
