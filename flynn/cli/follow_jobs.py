"""`flynn ps --follow`: the jobs as they are, then a line for each that comes, changes or goes."""

import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
import msgspec

from flynn.cli import show
from flynn.cli.pipe import while_read
from flynn.cli.session import Session
from flynn.cli.words import clock
from flynn.core.errors import NotFound
from flynn.core.records import JobInfo

if TYPE_CHECKING:
    from flynn.client import Client
    from flynn.core.records import Line


def follow(session: Session, app: str, all: bool) -> None:
    """Until the reader goes away, or the app is deleted. NotFound: there is no such app, or it is no more."""

    async def read(client: "Client") -> None:
        from flynn.client.follow_jobs import follow_jobs

        seen = Seen()
        async with aclosing(follow_jobs(client, app, all)) as lines:
            async for line in lines:
                for text in _raw(line) if session.json else seen.told(line, time.time()):
                    click.echo(text)
                sys.stdout.flush()
                if line["kind"] == "done":
                    raise NotFound(str(line["message"]))

    session.ask(lambda client: while_read(read(client)))


def _raw(line: "Line") -> Iterator[str]:
    yield msgspec.json.encode(line).decode()


@dataclass
class Seen:
    """The jobs that were shown, by id."""

    jobs: dict[str, JobInfo] = field(default_factory=dict)
    begun: bool = False

    def told(self, line: "Line", now: float) -> list[str]:
        """What to print of a line of the stream: the first list as `ps` has it, then only what is not as it was."""
        if line["kind"] == "list":
            rows = {job.id: job for job in msgspec.convert(line["items"], list[JobInfo])}
            first, self.begun = not self.begun, True
            before, self.jobs = self.jobs, rows
            if first:
                return show.jobs(list(rows.values()), {}, now)
            gone = [_gone(job, now) for id, job in before.items() if id not in rows]
            return [*gone, *(line for id, job in rows.items() for line in _changed(before.get(id), job, now))]
        if line["kind"] == "item":
            job = msgspec.convert(line["item"], JobInfo)
            was, self.jobs[job.id] = self.jobs.get(job.id), job
            return _changed(was, job, now)
        if line["kind"] == "gone" and (left := self.jobs.pop(str(line["id"]), None)):
            return [_gone(left, now)]
        return []


def _changed(was: JobInfo | None, job: JobInfo, now: float) -> list[str]:
    """`14:02:11.031 ==> hello-web-3f2a9c1e up on host-a v3, restarted 1 time`; nothing, if that was said before."""
    told = _said(job)
    return [] if was and _said(was) == told else [f"{clock(now)} ==> {told}"]


def _said(job: JobInfo) -> str:
    where = f" on {job.host}" if job.host else ""
    version = f" v{job.release}" if job.release else ""
    why = show.why(job) or ("waits to be placed" if job.waiting else "")
    return f"{job.id} {job.state}{where}{version}" + (f", {why}" if why else "")


def _gone(job: JobInfo, now: float) -> str:
    return f"{clock(now)} ==> {job.id} is gone"
