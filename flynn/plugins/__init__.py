"""The bricks that come with flynn. They enter by the same doors as a stranger's plugin (`core/hooks.py`)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flynn.core.hooks import hookimpl

if TYPE_CHECKING:
    from flynn.core.brick import Brick
    from flynn.plugins.controller.deploy.strategy import Strategy
    from flynn.plugins.host.backends.backend import Backend
    from flynn.plugins.host.logs.sink import Sink


@hookimpl
def flynn_bricks() -> Iterable["type[Brick]"]:
    """All bricks of flynn, in the order they start: the router answers before anything is asked of it."""
    from flynn.plugins.builder.brick import Builder
    from flynn.plugins.controller.brick import Controller
    from flynn.plugins.discovery.brick import Discovery
    from flynn.plugins.host.brick import HostAgent
    from flynn.plugins.shelf.brick import Shelf
    from flynn.router.brick import RouterBrick

    return [Discovery, Shelf, RouterBrick, HostAgent, Controller, Builder]


@hookimpl
def flynn_backends() -> Mapping[str, "type[Backend]"]:
    """The host backends of flynn; `auto` prefers the sandbox."""
    from flynn.plugins.host.backends.process import ProcessBackend
    from flynn.plugins.host.docker.docker import DockerBackend
    from flynn.plugins.host.sandbox.sandbox import SandboxBackend

    return {"sandbox": SandboxBackend, "docker": DockerBackend, "process": ProcessBackend}


@hookimpl
def flynn_log_sinks() -> Mapping[str, "type[Sink]"]:
    """The log sinks of flynn."""
    from flynn.plugins.host.logs.sink_http import HttpSink
    from flynn.plugins.host.logs.sink_syslog import SyslogSink

    return {"syslog": SyslogSink, "syslog+tls": SyslogSink, "http": HttpSink, "https": HttpSink}


@hookimpl
def flynn_deploy_strategies() -> Mapping[str, "Strategy"]:
    """The deploy strategies of flynn."""
    from flynn.plugins.controller.deploy.strategies import OWN

    return OWN


@hookimpl
def flynn_buildpacks() -> Iterable[Path]:
    """The buildpacks of flynn, in the order they are tried."""
    from flynn.plugins.builder.brick import OWN

    return OWN
