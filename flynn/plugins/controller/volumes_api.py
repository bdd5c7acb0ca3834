"""The API of data: volumes, and what processes see of them."""

import secrets

import msgspec
from aiohttp import web

from flynn.core import keys, model
from flynn.core.brick import Context
from flynn.core.change import Change, carry_out
from flynn.core.errors import NotFound
from flynn.core.facts import Facts
from flynn.core.once import once
from flynn.core.records import VolumeInfo
from flynn.core.version import etag
from flynn.core.web import LINES, Route, answer, body, query
from flynn.plugins.controller import volumes
from flynn.plugins.controller.decide import find_app
from flynn.plugins.controller.deployment_api import Turn, change_app


class NewVolume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    shared: bool = False
    scratch: bool = False
    host: str = ""


class NewMounts(msgspec.Struct, forbid_unknown_fields=True):
    set: dict[str, list[str]] = {}
    unset: dict[str, list[str]] = {}


class OfApp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`app`: those of this app alone."""

    app: str = ""


class Lost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`lost`: only forget it, as its host will never come back."""

    lost: bool = False


def routes(ctx: Context) -> list[Route]:
    """The routes of this part of the API."""
    api, own = VolumesApi(ctx), "/v1/apps/{app}/volumes"
    return [
        Route("GET", "/v1/volumes", api.list, "volumes", list[VolumeInfo], query=OfApp),
        Route("POST", own, api.create, "make a volume", model.Volume, NewVolume, status=201),
        Route("DELETE", f"{own}/{{name}}", api.delete, "delete a volume", VolumeInfo, query=Lost),
        Route(
            "GET", "/v1/apps/{app}/mounts", api.mounts, "mounts by process type", dict[str, list[str]], versioned=True
        ),
        Route(
            "PATCH",
            "/v1/apps/{app}/mounts",
            api.set_mounts,
            "mount, and deploy that",
            LINES,
            NewMounts,
            Turn,
            versioned=True,
        ),
    ]


class VolumesApi:
    """Handlers; what each takes and answers stands in `docs/api.md`."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    async def list(self, request: web.Request) -> web.Response:
        return answer(volumes.listed(self.ctx.mirror.facts, query(request, OfApp).app))

    async def create(self, request: web.Request, app: str) -> web.Response:
        new = await body(request, NewVolume)
        made = model.Volume(
            app=app,
            name=new.name,
            id=secrets.token_hex(8),
            created=self.ctx.clock(),
            host=new.host,
            shared=new.shared,
            scratch=new.scratch,
        )
        facts, told = await once(self.ctx, request, lambda facts: (volumes.create_volume(facts, made), {"id": made.id}))
        found = facts.volumes.get(f"{app}/{new.name}")
        if found is None or found.id != told["id"]:
            raise NotFound(f"the volume {new.name} of {app} was made, and is deleted since", app=app, volume=new.name)
        return answer(found, 201)

    async def delete(self, request: web.Request, app: str, name: str) -> web.Response:
        lost, seen = query(request, Lost).lost, list[Facts]()

        def decided(facts: Facts) -> Change:
            seen.append(facts)
            return volumes.delete_volume(facts, app, name, lost)

        await carry_out(self.ctx.store, self.ctx.mirror, decided)
        return answer(
            next(row for row in volumes.listed(seen[-1], app) if row["name"] == name and "forgotten" not in row)
        )

    async def mounts(self, request: web.Request, app: str) -> web.Response:
        facts = self.ctx.mirror.facts
        told = {type: [mount.text for mount in mounts] for type, mounts in find_app(facts, app).mounts.items()}
        return answer(told, headers=etag(facts, keys.app(app)))

    async def set_mounts(self, request: web.Request, app: str) -> web.StreamResponse:
        new = await body(request, NewMounts)
        return await change_app(
            self.ctx, request, app, lambda facts, now: volumes.set_mounts(facts, app, new.set, new.unset, now),
            lambda _: "the mounts are kept for what starts next",
        )  # fmt: skip
