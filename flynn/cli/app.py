"""The group of all verbs, and the way out: exit codes, and no traceback to a user."""

import os
import sys
import traceback
from typing import NoReturn

import click

from flynn import __version__
from flynn.cli import (
    apps,
    blobs,
    buildpacks,
    builds,
    config,
    cron,
    daemon,
    demo,
    deploy,
    deployment,
    events,
    execute,
    explain,
    grid,
    hosts,
    jobs,
    limits,
    log,
    plugins,
    preview,
    queues,
    releases,
    remotes,
    routes,
    run,
    scale,
    sinks,
    volumes,
)  # fmt: skip
from flynn.cli.options import app_option, grid_options, json_option
from flynn.cli.session import complain
from flynn.cli.verbs import Verbs
from flynn.core.errors import FlynnError

INTERRUPTED = 130
"""The exit code that a shell has for SIGINT."""


class Flynn(Verbs):
    """All verbs; those of plugins are looked up when no own one has the name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return super().list_commands(ctx) + sorted(set(plugins.commands()) - set(self.commands))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or plugins.commands().get(cmd_name)


@click.group(
    cls=Flynn, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, name="flynn"
)
@click.version_option(__version__, message="flynn %(version)s")
@grid_options
@app_option
@json_option
def cli() -> None:
    """flynn turns a few machines into a grid that hosts applications."""


for verb in (
    daemon.daemon, demo.demo, grid.status, apps.create, apps.apps, apps.info, apps.delete, deploy.deploy, jobs.ps,
    scale.scale, jobs.kill, log.log, events.events, sinks.sink, run.run, execute.execute, config.env, limits.limit,
    volumes.volume, routes.route, routes.maintenance, releases.release, builds.build, buildpacks.buildpack,
    deployment.deployment, queues.queue, hosts.host, grid.service, explain.explain, cron.cron,
    remotes.remote, remotes.credentials, preview.preview,
    blobs.blob, plugins.plugin, grid.cluster, grid.version,
):  # fmt: skip
    cli.add_command(verb)


def main() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    code = answer(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer cannot go anywhere: keep the interpreter from trying when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def answer(args: list[str]) -> int:
    """Do what the words say; the exit code: 0, 1 for an error that is told, 2 for wrong usage.

    A reader that goes away ends it with 1, quietly: click does that.
    """
    try:
        code = cli.main(args, prog_name="flynn", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        complain(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except FlynnError as error:
        complain(str(error))
    except Exception as error:
        complain(_mistake(error))
    else:
        return code if isinstance(code, int) else 0
    return 1


def _mistake(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}:{frame.lineno}"
    return f"flynn made a mistake ({type(error).__name__} at {place}: {error}); please report it"
