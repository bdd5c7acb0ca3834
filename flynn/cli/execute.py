"""exec: a command beside the processes of a running job."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from flynn.cli.jobs import find_job
from flynn.cli.options import app_option, pass_session
from flynn.cli.run import converse, shell_line
from flynn.cli.session import Session

if TYPE_CHECKING:
    from flynn.client import Client


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="JOB")
@click.argument("words", nargs=-1, required=True, metavar="CMD...", type=click.UNPROCESSED)
@app_option
@pass_session
def execute(session: Session, name: str, words: Sequence[str]) -> None:
    """Run a command inside a running job, named as `ps` or `log` name it: where its processes are, with its config.

    Input, output, errors and exit code are this command's own; it ends when this one is given up, or with the job.
    """
    job = find_job(session, name) if "." in name else name
    line = shell_line(words[1:] if words[0] == "--" and len(words) > 1 else words)

    async def run(client: "Client") -> int:
        async with client.execute(job, line) as attached:
            return await converse(attached)

    raise click.exceptions.Exit(session.ask(run))
