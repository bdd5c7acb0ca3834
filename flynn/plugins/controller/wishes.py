"""What the operator wants of hosts: their tags, and which are drained. Pure."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid, NotFound
from flynn.core.facts import Facts
from flynn.core.matching import draining

VALUE_LIMIT = 100
"""Characters of a tag's value."""

TAGS_LIMIT = 50
"""Tags of one host."""

DRAINED = "it is drained"
"""Why a host that is drained takes no new job."""


def full(facts: Facts, host: model.Host) -> str:
    """Why a host takes no new job ("": it does): what it says itself, or that it is drained."""
    return DRAINED if draining(facts, host.name) else host.full


def find(facts: Facts, name: str) -> model.Wish:
    """What is wanted of a host so far. NotFound: there is no such host, and nothing is wanted of it."""
    wish = facts.wishes.get(name)
    if wish is None and name not in facts.hosts:
        raise NotFound(f"there is no host {name[:60]!r} now; `flynn host` lists those that are up", host=name[:60])
    return wish or model.Wish(host=name)


def drain(facts: Facts, name: str, force: bool, timeout: float, now: float) -> Change:
    """From now on a host gets no new job, and is left. Again: with what is said now of `force` and `timeout`."""
    wish = find(facts, name)
    wanted = replace(wish, drained=wish.drained or now, force=force, timeout=timeout)
    return _changed(wish, wanted, f"drain {name}")


def undrain(facts: Facts, name: str) -> Change:
    """A host takes jobs again, and what has not moved yet stays."""
    wish = find(facts, name)
    return _changed(wish, replace(wish, drained=0.0, force=False, timeout=0.0), f"{name} is drained no more")


def set_tags(facts: Facts, name: str, put: Mapping[str, str], remove: Sequence[str]) -> Change:
    """Other tags for a host; those that are not named stay. Invalid: what is no tag, or what to remove is not there."""
    wish, host = find(facts, name), facts.hosts.get(name)
    own = host.tags if host else {}
    wanted = {**wish.tags, **checked(put)}
    for tag in remove:
        if not {**own, **wish.tags}.get(tag):
            raise Invalid(
                f"{name} has no tag {tag[:40]!r}; `flynn host show {name}` lists those it has", host=name, tag=tag[:40]
            )
        wanted[tag] = ""
    kept = {tag: value for tag, value in wanted.items() if _told(host, own, tag, value)}
    if len({**own, **kept}) > TAGS_LIMIT:
        raise Invalid(f"{name} would have over {TAGS_LIMIT} tags", host=name, limit=TAGS_LIMIT)
    words = [*(f"{tag}={value}" for tag, value in put.items()), *(f"no {tag}" for tag in remove)]
    return _changed(wish, replace(wish, tags=kept), f"tags of {name}: {', '.join(words)}")


def _told(host: model.Host | None, own: Mapping[str, str], tag: str, value: str) -> bool:
    """Whether a tag is not as the host has it by itself. Of one that is away nobody knows what it has: all is kept."""
    if host is None:
        return True
    return (bool(value) or tag in own) and own.get(tag, "") != value


def _changed(old: model.Wish, new: model.Wish, why: str) -> Change:
    """Nothing is kept of a host of which nothing is wanted."""
    if new == old:
        return Change()
    key = keys.wish(new.host)
    return Change(deletes=(key,), why=why) if new == model.Wish(host=new.host) else Change(puts={key: new}, why=why)


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags themselves. Invalid: one cannot be."""
    for tag, value in tags.items():
        keys.check_name("tag", tag)
        if not value or len(value) > VALUE_LIMIT or not value.isprintable() or value != value.strip():
            raise Invalid(
                f"{tag}={value[:40]!r} is no good; a tag's value is one word or line of {VALUE_LIMIT} at most"
            )
    return dict(tags)
