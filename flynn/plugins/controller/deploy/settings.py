"""How an app's deploys go: set by its users or its flynn.json, and what is usual where nothing is said. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict, fields, replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.deploy.strategies import SHARE, USUAL

AS_SET = model.Deploying()
"""Nothing said: as the app is set to, or as is usual."""

BOUNDS = {
    "batch": (0, 1000, "processes"),
    "timeout": (0.0, 86400.0, "seconds"),
    "share": (0.0, 0.5, "of all processes"),
    "hold": (0.0, 7 * 86400.0, "seconds"),
}
"""Least and most of each; 0 is what is usual."""


def settled(facts: Facts, *told: model.Deploying) -> model.Deploying:
    """How a deploy that begins now goes: what is told last counts most. A batch is one process a host, where nothing
    is told."""
    how = merged(*told)
    batch = how.batch or max(len(facts.hosts), 1)
    return replace(how, strategy=how.strategy or USUAL, batch=batch, share=how.share or SHARE)


def merged(*told: model.Deploying) -> model.Deploying:
    """All that is said; what is said last counts."""
    how = model.Deploying()
    for one in told:
        how = replace(how, **{name: value for name, value in asdict(one).items() if value})
    return how


def described_deploy(told: Mapping[str, Any], strategies: Collection[str], file: str = "flynn.json") -> model.Deploying:
    """What the app's own file says of its deploys, under `deploy`. Invalid: it cannot be so."""
    said = told.get("deploy", {})
    if not isinstance(said, dict):
        raise Invalid(f"{file}, deploy: it is no table of names and values, as strategy and batch")
    return checked(f"{file}, deploy", said, strategies)


def checked(place: str, said: Mapping[str, Any], strategies: Collection[str]) -> model.Deploying:
    """What was said of deploys, in `place`. Invalid: what cannot be, with what can."""
    known = [field.name for field in fields(model.Deploying)]
    if unknown := [name for name in said if name not in known]:
        raise Invalid(f"{place}: unknown key {unknown[0][:40]!r}; known are: {', '.join(known)}")
    try:
        how = msgspec.convert(dict(said), model.Deploying)
    except msgspec.ValidationError as error:
        raise Invalid(f"{place}: {error}") from None
    if how.strategy and how.strategy not in strategies:
        raise Invalid(f"{place}: there is no strategy {how.strategy[:40]!r}; there are: {', '.join(strategies)}")
    for name, (least, most, unit) in BOUNDS.items():
        if not least <= getattr(how, name) <= most:
            raise Invalid(f"{place}: {name} cannot be {getattr(how, name):g}; {least:g} to {most:g} {unit}")
    return how


def set_deploying(facts: Facts, app: model.App, said: Mapping[str, Any], strategies: Collection[str]) -> Change:
    """Other settings for the deploys of an app to come; what is not said stays."""
    how = checked("deployment", said, strategies)
    changed = replace(app, deploying=replace(app.deploying, **{name: getattr(how, name) for name in said}))
    if changed == app:
        return Change()
    return Change(puts={keys.app(app.name): changed}, why=f"deployment of {app.name}")
