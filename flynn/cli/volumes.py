"""volume."""

from collections.abc import Mapping, Sequence

import click

from flynn.cli.config import deployed
from flynn.cli.confirm import ask_for_name
from flynn.cli.options import app_group, app_verb
from flynn.cli.session import Session
from flynn.cli.words import table
from flynn.core.records import VolumeInfo


@app_group
def volume(session: Session) -> None:
    """Data that outlives jobs: list the volumes, make them, and mount them into process types."""
    _list(session)


@volume.command(name="list")
@app_verb
def volume_list(session: Session) -> None:
    """List the volumes of all apps, or of the one named with -a: who mounts them, where their data is."""
    _list(session)


@volume.command(name="create")
@click.argument("name")
@click.option("--shared", is_flag=True, help="Any number of jobs may write to it at the same time.")
@click.option("--scratch", is_flag=True, help="A fresh directory for each job, gone with it.")
@click.option("--host", default="", metavar="HOST", help="Where its data shall be; else the first job decides.")
@app_verb
def volume_create(session: Session, name: str, shared: bool, scratch: bool, host: str) -> None:
    """Make a volume of an app. One job at a time writes to it, unless it is shared."""
    app = session.app()
    made = session.ask(lambda client: client.create_volume(app, name, shared, scratch, host))
    told = [f"Creating the volume {name} of {app}... done", f"Mount it: flynn volume mount TYPE {name}:/PATH -a {app}"]
    session.show(made, lambda _: told)


@volume.command(name="mount")
@click.argument("type")
@click.argument("mounts", nargs=-1, required=True, metavar="VOLUME:/PATH[:ro]...")
@app_verb
def volume_mount(session: Session, type: str, mounts: Sequence[str]) -> None:
    """Let the processes of a type see volumes, and deploy with them: volume mount web data:/var/lib/data.

    With :ro they only read. In place of a volume, a directory of the host that its operator permits:
    volume mount web /srv/photos:/photos. The type 'run' stands for one-off jobs.
    """
    _change(session, {type: list(mounts)}, {})


@volume.command(name="unmount")
@click.argument("type")
@click.argument("names", nargs=-1, required=True, metavar="VOLUME|/PATH...")
@app_verb
def volume_unmount(session: Session, type: str, names: Sequence[str]) -> None:
    """Mount them no more, and deploy without them. Their data stays."""
    _change(session, {}, {type: list(names)})


@volume.command(name="delete")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--lost", is_flag=True, help="Its host will never come back: only forget it.")
@app_verb
def volume_delete(session: Session, name: str, yes: bool, lost: bool) -> None:
    """Delete a volume with all its data, which nobody may mount any more. The app itself may be deleted already."""
    app = session.app()
    if not yes:
        ask_for_name(name, f"The volume {name} of {app} and all its data")
    gone = session.ask(lambda client: client.delete_volume(app, name, lost))
    session.show(gone, lambda gone: [f"Deleting the volume {name} of {app}... {_deleted(gone, lost)}"])


def _deleted(gone: VolumeInfo, lost: bool) -> str:
    if lost:
        return "forgotten" + (f"; {gone.path} may still be on {gone.host}" if gone.path else "")
    if gone.away:
        return f"noted: {gone.host}, which has the data, is away and deletes it when it is back"
    return f"done, on {gone.host}" if gone.host else "done"


def _list(session: Session) -> None:
    session.show(session.ask(lambda client: client.volumes(session.named)), volumes)


def volumes(rows: Sequence[VolumeInfo]) -> list[str]:
    """A line a volume."""
    shown = [(row.app, row.name, _kind(row), row.host or "-", _mounts(row.mounts), _where(row)) for row in rows]
    head = ("APP", "NAME", "WRITERS", "HOST", "MOUNTED", "DATA")
    return table(shown, head) or ["no volumes yet: 'flynn volume create NAME' makes one"]


def _kind(row: VolumeInfo) -> str:
    return "each job" if row.scratch else "many" if row.shared else "one"


def _mounts(mounts: Mapping[str, str]) -> str:
    return " ".join(f"{type}:{place}" for type, place in sorted(mounts.items())) or "-"


def _where(row: VolumeInfo) -> str:
    """Its directory, and what is to be known of it."""
    if row.forgotten:
        return f"{row.path} (forgotten: remove that directory by hand)"
    notes = ["is being deleted"] if row.deleting else []
    notes += ["its host is away"] if row.away else []
    notes += ["its app is deleted"] if row.orphan and not row.deleting else []
    path = "gone with each job" if row.scratch else row.path or "none yet"
    return path + (f" ({', '.join(notes)})" if notes else "")


def _change(session: Session, put: Mapping[str, Sequence[str]], unset: Mapping[str, Sequence[str]]) -> None:
    app = session.app()
    deployed(session, lambda client: client.change_mounts(app, put, unset))
