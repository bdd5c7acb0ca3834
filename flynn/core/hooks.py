"""Every door that a plugin may use, on one page. Built-in bricks, backends and buildpacks enter by the same doors.

A plugin is a Python package with an entry point in the group `flynn.plugins` that names a module or an object;
the functions below that it defines, marked with `@hookimpl`, are called. `docs/plugins.md` shows each in use.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from flynn.core.brick import Brick

hookspec = pluggy.HookspecMarker("flynn")
hookimpl = pluggy.HookimplMarker("flynn")

GROUP = "flynn.plugins"


@hookspec
def flynn_bricks() -> Iterable["type[Brick]"]:  # type: ignore[empty-body]
    """Brick classes that the daemon hosts, in the order they start, after those of flynn itself."""


@hookspec
def flynn_backends() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Host backends by name: classes that satisfy `flynn.plugins.host.backends.backend.Backend`."""


@hookspec
def flynn_log_sinks() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Log sinks by the scheme of their URL: classes that satisfy `flynn.plugins.host.logs.sink.Sink`."""


@hookspec
def flynn_deploy_strategies() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Deploy strategies by name: pure functions as `flynn.plugins.controller.deploy.strategy.Strategy` says."""


@hookspec
def flynn_buildpacks() -> Iterable[Path]:  # type: ignore[empty-body]
    """Directories of buildpacks (`bin/detect`, `bin/compile`, `bin/release`), in the order they are tried."""


@hookspec
def flynn_commands() -> Iterable["click.Command"]:  # type: ignore[empty-body]
    """Commands added to the `flynn` command line."""


def load() -> pluggy.PluginManager:
    """The manager with every installed plugin; flynn itself is one (`flynn.plugins`)."""
    manager = pluggy.PluginManager("flynn")
    manager.add_hookspecs(sys.modules[__name__])
    manager.load_setuptools_entrypoints(GROUP)
    return manager
