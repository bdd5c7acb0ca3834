"""How many processes of each type an app shall have, and where: what the API's verb changes. Pure."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.core.matching import ANYWHERE
from flynn.plugins.controller import decide, one_writer, wishes


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for a type; what is not said stays as it is. With `any`, what is not said is given up."""

    count: int | None = None
    tags: dict[str, str] | None = None
    omni: bool | None = None
    one_per_host: bool | None = None
    any: bool = False

    def over(self, old: model.Placement) -> model.Placement:
        """Where its jobs may be now. Invalid: a tag is none."""
        kept = ANYWHERE if self.any else old
        return model.Placement(
            tags=kept.tags if self.tags is None else wishes.checked(self.tags),
            omni=kept.omni if self.omni is None else self.omni,
            one_per_host=kept.one_per_host if self.one_per_host is None else self.one_per_host,
        )


def scale(facts: Facts, name: str, asked: Mapping[str, int | Asked]) -> Change:
    """New counts for the types named, and new places; the others stay. Invalid: what cannot be."""
    old = facts.formations.get(name) or model.Formation(app=name, counts={})
    told = {type: each if isinstance(each, Asked) else Asked(count=each) for type, each in asked.items()}
    counts = {type: old.counts.get(type, 0) if one.count is None else one.count for type, one in told.items()}
    change = decide.scale(facts, name, counts)
    found = {**old.placement, **{type: one.over(old.placement.get(type, ANYWHERE)) for type, one in told.items()}}
    for type, where in found.items():
        if where.omni and where.one_per_host:
            raise Invalid(f"{type} cannot run on every host and once on a host; give up one of both (--any)")
    placement = {type: where for type, where in found.items() if where != ANYWHERE}
    if placement == old.placement:
        return change
    key = keys.formation(name)
    formation = replace(old, counts={**old.counts, **counts}, placement=placement)
    one_writer.check_app(facts, name, one_writer.least(formation))
    return Change(puts={key: formation}, seen=(keys.app(name),), why=f"scale {name}")
