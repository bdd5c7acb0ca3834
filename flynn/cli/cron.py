"""cron: the commands of an app that run by the clock."""

import time
from collections.abc import Sequence

import click

from flynn.cli.options import app_group, app_verb
from flynn.cli.session import Session
from flynn.cli.words import day, span, table
from flynn.core.model import Run
from flynn.core.records import CronInfo


@app_group
def cron(session: Session) -> None:
    """List what an app runs by the clock ([cron.NAME] in its flynn.toml), or see to its runs."""
    _list(session)


@cron.command(name="list")
@app_verb
def cron_list(session: Session) -> None:
    """List the entries: when each is due next, and what became of its last run."""
    _list(session)


@cron.command(name="runs")
@click.argument("name")
@app_verb
def cron_runs(session: Session, name: str) -> None:
    """Show the last runs of an entry: when each was due, began and ended, and how."""
    app = session.app()
    session.show(session.ask(lambda client: client.cron_runs(app, name)), runs)


cron.add_command(cron_runs, "log")


@cron.command(name="run")
@click.argument("name")
@app_verb
def cron_run(session: Session, name: str) -> None:
    """Run an entry now, and print the name of its job."""
    app = session.app()
    id = session.ask(lambda client: client.cron_run(app, name))
    session.show({"id": id}, lambda answer: [answer["id"]])


@cron.command(name="pause")
@click.argument("name")
@app_verb
def cron_pause(session: Session, name: str) -> None:
    """Run an entry no more, until it is resumed."""
    app = session.app()
    session.show(session.ask(lambda client: client.pause_cron(app, name, True)), lambda row: [f"{row.name} is paused"])


@cron.command(name="resume")
@click.argument("name")
@app_verb
def cron_resume(session: Session, name: str) -> None:
    """Run an entry again, from now on."""
    app = session.app()
    found = session.ask(lambda client: client.pause_cron(app, name, False))
    session.show(found, lambda row: [f"{row.name} is due next at {_due(row)}"])


def _list(session: Session) -> None:
    app = session.app()
    session.show(session.ask(lambda client: client.cron(app)), lambda rows: entries(rows, time.time()))


def entries(rows: Sequence[CronInfo], now: float) -> list[str]:
    shown = [(row.name, row.schedule, row.timezone, _due(row), _last(row.last, now)) for row in rows]
    head = ("NAME", "SCHEDULE", "ZONE", "NEXT (UTC)", "LAST")
    return table(shown, head) or ["no cron entries: write [cron.NAME] with schedule and command in flynn.toml"]


def runs(rows: Sequence[Run]) -> list[str]:
    """The newest first."""
    shown = [
        (
            day(run.due) + (" by hand" if run.by_hand else ""), day(run.started) if run.started else "-",
            _took(run) or "-", "-" if run.exit_code is None else run.exit_code, run.outcome, run.job or "-", run.reason,
        )
        for run in rows
    ]  # fmt: skip
    return table(shown, ("DUE (UTC)", "STARTED", "TOOK", "EXIT", "OUTCOME", "JOB", "")) or ["no runs yet"]


def _due(row: CronInfo) -> str:
    return "paused" if row.paused else day(row.next) if row.next else "?"


def _last(run: Run | None, now: float) -> str:
    if run is None:
        return "-"
    code = f" with {run.exit_code}" if run.exit_code else ""
    return f"{run.outcome}{code} {span(now - (run.ended or run.started or run.due))} ago"


def _took(run: Run) -> str:
    return span(run.ended - run.started) if run.ended and run.started else ""
