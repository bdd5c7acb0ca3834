"""A small grid that answers as docs/api.md says, in this process: for the looks and exit codes of the command line."""

import asyncio
import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from flynn.core.addresses import mask, unmasked
from flynn.core.records import STALE_SINCE, BuildInfo

TOKEN = "secret"
T0 = 1_795_000_000.0


@dataclass(eq=False)
class FakeGrid:
    """Holds what was asked for; `lines` are what the next stream answers."""

    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    """Jobs that are told of only with `all`."""

    routes: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=lambda: {"jobs": {}, "silent": {}})
    host: dict[str, Any] = field(default_factory=dict)
    counted: list[dict[str, Any]] = field(default_factory=list)
    """What the routers answer, one after the other; the last again and again."""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    sinks: list[dict[str, Any]] = field(default_factory=list)
    cron: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    command: str = ""
    mounts: list[str] = field(default_factory=list)
    buildpacks: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    cut: bool = False
    """Streams break off after their last line; `then` is what the next one answers."""

    then: list[dict[str, Any]] = field(default_factory=list)
    open: bool = False
    """Streams go on after their last line."""

    stale_since: float | None = None
    builds: list[BuildInfo] = field(default_factory=list)
    port: int = 0
    git_url: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._door], client_max_size=1 << 26)
        add = app.router.add_route
        add("POST", "/v1/apps", self.create)
        add("GET", "/v1/apps", self.list)
        add("GET", "/v1/apps/{app}", self.show)
        add("GET", "/v1/apps/{app}/env", self.env)
        add("GET", "/v1/apps/{app}/formation", self.formation)
        add("GET", "/v1/apps/{app}/placement", self.placement)
        add("GET", "/v1/apps/{app}/explain", self.explain)
        add("GET", "/v1/jobs/{job}/explain", self.explain)
        add("GET", "/v1/apps/{app}/limits", self.limits)
        add("GET", "/v1/apps/{app}/jobs", self.ps)
        add("GET", "/v1/apps/{app}/usage", self.used)
        add("GET", "/v1/hosts/{host}", self.show_host)
        for path in ("/v1/apps/{app}/routes", "/v1/routes/{id}"):
            add("*", path, self.route)
        add("GET", "/v1/routers/stats", self.router_stats)
        add("*", "/v1/sinks", self.sink)
        add("DELETE", "/v1/sinks/{id}", self.sink)
        add("GET", "/v1/volumes", self.volume)
        add("POST", "/v1/apps/{app}/volumes", self.volume)
        add("POST", "/v1/apps/{app}/run", self.run)
        add("POST", "/v1/apps/{app}/builds", self.build)
        add("*", "/v1/apps/{app}/repository", self.repository)
        add("GET", "/{app}.git/info/refs", self.refs)
        add("GET", "/v1/apps/{app}/builds", self.list_builds)
        add("GET", "/v1/apps/{app}/builds/{number}/log", self.stream)
        add("DELETE", "/v1/apps/{app}/builds/{number}", self.cancel_build)
        add("GET", "/v1/apps/{app}/log", self.stream)
        add("GET", "/v1/events", self.stream)
        add("*", "/v1/apps/{app}/cron", self.see_cron)
        add("*", "/v1/apps/{app}/cron/{rest:.*}", self.see_cron)
        add("GET", "/v1/jobs/{job}/attach", self.attach)
        add("DELETE", "/v1/jobs/{job}", self.kill)
        add("DELETE", "/v1/apps/{former}/volumes/{name}", self.forget)
        for method, path in (
            ("PATCH", "env"), ("PATCH", "formation"), ("PATCH", "limits"), ("PATCH", "mounts"), ("POST", "rollback"),
            ("POST", "releases"),
        ):  # fmt: skip
            add(method, f"/v1/apps/{{app}}/{path}", self.stream)
        add("DELETE", "/v1/apps/{app}", self.stream)
        add("*", "/v1/apps/{app}/deployment", self.deployment)
        add("*", "/v1/apps/{app}/buildpacks", self.buildpack)
        add("*", "/v1/blobs/{sha256}", self.blob)
        for method, path in (("DELETE", "deploy"), ("POST", "deploy/promote")):
            add(method, f"/v1/apps/{{app}}/{path}", self.order)
        return app

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            told = problem(401, "unauthorized", "the token is missing or wrong; set FLYNN_TOKEN to the grid's own")
            told.headers["WWW-Authenticate"] = 'Basic realm="flynn"'
            return told
        name = request.match_info.get("app")
        if name and name not in self.apps:
            return problem(404, "not_found", f"there is no app {name}")
        answer: web.StreamResponse = await handler(request)
        if self.stale_since is not None:
            answer.headers[STALE_SINCE] = str(self.stale_since)
        return answer

    async def create(self, request: web.Request) -> web.Response:
        name = (await request.json()).get("name") or "calm-river-1234"
        if name in self.apps:
            return problem(409, "exists", f"there is an app {name} already; choose another name")
        self.add(name)
        return web.json_response(self.apps[name], status=201)

    def add(self, name: str) -> None:
        self.apps[name] = {
            "name": name, "created": T0, "release": 0, "env": {"GREETING": "Hello"},
            "url": f"http://{name}.flynn.localhost:8080", "processes": {"web": {"wanted": 1, "up": 1}},
            "deploy": None, "build": None, "routes": [],
        }  # fmt: skip

    async def limits(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"web": {"memory": 512, "reserve": 128, "cpu": 500, "cpu_reserve": 0, "pids": 2048, "files": 16384}}
        )

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response(list(self.apps.values()))

    async def buildpack(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            self.asked.append((request.method, request.path, await request.json()))
            self.buildpacks = unmasked((await request.json())["buildpacks"], self.buildpacks)
        return web.json_response({"buildpacks": [*map(mask, self.buildpacks)], "known": ["python", "procfile"]})

    async def blob(self, request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(status=200 if request.match_info["sha256"] in self.blobs else 404)
        self.blobs[request.match_info["sha256"]] = await request.read()
        return web.json_response({}, status=201)

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(self.apps[request.match_info["app"]])

    async def env(self, request: web.Request) -> web.Response:
        return web.json_response(self.apps[request.match_info["app"]]["env"])

    async def formation(self, request: web.Request) -> web.Response:
        return web.json_response({"web": 1})

    async def placement(self, request: web.Request) -> web.Response:
        return web.json_response({"web": {"tags": {"disk": "ssd"}, "one_per_host": True}})

    async def explain(self, request: web.Request) -> web.Response:
        found = explained(request.match_info.get("job", ""))
        if request.match_info.get("app", "hello") != "hello":
            return problem(404, "not_found", "there is no such app")
        return web.json_response([found] if "app" in request.match_info else found)

    async def see_cron(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append((request.method, request.path, json.loads(raw) if raw else None))
        if request.method == "POST":
            return web.json_response({"id": "hello-clean-1"}, status=201)
        if request.method == "PATCH":
            return web.json_response({**self.cron[0], **json.loads(raw)})
        return web.json_response(self.runs if request.path.endswith("/runs") else self.cron)

    async def repository(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append((request.method, request.path, json.loads(raw) if raw else None))
        told = {"app": request.match_info["app"], "url": self.git_url, "branch": "main", "pushed": T0, "size": 1234}
        return web.json_response({**told, "commit": "abc" * 13 + "d", **(json.loads(raw) if raw else {})})

    async def refs(self, request: web.Request) -> web.Response:
        raise AssertionError("who looks whether git is answered shows no token")

    async def ps(self, request: web.Request) -> web.StreamResponse:
        if not {"at", "watch"}.isdisjoint(request.query):
            self.asked.append(("GET", request.path_qs, None))
        shown = self.jobs + (self.ended if request.query.get("all") == "true" else [])
        return await self._send(request) if "watch" in request.query else web.json_response(shown)

    async def used(self, request: web.Request) -> web.Response:
        return web.json_response(self.usage) if self.usage else problem(404, "not_found", "there is nothing there")

    async def show_host(self, request: web.Request) -> web.Response:
        name = request.match_info["host"]
        if self.host.get("name") != name:
            return problem(404, "not_found", f"there is no host {name} now")
        return web.json_response(self.host)

    async def router_stats(self, request: web.Request) -> web.Response:
        self.asked.append(("GET", request.path_qs, None))
        if not self.counted:
            return problem(404, "not_found", "there is nothing at /v1/routers/stats")
        return web.json_response(self.counted.pop(0) if len(self.counted) > 1 else self.counted[0])

    async def sink(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(self.sinks)
        if request.method == "POST":
            self.asked.append(("POST", request.path, await request.json()))
            self.sinks.append({"id": "3f2a9c1e", "created": T0, **self.asked[-1][2]})
        return web.json_response(self.sinks[-1])

    async def volume(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            self.asked.append(("GET", request.path_qs, None))
            return web.json_response(self.volumes)
        self.asked.append(("POST", request.path, await request.json()))
        return web.json_response({"app": "hello", "id": "1", "created": T0, **self.asked[-1][2]}, status=201)

    async def forget(self, request: web.Request) -> web.Response:
        """A volume is deleted, also one of an app that is."""
        self.asked.append(("DELETE", request.path_qs, None))
        away = request.match_info["former"] == "away"
        told = {
            "app": "hello",
            "name": "data",
            "id": "1",
            "created": T0,
            "host": "host-a",
            "path": "/v/data",
            "away": away,
        }
        return web.json_response(told)

    async def kill(self, request: web.Request) -> web.Response:
        self.asked.append(("DELETE", request.path, None))
        return web.json_response({"id": request.match_info["job"]})

    async def route(self, request: web.Request) -> web.Response:
        """All of them, or those that are named; changed, made or removed as asked."""
        raw = await request.read()
        wanted: Any = json.loads(raw) if raw else None
        if request.method != "GET":
            self.asked.append((request.method, request.path, wanted))
        if request.method == "POST":
            return web.json_response({"id": "1a2b3c4d", "service": "hello-web", "port": 3000} | wanted, status=201)
        id = request.match_info.get("id")
        found = [route for route in self.routes if id in (None, route["id"])]
        if id and not found:
            return problem(404, "not_found", f"there is no route {id}")
        return web.json_response(found[0] if id else found)

    async def run(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.command, self.mounts = told["command"], told.get("mounts", [])
        return web.json_response({"id": "hello-run-1"}, status=201)

    async def deployment(self, request: web.Request) -> web.Response:
        said = await request.json() if request.method == "PATCH" else {}
        self.asked.append((request.method, request.path, said))
        how = {"strategy": "canary", "batch": 2, "timeout": 0.0, "share": 0.1, "hold": 60.0} | said
        deploy = {"app": "hello", "old": 1, "new": 2, "started": T0, "state": "failed", "reason": "web crashed"}
        return web.json_response({"how": how, "strategies": ["canary", "rolling"], "deploy": deploy})

    async def order(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, None))
        deploy = {"app": "hello", "old": 1, "new": 2, "started": T0}
        return web.json_response({"deploy": deploy, "message": "v2 of hello goes on"})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.asked.append((request.method, request.path_qs, json.loads(raw) if raw else None))
        return await self._send(request)

    async def build(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as tar:
            self.asked.append((request.method, request.path_qs, tar.getnames()))
        return await self._send(request)

    async def list_builds(self, request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self.builds), content_type="application/json")

    async def cancel_build(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path, None))
        (found,) = (build for build in self.builds if build.number == int(request.match_info["number"]))
        body = msgspec.json.encode(msgspec.structs.replace(found, state="cancelled"))
        return web.Response(body=body, content_type="application/json")

    async def _send(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for line in self.lines:
            await response.write(json.dumps(line).encode() + b"\n")
        if self.open:
            await asyncio.sleep(60)
        if self.cut and request.transport:
            self.lines = self.then or self.lines
            request.transport.close()
        return response

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """Runs the command line here, as a host would."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", self.command, stdin=pipe, stdout=pipe, stderr=pipe
        )
        feeding = asyncio.create_task(self._feed(socket, process))
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(_pump(socket, process.stdout, b"\1"), _pump(socket, process.stderr, b"\2"))
        code = await process.wait()
        await socket.send_json({"exit_code": code if code >= 0 else 128 - code, "reason": ""})
        feeding.cancel()
        await asyncio.wait([feeding])
        await socket.close()
        return socket

    async def _feed(self, socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                process.stdin.write(message.data)
            elif "signal" in (told := json.loads(message.data)):
                self.signals.append(told["signal"])
                process.send_signal(told["signal"])
            else:
                process.stdin.close()


async def _pump(socket: web.WebSocketResponse, source: asyncio.StreamReader, fd: bytes) -> None:
    while data := await source.read(65536):
        await socket.send_bytes(fd + data)


def problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "retry": False}, status=status)


@asynccontextmanager
async def open_fake() -> AsyncIterator[FakeGrid]:
    """A fake grid on a free port, for the length of a block."""
    grid = FakeGrid()
    runner = web.AppRunner(grid.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        grid.port = runner.addresses[0][1]
        yield grid
    finally:
        await runner.cleanup()


def explained(id: str) -> dict[str, object]:
    """A job that runs, or the next one."""
    return {
        "app": "hello", "type": "web", "release": 2, "id": id, "state": "up" if id else "next",
        "memory": 128, "cpu": 500,        "host": "b" if id else "", "hosts": [
            {"host": "a", "zone": "x", "in_zone": 1, "fit": 0.25},
            {"host": "b", "zone": "y", "on_host": 2, "fit": 101.5},
            {"host": "c", "refusal": "has 64 MiB of 512 free, 128 MiB asked", "here": bool(id)},
        ],
    }  # fmt: skip
