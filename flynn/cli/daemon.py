"""flynn daemon: be one node of the grid."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flynn.cli import plugins
from flynn.cli.words import paint
from flynn.core.client_file import default_data
from flynn.core.config import Settings, load
from flynn.core.errors import StartError, Unavailable

if TYPE_CHECKING:
    from flynn.core.brick import Brick

FLAGS = {"http_port": "router.port", "backend": "host.backend", "boot_timeout": "host.boot_timeout"}
"""Flags that set what a brick is told; the other flags are settings of the daemon by the same name."""

GARBAGE = (20_000, 50, 100)
"""How many objects are made between two looks for cycles among them, and so on (`gc.set_threshold`): what a daemon
makes has hardly any, and a leader makes so much of it that the usual looks take a fifth of its time."""


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), envvar="FLYNN_CONFIG", help="A flynn.toml; else FLYNN_CONFIG."
)
@click.option("--data", metavar="DIR", help="Where this node keeps everything.")
@click.option("--name", help="This machine's name in the grid.")
@click.option("--address", help="Where the other nodes reach this one.")
@click.option("--port", metavar="PORT", help="Of the node API (1111).")
@click.option("--http-port", metavar="PORT", help="Of the router (8080).")
@click.option("--domain", help="Apps are at APP.DOMAIN.")
@click.option("--token", help="The grid's secret; made up by the first node.")
@click.option("--etcd", metavar="URL,URL", help="The etcd members; without, this machine is the whole grid.")
@click.option("--bricks", metavar="NAME,NAME", help="Host these bricks alone.")
@click.option("--backend", help="What runs the jobs: auto, sandbox, process, docker.")
@click.option("--boot-timeout", metavar="SECONDS", help="Within which a job must listen on its port.")
@click.option("--set", "more", multiple=True, metavar="KEY=VALUE", help="Any other setting: --set router.idle=55.")
@click.option("--takeover", is_flag=True, help="From the daemon that runs on the same data, losing no request.")
def daemon(config: Path | None, more: Sequence[str], takeover: bool, **given: str | None) -> None:
    """Be one node of the grid, until SIGTERM or Ctrl-C. Running jobs live on."""
    try:
        _daemon(config, flags(given, more), takeover)
    except (StartError, Unavailable) as error:
        click.echo(f"flynn: {error}", err=True)
        raise click.exceptions.Exit(1) from None


def _daemon(config: Path | None, given: Mapping[str, str], takeover: bool) -> None:
    from flynn.core.daemon import run_daemon, settings_types

    manager = plugins.load()
    known = plugins.bricks(manager)
    settings = load(settings_types(list(known.values())), config, os.environ, given)
    chosen = choose(known, settings.node.bricks)
    log_to_stderr()
    heed_signals()
    gc.set_threshold(*GARBAGE)
    _runner()(run_daemon(settings, manager, chosen, lambda sentence: banner(sentence, settings), takeover))


def flags(given: Mapping[str, str | None], more: Sequence[str]) -> dict[str, str]:
    """Settings by dotted name from flags. A usage error names what is no KEY=VALUE."""
    told = {FLAGS.get(name, name): value for name, value in given.items() if value is not None}
    for text in more:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"--set {text}: write --set KEY=VALUE")
        told[key] = value
    return told


def choose(known: "Mapping[str, type[Brick]]", names: Sequence[str]) -> "list[type[Brick]]":
    """The bricks named, in the order they start; all if none is named. StartError: one is unknown."""
    for name in names:
        if name not in known:
            raise StartError(f"there is no brick {name!r}; known are: {', '.join(known)}")
    return [kind for name, kind in known.items() if not names or name in names]


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


def banner(sentence: str, settings: Settings) -> None:
    """Say that the node is up, where everything is, and what to type next."""
    node = settings.node
    port = getattr(settings.bricks.get("router"), "port", None)
    click.echo(paint(sentence, "bold"))
    click.echo(f"  data  {node.data}  (the API's token is in its client.json)")
    if port and not (node.bricks and "router" not in node.bricks):
        click.echo(f"  apps  http://APP.{node.domain}:{port}")
    prefix = "" if node.data == default_data() else f"FLYNN_DATA={node.data} "
    click.echo(f"  next  in another terminal: {prefix}flynn create hello, then flynn deploy -a hello DIR")
    sys.stdout.flush()


def heed_signals() -> None:
    """Let jobs hear what this daemon was begun to ignore (`nohup`; `&` in a script): ignored is inherited, a handler is
    not (execve(2)). Python itself puts right for children what it ignores."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def log_to_stderr() -> None:
    """`10:00:00 controller  started 2 web of hello v3`; of others only warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("flynn").setLevel(logging.INFO)


class Lines(logging.Formatter):
    """One record a line: time, brick, message; a warning says that it is one."""

    def __init__(self) -> None:
        super().__init__(datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        name = record.name.removeprefix("flynn.").removeprefix("core.").removeprefix("plugins.")
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{self.formatTime(record, self.datefmt)} {name:<10}  {level}{record.message}"
