"""exec: a command beside the processes of a running job."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from flynn.cli.jobs import find_job
from flynn.cli.options import app_option, pass_session
from flynn.cli.run import converse, shell_line
from flynn.cli.session import Session
from flynn.cli.terminal import HEARTBEAT, own_kind, own_size, terminal_option

if TYPE_CHECKING:
    from flynn.client import Client


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="JOB")
@click.argument("words", nargs=-1, required=True, metavar="CMD...", type=click.UNPROCESSED)
@terminal_option
@app_option
@pass_session
def execute(session: Session, name: str, words: Sequence[str], terminal: bool) -> None:
    """Run a command inside a running job, named as `ps` or `log` name it: where its processes are, with its config.

    Input, output, errors and exit code are this command's own; it ends when this one is given up, or with the job.
    """
    job = find_job(session, name) if "." in name else name
    line = shell_line(words[1:] if words[0] == "--" and len(words) > 1 else words)

    async def run(client: "Client") -> int:
        if not terminal:
            async with client.execute(job, line) as attached:
                return await converse(attached)
        told = "".join(f"export {name}={shlex.quote(value)}; " for name, value in own_kind().items()) + line
        async with client.execute(job, told, own_size(), HEARTBEAT) as attached:
            return await converse(attached, terminal)

    raise click.exceptions.Exit(session.ask(run))
