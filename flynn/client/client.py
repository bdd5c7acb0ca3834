"""One method for each call of docs/api.md.

Errors are those of `core/errors.py`, as the node answered them; Unavailable: it does not answer. Streams are async
iterators of lines; leaving one early closes it, and what it told of goes on.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp

from flynn.client.blobs import BlobCalls
from flynn.client.builds import BuildCalls
from flynn.client.calls import of_app, segment
from flynn.client.hosts import HostCalls
from flynn.client.previews import PreviewCalls
from flynn.client.releases import ReleaseCalls
from flynn.client.repositories import RepositoryCalls
from flynn.client.routes import RouteCalls
from flynn.client.runs import RunCalls
from flynn.client.volumes import VolumeCalls
from flynn.client.wire import UNARY, Wire
from flynn.core import model, records
from flynn.core.errors import NotFound
from flynn.core.explained import Explained
from flynn.core.records import Lines
from flynn.core.usage import AppUsage


@asynccontextmanager
async def open_client(url: str, token: str) -> AsyncIterator["Client"]:
    """A client of the node at `url`, for the length of a block."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=UNARY) as session:
        yield Client(Wire(url, session))


class Client(
    BlobCalls,
    BuildCalls,
    HostCalls,
    PreviewCalls,
    ReleaseCalls,
    RepositoryCalls,
    RouteCalls,
    RunCalls,
    VolumeCalls,
):
    """The grid, seen through one of its nodes."""

    async def status(self) -> records.Status:
        return await self.wire.call("GET", "/v1/status", records.Status)

    async def node(self) -> records.NodeInfo:
        return await self.wire.call("GET", "/v1/node", records.NodeInfo)

    async def create(self, name: str = "") -> records.AppInfo:
        """A new app; without a name one is made up."""
        return await self.wire.call("POST", "/v1/apps", records.AppInfo, {"name": name} if name else {})

    async def apps(self) -> list[records.AppInfo]:
        return await self.wire.call("GET", "/v1/apps", list[records.AppInfo])

    async def app(self, name: str) -> records.AppInfo:
        return await self.wire.call("GET", of_app(name), records.AppInfo)

    def delete(self, name: str, volumes: bool = False) -> Lines:
        """Delete an app; with `volumes` their data too."""
        return self.wire.lines("DELETE", of_app(name), params={"volumes": "true"} if volumes else {})

    async def env(self, app: str) -> dict[str, str]:
        return await self.wire.call("GET", of_app(app, "env"), dict[str, str])

    def change_env(self, app: str, put: Mapping[str, str], unset: tuple[str, ...] = ()) -> Lines:
        body = {"set": dict(put), "unset": list(unset)}
        return self.wire.lines("PATCH", of_app(app, "env"), json=body)

    async def limits(self, app: str) -> dict[str, dict[str, int]]:
        """All limits by process type: `memory`, `reserve` (MiB), `cpu`, `cpu_reserve` (thousandths of a core), `pids`,
        `files`."""
        return await self.wire.call("GET", of_app(app, "limits"), dict[str, dict[str, int]])

    def change_limits(
        self, app: str, put: Mapping[str, Mapping[str, int]], unset: Mapping[str, Sequence[str]]
    ) -> Lines:
        body = {"set": {type: dict(own) for type, own in put.items()}, "unset": {t: list(n) for t, n in unset.items()}}
        return self.wire.lines("PATCH", of_app(app, "limits"), json=body)

    async def formation(self, app: str) -> dict[str, int]:
        return await self.wire.call("GET", of_app(app, "formation"), dict[str, int])

    async def placement(self, app: str) -> dict[str, model.Placement]:
        """Where the jobs of types may be that may not be anywhere."""
        return await self.wire.call("GET", of_app(app, "placement"), dict[str, model.Placement])

    def scale(self, app: str, counts: Mapping[str, object], wait: bool = True) -> Lines:
        """New numbers by type; or `{"count", "tags", "omni", "one_per_host", "any"}`, see docs/api.md."""
        query = {} if wait else {"wait": "false"}
        return self.wire.lines("PATCH", of_app(app, "formation"), json=dict(counts), params=query)

    async def explain_app(self, app: str) -> list[Explained]:
        """What waits of an app and why, and where its next jobs would go."""
        return await self.wire.call("GET", of_app(app, "explain"), list[Explained])

    async def explain_job(self, job: str) -> Explained:
        return await self.wire.call("GET", f"/v1/jobs/{segment(job)}/explain", Explained)

    async def jobs(self, app: str, all: bool = False, at: str = "") -> list[records.JobInfo]:
        """The jobs that run or wait, or did so at a time; with `all` also those that ended."""
        query = ({"all": "true"} if all else {}) | ({"at": at} if at else {})
        return await self.wire.call("GET", of_app(app, "jobs"), list[records.JobInfo], query=query)

    def watch_jobs(self, app: str, all: bool = False, after: str = "") -> Lines:
        """The list, then each change (docs/api.md, "Lists can be watched"); `after`: the revision to go on from."""
        query = {"watch": "true"} | ({"all": "true"} if all else {}) | ({"after": after} if after else {})
        return self.wire.lines("GET", of_app(app, "jobs"), params=query)

    async def kill(self, job: str) -> str:
        """Stop a job; its id. NotFound: it is not running."""
        return (await self.wire.call("DELETE", f"/v1/jobs/{segment(job)}", records.Id)).id

    def log(
        self, app: str, n: int | None = None, follow: bool = False, wanted: Mapping[str, str] | None = None
    ) -> Lines:
        """The last `n` lines (None: as many as are usual), oldest first; with `follow` those to come as well.

        `wanted` says which: `type`, `job`, `release`, `stream`, `since`, `text`; `from` is where to go on.
        """
        query = {"n": str(n)} if n is not None else {}
        query |= {"follow": "true" if follow else "false", **(wanted or {})}
        return self.wire.lines("GET", of_app(app, "log"), params=query)

    def events(self, wanted: Mapping[str, str] | None = None) -> Lines:
        """What has happened: `app`, `kind` (with commas), `since`, `n`, `after`, `before` (ids), `follow`."""
        return self.wire.lines("GET", "/v1/events", params=dict(wanted or {}))

    async def sinks(self) -> list[records.SinkInfo]:
        """The log sinks, and how they fare on each host."""
        return await self.wire.call("GET", "/v1/sinks", list[records.SinkInfo])

    async def add_sink(self, url: str, app: str = "", options: Mapping[str, str] | None = None) -> model.Sink:
        """Send the lines of an app ("": of all) to `url` as well, from now on."""
        body = {"url": url, "app": app, "options": dict(options or {})}
        return await self.wire.call("POST", "/v1/sinks", model.Sink, body)

    async def remove_sink(self, id: str) -> model.Sink:
        return await self.wire.call("DELETE", f"/v1/sinks/{segment(id)}", model.Sink)

    async def cron(self, app: str) -> list[records.CronInfo]:
        """What an app runs by the clock."""
        return await self.wire.call("GET", of_app(app, "cron"), list[records.CronInfo])

    async def cron_runs(self, app: str, name: str) -> list[model.Run]:
        """The newest first."""
        return await self.wire.call("GET", of_app(app, f"cron/{segment(name)}/runs"), list[model.Run])

    async def cron_run(self, app: str, name: str) -> str:
        """Run an entry now; the id of its job."""
        return (await self.wire.call("POST", of_app(app, f"cron/{segment(name)}/run"), records.Id, {})).id

    async def pause_cron(self, app: str, name: str, paused: bool) -> records.CronInfo:
        return await self.wire.call("PATCH", of_app(app, f"cron/{segment(name)}"), records.CronInfo, {"paused": paused})

    async def queues(self) -> list[records.QueueInfo]:
        return await self.wire.call("GET", "/v1/queues", list[records.QueueInfo])

    async def queue(self, name: str, most: int = 1000) -> records.QueueDetail:
        """One queue with the jobs that wait in it, `most` of them."""
        return await self.wire.call("GET", f"/v1/queues/{segment(name)}", records.QueueDetail, query={"n": str(most)})

    async def cancel(self, job: str) -> str:
        """Take a job out of its queue; its id. NotFound: it waits in none. Conflict: it has a host already."""
        for queue in model.QUEUES:
            try:
                return (await self.wire.call("DELETE", f"/v1/queues/{queue}/{segment(job)}", records.Id)).id
            except NotFound:
                continue
        raise NotFound(f"no job {job[:80]!r} waits for a host; `flynn queue` shows the queues")

    async def usage(self, app: str) -> AppUsage:
        """What the running jobs of an app take now, as their hosts tell."""
        return await self.wire.call("GET", of_app(app, "usage"), AppUsage)

    async def services(self) -> dict[str, int]:
        """How many instances each service has."""
        return await self.wire.call("GET", "/v1/services", dict[str, int])

    async def service(self, name: str) -> records.ServiceInfo:
        return await self.wire.call("GET", f"/v1/services/{segment(name)}", records.ServiceInfo)

    def watch(self, name: str) -> AsyncGenerator[records.Event, None]:
        """The instances of a service as events `up`, then `current`, then every change."""
        return self.wire.events(f"/v1/services/{segment(name)}")
