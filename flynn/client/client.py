"""One method for each call of docs/api.md.

Errors are those of `core/errors.py`, as the node answered them; Unavailable: it does not answer. Streams are async
iterators of lines; leaving one early closes it, and what it told of goes on.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from flynn.client.attach import Attached, open_attached
from flynn.client.blobs import BlobCalls
from flynn.client.repositories import RepositoryCalls
from flynn.client.wire import UNARY, Wire
from flynn.core import model, records
from flynn.core.errors import NotFound
from flynn.core.explained import Explained
from flynn.core.records import Lines
from flynn.core.route_stats import GridStats
from flynn.core.usage import AppUsage


@asynccontextmanager
async def open_client(url: str, token: str) -> AsyncIterator["Client"]:
    """A client of the node at `url`, for the length of a block."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=UNARY) as session:
        yield Client(Wire(url, session))


class Client(BlobCalls, RepositoryCalls):
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
        return await self.wire.call("GET", _app(name), records.AppInfo)

    def delete(self, name: str, volumes: bool = False) -> Lines:
        """Delete an app; with `volumes` their data too."""
        return self.wire.lines("DELETE", _app(name), params={"volumes": "true"} if volumes else {})

    async def env(self, app: str) -> dict[str, str]:
        return await self.wire.call("GET", _app(app, "env"), dict[str, str])

    def change_env(self, app: str, put: Mapping[str, str], unset: tuple[str, ...] = ()) -> Lines:
        body = {"set": dict(put), "unset": list(unset)}
        return self.wire.lines("PATCH", _app(app, "env"), json=body)

    async def limits(self, app: str) -> dict[str, dict[str, int]]:
        """All limits by process type: `memory`, `reserve` (MiB), `cpu`, `cpu_reserve` (thousandths of a core), `pids`,
        `files`."""
        return await self.wire.call("GET", _app(app, "limits"), dict[str, dict[str, int]])

    def change_limits(
        self, app: str, put: Mapping[str, Mapping[str, int]], unset: Mapping[str, Sequence[str]]
    ) -> Lines:
        body = {"set": {type: dict(own) for type, own in put.items()}, "unset": {t: list(n) for t, n in unset.items()}}
        return self.wire.lines("PATCH", _app(app, "limits"), json=body)

    async def buildpacks(self, app: str) -> records.Buildpacks:
        return await self.wire.call("GET", _app(app, "buildpacks"), records.Buildpacks)

    async def set_buildpacks(self, app: str, packs: Sequence[str]) -> records.Buildpacks:
        """What it is built with from the next build on; none: the first one that fits."""
        body = {"buildpacks": list(packs)}
        return await self.wire.call("PUT", _app(app, "buildpacks"), records.Buildpacks, body)

    async def volumes(self, app: str = "") -> list[records.VolumeInfo]:
        """The volumes of an app, deleted or not, or of all."""
        query = {"app": app} if app else {}
        return await self.wire.call("GET", "/v1/volumes", list[records.VolumeInfo], query=query)

    async def create_volume(
        self, app: str, name: str, shared: bool = False, scratch: bool = False, host: str = ""
    ) -> model.Volume:
        body = {"name": name, "shared": shared, "scratch": scratch, "host": host}
        return await self.wire.call("POST", _app(app, "volumes"), model.Volume, body)

    async def delete_volume(self, app: str, name: str, lost: bool = False) -> records.VolumeInfo:
        """Delete a volume and its data; as it was. `lost`: only forget it, as its host will never come back."""
        query = {"lost": "true"} if lost else {}
        return await self.wire.call("DELETE", _app(app, f"volumes/{_part(name)}"), records.VolumeInfo, query=query)

    async def mounts(self, app: str) -> dict[str, list[str]]:
        """By process type, as users write them: `data:/var/lib/data:ro`."""
        return await self.wire.call("GET", _app(app, "mounts"), dict[str, list[str]])

    def change_mounts(self, app: str, put: Mapping[str, Sequence[str]], unset: Mapping[str, Sequence[str]]) -> Lines:
        """`put` by process type, `unset` by volume or place."""
        body = {"set": {type: list(own) for type, own in put.items()}, "unset": {t: list(n) for t, n in unset.items()}}
        return self.wire.lines("PATCH", _app(app, "mounts"), json=body)

    async def releases(self, app: str) -> list[model.Release]:
        """Newest first."""
        return await self.wire.call("GET", _app(app, "releases"), list[model.Release])

    async def release(self, app: str, version: int) -> records.ReleaseInfo:
        return await self.wire.call("GET", _app(app, f"releases/{version}"), records.ReleaseInfo)

    def deploy_image(
        self,
        app: str,
        image: str,
        commands: Mapping[str, str],
        description: str = "",
        described: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Lines:
        """Deploy an image that hosts pull. `commands` by process type; none: one `web`, as the image says.

        `described`: what is said of its process types beside that, as in flynn.json. `query`: of this deploy alone,
        `strategy`, `batch`, `wait`.
        """
        body: dict[str, object] = {"image": image, "processes": dict(commands), "description": description}
        body |= {} if described is None else {"described": described}
        return self.wire.lines("POST", _app(app, "releases"), json=body, params=dict(query or {}))

    async def deployment(self, app: str) -> records.Deployment:
        """How the deploys of an app go, and the last of them."""
        return await self.wire.call("GET", _app(app, "deployment"), records.Deployment)

    async def change_deployment(self, app: str, said: Mapping[str, Any]) -> records.Deployment:
        return await self.wire.call("PATCH", _app(app, "deployment"), records.Deployment, dict(said))

    async def cancel_deploy(self, app: str) -> records.Ordered:
        """End the deploy under way; the old release serves. Invalid: there is none."""
        return await self.wire.call("DELETE", _app(app, "deploy"), records.Ordered)

    async def promote_deploy(self, app: str) -> records.Ordered:
        """A canary goes on now. Invalid: there is none."""
        return await self.wire.call("POST", _app(app, "deploy/promote"), records.Ordered)

    def rollback(self, app: str, version: int | None = None, query: Mapping[str, str] | None = None) -> Lines:
        body = {} if version is None else {"version": version}
        return self.wire.lines("POST", _app(app, "rollback"), json=body, params=dict(query or {}))

    async def formation(self, app: str) -> dict[str, int]:
        return await self.wire.call("GET", _app(app, "formation"), dict[str, int])

    async def placement(self, app: str) -> dict[str, model.Placement]:
        """Where the jobs of types may be that may not be anywhere."""
        return await self.wire.call("GET", _app(app, "placement"), dict[str, model.Placement])

    def scale(self, app: str, counts: Mapping[str, object], wait: bool = True) -> Lines:
        """New numbers by type; or `{"count", "tags", "omni", "one_per_host", "any"}`, see docs/api.md."""
        query = {} if wait else {"wait": "false"}
        return self.wire.lines("PATCH", _app(app, "formation"), json=dict(counts), params=query)

    async def explain_app(self, app: str) -> list[Explained]:
        """What waits of an app and why, and where its next jobs would go."""
        return await self.wire.call("GET", _app(app, "explain"), list[Explained])

    async def explain_job(self, job: str) -> Explained:
        return await self.wire.call("GET", f"/v1/jobs/{_part(job)}/explain", Explained)

    async def jobs(self, app: str, all: bool = False, at: str = "") -> list[records.JobInfo]:
        """The jobs that run or wait, or did so at a time; with `all` also those that ended."""
        query = ({"all": "true"} if all else {}) | ({"at": at} if at else {})
        return await self.wire.call("GET", _app(app, "jobs"), list[records.JobInfo], query=query)

    def watch_jobs(self, app: str, all: bool = False, after: str = "") -> Lines:
        """The list, then each change (docs/api.md, "Lists can be watched"); `after`: the revision to go on from."""
        query = {"watch": "true"} | ({"all": "true"} if all else {}) | ({"after": after} if after else {})
        return self.wire.lines("GET", _app(app, "jobs"), params=query)

    async def kill(self, job: str) -> str:
        """Stop a job; its id. NotFound: it is not running."""
        return (await self.wire.call("DELETE", f"/v1/jobs/{_part(job)}", records.Id)).id

    async def run(
        self,
        app: str,
        command: str,
        env: Mapping[str, str] | None = None,
        detach: bool = False,
        terminal: tuple[int, int] | None = None,
        mounts: Sequence[str] = (),
        release: int = 0,
        limits: Mapping[str, int] | None = None,
        time_limit: float = 0.0,
        meta: Mapping[str, str] | None = None,
    ) -> str:
        """Queue a one-off job; its id. It starts when it is attached, within 60 s, or with `detach` by itself.

        `terminal`: it has one, of so many rows and columns. `mounts`, `limits`: for it alone. `release` 0: the one that
        serves. `time_limit`: seconds; 0, as long as the grid lets any run. `meta`: notes that its listing has.
        """
        body: dict[str, Any] = {
            "command": command, "env": dict(env or {}), "detach": detach, "terminal": terminal, "mounts": list(mounts),
            "release": release, "limits": dict(limits or {}), "time_limit": time_limit, "meta": dict(meta or {}),
        }  # fmt: skip
        return (await self.wire.call("POST", _app(app, "run"), records.Id, body)).id

    @asynccontextmanager
    async def attach(self, job: str, heartbeat: float | None = None) -> AsyncIterator[Attached]:
        """The standard streams of a one-off job, for the length of a block."""
        async with open_attached(self.wire, f"/v1/jobs/{_part(job)}/attach", heartbeat) as attached:
            yield attached

    @asynccontextmanager
    async def execute(
        self, job: str, command: str, terminal: tuple[int, int] | None = None, heartbeat: float | None = None
    ) -> AsyncIterator[Attached]:
        """The standard streams of a command that is run beside a running job, for the length of a block."""
        async with open_attached(self.wire, f"/v1/jobs/{_part(job)}/exec", heartbeat) as attached:
            await attached.order(command, terminal)
            yield attached

    def log(
        self, app: str, n: int | None = None, follow: bool = False, wanted: Mapping[str, str] | None = None
    ) -> Lines:
        """The last `n` lines (None: as many as are usual), oldest first; with `follow` those to come as well.

        `wanted` says which: `type`, `job`, `release`, `stream`, `since`, `text`; `from` is where to go on.
        """
        query = {"n": str(n)} if n is not None else {}
        query |= {"follow": "true" if follow else "false", **(wanted or {})}
        return self.wire.lines("GET", _app(app, "log"), params=query)

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
        return await self.wire.call("DELETE", f"/v1/sinks/{_part(id)}", model.Sink)

    async def cron(self, app: str) -> list[records.CronInfo]:
        """What an app runs by the clock."""
        return await self.wire.call("GET", _app(app, "cron"), list[records.CronInfo])

    async def cron_runs(self, app: str, name: str) -> list[model.Run]:
        """The newest first."""
        return await self.wire.call("GET", _app(app, f"cron/{_part(name)}/runs"), list[model.Run])

    async def cron_run(self, app: str, name: str) -> str:
        """Run an entry now; the id of its job."""
        return (await self.wire.call("POST", _app(app, f"cron/{_part(name)}/run"), records.Id, {})).id

    async def pause_cron(self, app: str, name: str, paused: bool) -> records.CronInfo:
        return await self.wire.call("PATCH", _app(app, f"cron/{_part(name)}"), records.CronInfo, {"paused": paused})

    async def queues(self) -> list[records.QueueInfo]:
        return await self.wire.call("GET", "/v1/queues", list[records.QueueInfo])

    async def queue(self, name: str, most: int = 1000) -> records.QueueDetail:
        """One queue with the jobs that wait in it, `most` of them."""
        return await self.wire.call("GET", f"/v1/queues/{_part(name)}", records.QueueDetail, query={"n": str(most)})

    async def cancel(self, job: str) -> str:
        """Take a job out of its queue; its id. NotFound: it waits in none. Conflict: it has a host already."""
        for queue in model.QUEUES:
            try:
                return (await self.wire.call("DELETE", f"/v1/queues/{queue}/{_part(job)}", records.Id)).id
            except NotFound:
                continue
        raise NotFound(f"no job {job[:80]!r} waits for a host; `flynn queue` shows the queues")

    async def hosts(self) -> list[records.HostInfo]:
        return await self.wire.call("GET", "/v1/hosts", list[records.HostInfo])

    async def host(self, name: str) -> records.HostDetail:
        return await self.wire.call("GET", f"/v1/hosts/{_part(name)}", records.HostDetail)

    async def plan_drain(self, host: str) -> records.Forecast:
        """What a drain of the host would do now."""
        return await self.wire.call("GET", f"/v1/hosts/{_part(host)}/drain", records.Forecast)

    def drain(self, host: str, force: bool = False, timeout: float | None = None, wait: bool = True) -> Lines:
        """Move all work off a host. `force` stops what cannot be moved, what ends by itself after `timeout` s."""
        body: dict[str, object] = {"force": force} | ({} if timeout is None else {"timeout": timeout})
        query = {} if wait else {"wait": "false"}
        return self.wire.lines("POST", f"/v1/hosts/{_part(host)}/drain", json=body, params=query)

    async def undrain(self, host: str) -> model.Wish:
        return await self.wire.call("DELETE", f"/v1/hosts/{_part(host)}/drain", model.Wish)

    async def tag_host(self, host: str, put: Mapping[str, str], remove: Sequence[str] = ()) -> model.Wish:
        """Set tags of a host, take others away; what is wanted of it now."""
        body = {"set": dict(put), "remove": list(remove)}
        return await self.wire.call("PATCH", f"/v1/hosts/{_part(host)}/tags", model.Wish, body)

    async def usage(self, app: str) -> AppUsage:
        """What the running jobs of an app take now, as their hosts tell."""
        return await self.wire.call("GET", _app(app, "usage"), AppUsage)

    async def routes(self, app: str) -> list[model.Route]:
        return await self.wire.call("GET", _app(app, "routes"), list[model.Route])

    async def route(self, id: str) -> model.Route:
        return await self.wire.call("GET", f"/v1/routes/{_part(id)}", model.Route)

    async def add_route(self, app: str, wanted: Mapping[str, Any]) -> model.Route:
        """A new route: `domain` and `path`, or `kind` tcp and `port` (0: any), `service` and options."""
        return await self.wire.call("POST", _app(app, "routes"), model.Route, dict(wanted))

    async def change_route(self, id: str, options: Mapping[str, Any]) -> model.Route:
        return await self.wire.call("PATCH", f"/v1/routes/{_part(id)}", model.Route, dict(options))

    async def change_routes(self, app: str, options: Mapping[str, Any]) -> list[model.Route]:
        """Options for all HTTP routes of an app."""
        return await self.wire.call("PATCH", _app(app, "routes"), list[model.Route], dict(options))

    async def remove_route(self, id: str) -> model.Route:
        return await self.wire.call("DELETE", f"/v1/routes/{_part(id)}", model.Route)

    async def router_stats(self, app: str = "", all: bool = False) -> GridStats:
        """What all routers count of the routes of an app, or of all; with `all` also of those without a request."""
        query = ({"app": app} if app else {}) | ({"all": "true"} if all else {})
        return await self.wire.call("GET", "/v1/routers/stats", GridStats, query=query)

    def build(
        self,
        app: str,
        source: AsyncIterator[bytes],
        size: int,
        description: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Lines:
        """Build and deploy a gzip'd tar of `size` bytes. `query`: of its deploy alone, `strategy`, `batch`."""
        headers = {"Content-Type": "application/gzip", "Content-Length": str(size)}
        params = ({"description": description} if description else {}) | dict(query or {})
        return self.wire.lines("POST", _app(app, "builds"), data=source, headers=headers, params=params)

    async def builds(self, app: str) -> list[records.BuildInfo]:
        """The last ones, newest first."""
        return await self.wire.call("GET", _app(app, "builds"), list[records.BuildInfo])

    def build_log(self, app: str, number: int) -> Lines:
        """What a build printed; one under way is followed to its end."""
        return self.wire.lines("GET", _app(app, f"builds/{number}/log"))

    async def cancel_build(self, app: str, number: int) -> records.BuildInfo:
        """End a build before its time; as it is once it has ended, or some seconds later."""
        return await self.wire.call("DELETE", _app(app, f"builds/{number}"), records.BuildInfo)

    async def services(self) -> dict[str, int]:
        """How many instances each service has."""
        return await self.wire.call("GET", "/v1/services", dict[str, int])

    async def service(self, name: str) -> records.ServiceInfo:
        return await self.wire.call("GET", f"/v1/services/{_part(name)}", records.ServiceInfo)

    def watch(self, name: str) -> AsyncGenerator[records.Event, None]:
        """The instances of a service as events `up`, then `current`, then every change."""
        return self.wire.events(f"/v1/services/{_part(name)}")


def _app(name: str, rest: str = "") -> str:
    return f"/v1/apps/{_part(name)}" + (f"/{rest}" if rest else "")


def _part(name: str) -> str:
    """A name made safe as one segment of a path. Dots are kept from meaning a parent."""
    return quote(name, safe="").replace(".", "%2E") or "%20"
