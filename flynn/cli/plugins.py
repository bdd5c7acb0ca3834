"""What is plugged in: bricks, backends, buildpacks and commands, and from which package each comes."""

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from flynn.cli.options import grid_verb
from flynn.cli.session import Session
from flynn.cli.words import table
from flynn.core import hooks
from flynn.core.errors import StartError

if TYPE_CHECKING:
    import pluggy

    from flynn.core.brick import Brick

OWN = "flynn"
"""The name of flynn's own entry point: what it brings comes first."""


class Plugged(msgspec.Struct, frozen=True):
    """One thing that a package plugs in."""

    kind: str
    name: str
    package: str


@functools.cache
def load() -> "pluggy.PluginManager":
    """The plugins that are installed. StartError: one of them cannot be loaded."""
    try:
        return hooks.load()
    except Exception as error:
        raise StartError(f"a plugin cannot be loaded: {type(error).__name__}: {error}; mend or uninstall it") from error


def answers(manager: "pluggy.PluginManager", hook: str) -> Iterator[tuple[str, Any]]:
    """What each plugin answers to a hook without arguments, with the plugin's name; flynn's own first.

    StartError: a plugin fails.
    """
    found = [impl for impl in getattr(manager.hook, hook).get_hookimpls() if not (impl.wrapper or impl.hookwrapper)]
    for impl in sorted(found, key=lambda impl: impl.plugin_name != OWN):
        try:
            yield impl.plugin_name, impl.function()
        except Exception as error:
            raise StartError(
                f"the plugin {impl.plugin_name} cannot be used: {hook} failed with {type(error).__name__}: {error}; "
                "mend or uninstall it"
            ) from error


def bricks(manager: "pluggy.PluginManager") -> "dict[str, type[Brick]]":
    """Every brick class by its name, in the order they start. StartError: two have one name."""
    found: dict[str, type[Brick]] = {}
    for plugin, classes in answers(manager, "flynn_bricks"):
        for kind in classes:
            if kind.name in found:
                raise StartError(f"the plugin {plugin} brings a brick {kind.name!r}, but there is one already")
            found[kind.name] = kind
    return found


@functools.cache
def commands() -> dict[str, click.Command]:
    """The commands of plugins by name; of two with one name the first is taken."""
    found: dict[str, click.Command] = {}
    for _, brought in answers(load(), "flynn_commands"):
        for command in brought:
            found.setdefault(str(command.name), command)
    return found


def plugged(manager: "pluggy.PluginManager") -> list[Plugged]:
    """All that is plugged in, kind by kind."""
    packages = {
        manager.get_name(plugin): f"{d.project_name} {d.version}" for plugin, d in manager.list_plugin_distinfo()
    }
    rows: list[Plugged] = []
    for kind, hook in (
        ("brick", "flynn_bricks"),
        ("backend", "flynn_backends"),
        ("buildpack", "flynn_buildpacks"),
        ("command", "flynn_commands"),
    ):
        for plugin, brought in answers(manager, hook):
            rows += [Plugged(kind, _name(thing), packages.get(plugin, plugin)) for thing in brought]
    return rows


def _name(thing: Any) -> str:
    return thing if isinstance(thing, str) else str(thing.name)


@click.command()
@grid_verb
def plugin(session: Session) -> None:
    """List what is plugged in here: bricks, backends, buildpacks, commands."""
    rows = plugged(load())
    session.show(rows, lambda rows: table([(r.kind, r.name, r.package) for r in rows], ("KIND", "NAME", "PACKAGE")))
