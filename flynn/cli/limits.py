"""limit."""

from collections.abc import Mapping, Sequence

import click

from flynn.cli.config import deployed, pair
from flynn.cli.options import app_group, app_verb
from flynn.cli.session import Session
from flynn.cli.words import table

UNITS = {"M": 1, "MB": 1, "MiB": 1, "G": 1024, "GB": 1024, "GiB": 1024}
"""What a size may end with, in MiB; alone it is MiB."""


@app_group
def limit(session: Session) -> None:
    """Show what the processes of each type may take, or change it: each change is a release."""
    app = session.app()
    session.show(session.ask(lambda client: client.limits(app)), shown)


@limit.command(name="set")
@click.argument("type")
@click.argument("pairs", nargs=-1, required=True, metavar="LIMIT=N...")
@app_verb
def limit_set(session: Session, type: str, pairs: Sequence[str]) -> None:
    """Set limits of a process type, and deploy with them: limit set web memory=512M cpu=0.5.

    memory: at most, and reserved unless 'reserve' says less. cpu: cores at most. cpu_reserve: cores kept free for it
    on its host. pids: processes and threads. files: open files of each process. The type 'run' stands for one-off jobs,
    'build' for builds.
    """
    _change(session, {type: dict(number(text) for text in pairs)}, {})


@limit.command(name="unset")
@click.argument("type")
@click.argument("names", nargs=-1, required=True, metavar="LIMIT...")
@app_verb
def limit_unset(session: Session, type: str, names: Sequence[str]) -> None:
    """Go back to what is usual, and deploy with it."""
    _change(session, {}, {type: list(names)})


def number(text: str) -> tuple[str, int]:
    """`memory=512M`, `cpu=0.5`, `pids=100`: the name, and the number in the grid's unit. Else a usage error."""
    name, value = pair(text, "limit")
    try:
        if name in ("memory", "reserve"):
            digits = value.rstrip("MGiB")
            return name, round(float(digits) * UNITS[value[len(digits) :] or "M"])
        if name in ("cpu", "cpu_reserve"):
            return name, int(value[:-1]) if value.endswith("m") else round(float(value) * 1000)
        return name, int(value)
    except (ValueError, KeyError, OverflowError):
        example = {"memory": "512M", "reserve": "256M", "cpu": "0.5", "cpu_reserve": "0.5"}.get(name, "100")
        raise click.UsageError(f"{text!r}: {value!r} is no number; write {name}={example}") from None


def shown(limits: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A line for each type."""
    rows = [
        (
            type, _mib(own.get("memory", 0)), _mib(own.get("reserve", 0)), _cores(own.get("cpu", 0)),
            _cores(own.get("cpu_reserve", 0)), own.get("pids", "-"), own.get("files", "-"),
        )
        for type, own in sorted(limits.items())
    ]  # fmt: skip
    return table(rows, ("TYPE", "MEMORY", "RESERVED", "CPU", "CPU RESERVED", "PIDS", "FILES"))


def _mib(size: int) -> str:
    return f"{size} MiB" if size else "-"


def _cores(cpu: int) -> str:
    return f"{cpu / 1000:g} cores" if cpu else "-"


def _change(session: Session, put: Mapping[str, Mapping[str, int]], unset: Mapping[str, Sequence[str]]) -> None:
    app = session.app()
    deployed(session, lambda client: client.change_limits(app, put, unset))
