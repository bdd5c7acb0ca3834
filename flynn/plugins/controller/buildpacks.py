"""Which buildpacks an app is set to: their order, their names, and what may name one. Pure."""

import re
from collections.abc import Collection, Sequence

from msgspec.structs import replace

from flynn.core import keys
from flynn.core.addresses import mask, unmasked
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.decide import find_app

MOST = 20
"""Buildpacks of one app."""

LENGTH = 500
"""Characters of one."""

ADDRESS = re.compile(r"https://[^\s#/]+/[^\s#]+(#[A-Za-z0-9._][A-Za-z0-9._/+-]*)?")
BLOB = re.compile(r"shelf:[0-9a-f]{64}")
FORMS = "the address of a git repository or of a .tgz (https://HOST/PATH#REF), or shelf:SHA256"


def set_buildpacks(facts: Facts, name: str, packs: Sequence[str], known: Collection[str]) -> Change:
    """These, in this order, from the next build on; none: the first one that fits. One that is named as it is shown
    keeps its password. Invalid: one that cannot be.

    `known`: the names of those that every build has.
    """
    app = find_app(facts, name)
    if len(packs) > MOST:
        raise Invalid(f"{len(packs)} buildpacks are too many for {name}; {MOST} at most")
    packs = unmasked(packs, app.buildpacks)
    for pack in packs:
        check(pack, known)
    if len(set(packs)) < len(packs):
        raise Invalid(f"{mask(next(p for p in packs if packs.count(p) > 1))} is named twice; each buildpack runs once")
    changed = replace(app, buildpacks=tuple(packs))
    return Change() if changed == app else Change(puts={keys.app(name): changed}, why=f"buildpacks of {name}")


def check(pack: str, known: Collection[str]) -> None:
    """Invalid, with what to write instead, unless this may name a buildpack."""
    if pack in known or BLOB.fullmatch(pack) or (len(pack) <= LENGTH and ADDRESS.fullmatch(pack)):
        return
    pack = mask(pack)
    shown = pack if len(pack) <= 100 else pack[:97] + "..."
    vendor, _, rest = pack.partition("/")
    if vendor == "heroku" and re.fullmatch(r"[a-z]+", rest):
        own = f"{rest} (flynn's own) or " if rest in known else ""
        raise Invalid(f"{shown} is a name at Heroku; write {own}https://github.com/heroku/heroku-buildpack-{rest}")
    raise Invalid(f"{shown!r} names no buildpack; give one of {', '.join(known)}, {FORMS}")
