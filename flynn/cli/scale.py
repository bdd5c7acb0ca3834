"""scale."""

from collections.abc import Mapping, Sequence

import click

from flynn.cli.config import pair
from flynn.cli.options import app_verb
from flynn.cli.progress import Progress
from flynn.cli.session import Session
from flynn.cli.words import placed
from flynn.core.model import Placement


@click.command()
@click.argument("pairs", nargs=-1, metavar="TYPE=N...")
@click.option("--tag", "tags", multiple=True, metavar="TAG=VALUE", help="Only on hosts with this tag (repeatable).")
@click.option("--omni", is_flag=True, help="So many on every host, also on those that join.")
@click.option("--one-per-host", is_flag=True, help="Never two on one host.")
@click.option("--any", "anywhere", is_flag=True, help="On any host again, but for what else is said here.")
@click.option("-n", "--no-wait", is_flag=True, help="Do not wait until the counts are met.")
@app_verb
def scale(
    session: Session,
    pairs: Sequence[str],
    tags: Sequence[str],
    omni: bool,
    one_per_host: bool,
    anywhere: bool,
    no_wait: bool,
) -> None:
    """Say how many processes of a type shall run, and where: scale web=3 worker=1 --tag disk=ssd.

    Where they run stays as it is until it is said anew, also through deploys. TYPE alone keeps its number.
    Without TYPE=N: show it.
    """
    app = session.app()
    where = _where(tags, omni, one_per_host, anywhere)
    if where and not pairs:
        raise click.UsageError("say for which types: scale web=3 --tag disk=ssd")
    asked = dict(quantity(text, bool(where)) for text in pairs)
    before = session.ask(lambda client: client.formation(app))
    if not asked:
        places = {} if session.json else session.ask(lambda client: client.placement(app))
        session.show(before, lambda counts: shown(counts, places))
        return
    if not session.json:
        told = (f"{type}: {before.get(type, 0)}=>{n}" for type, n in asked.items() if n is not None)
        click.echo("scaling " + (", ".join(told) or ", ".join(asked)) + "\n")
    wanted = {type: {**({} if n is None else {"count": n}), **where} if where else n for type, n in asked.items()}
    done = session.follow(lambda client: client.scale(app, wanted, not no_wait), Progress(session.json))
    if not session.json and not no_wait:
        click.echo(f"\nscale completed in {float(done.get('seconds') or 0):.1f} s")


def _where(tags: Sequence[str], omni: bool, one_per_host: bool, anywhere: bool) -> dict[str, object]:
    """What is said of places, as the API takes it."""
    said: dict[str, object] = {"tags": dict(pair(text, "tag") for text in tags)} if tags else {}
    return said | {name: True for name, on in _flags(omni, one_per_host, anywhere) if on}


def _flags(omni: bool, one_per_host: bool, anywhere: bool) -> tuple[tuple[str, bool], ...]:
    return ("omni", omni), ("one_per_host", one_per_host), ("any", anywhere)


def shown(counts: Mapping[str, int], places: Mapping[str, Placement]) -> list[str]:
    """`web=3  on hosts with disk=ssd`, a line a type."""
    return [
        f"{type}={n}" + (f"  {words}" if type in places and (words := placed(places[type])) else "")
        for type, n in sorted(counts.items())
    ]


def quantity(text: str, alone: bool = False) -> tuple[str, int | None]:
    """`web=3` in two; with `alone` also `web`, without a number. A usage error names the text that is none."""
    if alone and text and "=" not in text:
        return text, None
    type, number = pair(text, "number of processes")
    if not (number.isascii() and number.isdigit() and len(number) < 7):
        raise click.UsageError(f"{text!r}: {number!r} is no number of processes; write {type}=3")
    return type, int(number)
