"""What git asks over HTTP (gitprotocol-http(5)): refs, pushes, fetches; and what the API tells of a repository."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web

from flynn.core.child import Child
from flynn.core.disk import room
from flynn.core.errors import FlynnError, Forbidden, Invalid, NotFound, Unavailable, Unsupported
from flynn.core.room import share
from flynn.core.web import Handler, Route, Stream, query
from flynn.plugins.builder.git.advertise import advertise, advertised
from flynn.plugins.builder.git.body import pieces
from flynn.plugins.builder.git.consolidate import consolidate
from flynn.plugins.builder.git.converse import converse, from_git
from flynn.plugins.builder.git.hook import open_talk
from flynn.plugins.builder.git.packs import MANY
from flynn.plugins.builder.git.push import Means, Push
from flynn.plugins.builder.git.repositories import Local

SERVICES = ("git-receive-pack", "git-upload-pack")

REFS = "info/refs"

KINDS = {SERVICES[0]: "pushes", SERVICES[1]: "fetches", REFS: "questions about refs"}

PROTOCOL = re.compile(r"[a-z0-9=:.-]{1,100}")

AFTER = 60.0
"""Seconds that a push is waited for once git has ended."""


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of both is asked for."""

    service: str = ""


@dataclass(frozen=True)
class Limits:
    """`size`: bytes of a push. `pushes`, and as many fetches, and as many questions about refs, at one time."""

    size: int
    pushes: int


class GitApi:
    """Handlers. `tasks` has those pushes that go on without their pusher."""

    def __init__(self, means: Means, limits: Limits, tasks: asyncio.TaskGroup) -> None:
        self._means, self._limits, self._tasks = means, limits, tasks
        self._under_way = dict.fromkeys(KINDS, 0)
        self._pushes: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        one, answers = "/{app}.git", tuple(f"application/x-{name}-advertisement" for name in SERVICES)

        def service(name: str, handler: Handler, summary: str) -> Route:
            takes, gives = Stream((f"application/x-{name}-request",)), Stream((f"application/x-{name}-result",))
            return Route("POST", f"{one}/{name}", handler, summary, gives, takes, packed=True)

        return [
            Route(
                "GET",
                f"{one}/info/refs",
                self.told(self.refs),
                "what git asks first",
                Stream(answers),
                query=Service,
                errors=(Forbidden,),
            ),
            service("git-receive-pack", self.told(self.receive), "git push"),
            service("git-upload-pack", self.told(self.upload), "git fetch and clone"),
        ]

    def told(self, handler: Callable[[web.Request, str], Awaitable[web.StreamResponse]]) -> Handler:
        """The handler; to git, its errors come as text, which it shows."""

        async def answer(request: web.Request, app: str) -> web.StreamResponse:
            try:
                return await handler(request, app)
            except FlynnError as error:
                if not from_git(request):
                    raise
                return web.Response(text=f" !     {error}\n", status=error.status)

        answer.__doc__ = handler.__doc__
        return answer

    async def refs(self, request: web.Request, app: str) -> web.StreamResponse:
        """The refs, and what this server can do. Forbidden: neither of the two services is asked for."""
        name = query(request, Service).service
        if name not in SERVICES:
            raise Forbidden("only git's smart HTTP is spoken here: git 1.6.6 or newer asks for it by itself")
        environ = _protocol(request)
        async with self._admitted(app, REFS), self._means.repositories.opened(app) as local:
            if name == SERVICES[1]:
                _whole(local)
            found = await advertised(self._means.git, local, name, environ)
        newest = name == "git-upload-pack" and "version=2" in environ.get("GIT_PROTOCOL", "")
        line = f"# service={name}\n"
        head = b"" if newest else f"{len(line) + 4:04x}{line}0000".encode()
        headers = {"Content-Type": f"application/x-{name}-advertisement", "Cache-Control": "no-cache"}
        return web.Response(body=head + found, headers=headers)

    async def upload(self, request: web.Request, app: str) -> web.StreamResponse:
        """Objects that the client has not."""
        name = SERVICES[1]
        _check_type(request, name)
        async with self._admitted(app, name), self._means.repositories.opened(app) as local:
            _whole(local)
            words = ("upload-pack", "--stateless-rpc", ".")
            async with self._means.git.running(local.place, words, _protocol(request)) as process:
                return await self._converse(request, process, name, local.place)

    async def receive(self, request: web.Request, app: str) -> web.StreamResponse:
        """A push. Its answer has the lines of the build and the deploy as they come, and ends when the release serves,
        or says why it does not."""
        name = SERVICES[0]
        _check_type(request, name)
        async with self._admitted(app, name), self._means.repositories.opened(app) as local:
            async with open_talk() as talk:
                push = Push(self._means, local, talk)
                task = self._begin(push, app)
                hooks = f"core.hooksPath={self._means.repositories.hooks}"  # No push without its hook, whatever else.
                words = ("-c", hooks, "receive-pack", "--stateless-rpc", ".")
                environ = _protocol(request) | talk.environ
                try:
                    async with self._means.git.running(local.place, words, environ, talk.files) as process:
                        talk.begun()
                        response = await self._converse(request, process, name, local.place)
                    push.git_ended.set()
                    await asyncio.wait([task], timeout=AFTER)
                finally:
                    push.git_ended.set()
                    if not push.released:  # It has ended, or come to nothing as the client is gone.
                        task.cancel()
            return response

    def leave(self) -> None:
        """Have all pushes break off."""
        for task in self._pushes:
            task.cancel()

    def _begin(self, push: Push, app: str) -> asyncio.Task[None]:
        task = self._tasks.create_task(push.run(), name=f"push to {app}")
        self._pushes.add(task)
        task.add_done_callback(self._pushes.discard)
        task.add_done_callback(lambda _: self._afterwards(app))
        return task

    def _afterwards(self, app: str) -> None:
        """What need not be waited for."""
        known = self._means.ctx.mirror.facts.repositories.get(app)
        if known and not self._means.ctx.stopping.is_set():
            many = len(known.packs) >= MANY
            work = consolidate(self._means, app) if many else self._advertise(app)
            task = self._tasks.create_task(work, name=f"after a push to {app}")
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)

    async def _advertise(self, app: str) -> None:
        with contextlib.suppress(FlynnError, OSError):  # Who asks is told.
            async with self._means.repositories.opened(app) as local:
                await advertise(self._means.git, local)

    async def _converse(self, request: web.Request, process: Child, name: str, place: Path) -> web.StreamResponse:
        disk = await asyncio.to_thread(room, place)
        body = pieces(request, self._limits.size)
        return await converse(
            request, process, body, f"application/x-{name}-result", place, share(0, 512, 20, disk.size)
        )

    @asynccontextmanager
    async def _admitted(self, app: str, name: str) -> AsyncIterator[None]:
        """One of those under way, for the length of a block. NotFound, Unavailable."""
        self._check(app)
        if self._under_way[name] >= self._limits.pushes:
            many, kind = self._limits.pushes, KINDS[name]
            raise Unavailable(f"this node takes {many} {kind} at a time already; try again in a moment")
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1

    def _check(self, app: str) -> None:
        self._means.git.check()
        found = self._means.ctx.mirror.facts.apps.get(app)
        if found is None:
            raise NotFound(f"there is no app {app[:60]}; create it with: flynn create {app[:60]}")
        if found.preview:
            raise Invalid(
                f"{app} is the preview of {found.preview.branch}: push that to the repository of {found.preview.of}"
            )


def _check_type(request: web.Request, name: str) -> None:
    if request.content_type != f"application/x-{name}-request":
        raise Unsupported(f"the body is no application/x-{name}-request", type=request.content_type[:80])


def _whole(local: Local) -> None:
    """Unavailable: some of it is not to be had, so it would look as if nothing had ever been pushed."""
    if local.lost:
        raise Unavailable(
            f"what was pushed of {local.app} is on a shelf that is away or lost: when it is back this can be fetched "
            "again; else push, which keeps everything anew"
        )


def _protocol(request: web.Request) -> dict[str, str]:
    """The version of the protocol that the client asks for, as git takes it."""
    asked = request.headers.get("Git-Protocol", "")
    return {"GIT_PROTOCOL": asked} if PROTOCOL.fullmatch(asked) else {}
