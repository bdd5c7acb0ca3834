"""deployment: how deploys go, and what is ordered of the one under way."""

from collections.abc import Mapping

import click

from flynn.cli.options import app_group, app_verb
from flynn.cli.session import Session
from flynn.cli.words import table
from flynn.core import records


@app_group
def deployment(session: Session) -> None:
    """Show how the deploys of an app go, change it, or end or promote the one under way."""
    app = session.app()
    session.show(session.ask(lambda client: client.deployment(app)), lambda found: shown(app, found))


@deployment.command()
@click.argument("name")
@click.option("--share", type=float, metavar="N", help="Of a canary: its share of all processes, as 0.1.")
@click.option("--hold", type=float, metavar="SECONDS", help="Of a canary: how long it is watched; 0: until promoted.")
@app_verb
def strategy(session: Session, name: str, share: float | None, hold: float | None) -> None:
    """Set the strategy: rolling, all-at-once, one-by-one, one-down-one-up, canary, or one of a plugin."""
    said = {"strategy": name, "share": share, "hold": hold}
    _change(session, {key: value for key, value in said.items() if value is not None})


@deployment.command(name="batch-size")
@click.argument("n", type=int)
@app_verb
def batch_size(session: Session, n: int) -> None:
    """Set how many processes of a type 'rolling' replaces at a time; 0: as many as there are hosts."""
    _change(session, {"batch": n})


@deployment.command()
@click.argument("seconds", type=float)
@app_verb
def timeout(session: Session, seconds: float) -> None:
    """Set how long a step, or the release command, may take; 0: as the grid is set to."""
    _change(session, {"timeout": seconds})


@deployment.command()
@app_verb
def cancel(session: Session) -> None:
    """End the deploy under way, at whatever step; the release from before serves."""
    cancel_deploy(session)


@deployment.command()
@app_verb
def promote(session: Session) -> None:
    """Let a canary go on to the whole app now."""
    app = session.app()
    session.show(session.ask(lambda client: client.promote_deploy(app)), lambda done: [done.message])


def cancel_deploy(session: Session) -> None:
    """The same by `flynn deploy --cancel`."""
    app = session.app()
    session.show(session.ask(lambda client: client.cancel_deploy(app)), lambda done: [done.message])


def shown(app: str, found: records.Deployment) -> list[str]:
    """How they go, and where the last one stands."""
    how = found.how
    rows = [("strategy", how.strategy), ("batch size", f"{how.batch}")]
    rows.append(
        (
            "timeout",
            f"{how.timeout:g} s a step" if how.timeout else "as controller.deploy of the grid says (300 s, unless set)",
        )
    )
    if how.strategy == "canary":
        rows.append(("canary", f"{how.share:.0%} of all, " + (f"for {how.hold:g} s" if how.hold else "until promoted")))
    if deploy := found.deploy:
        way = f"v{deploy.old} -> v{deploy.new}" if deploy.old else f"v{deploy.new}"
        told = f"{way} {deploy.state}" + (f": {deploy.reason}" if deploy.reason else "")
        rows.append(("last deploy", told))
    return [f"=== deployment of {app}", *table(rows)]


def _change(session: Session, said: Mapping[str, object]) -> None:
    app = session.app()
    session.show(session.ask(lambda client: client.change_deployment(app, said)), lambda found: shown(app, found))
