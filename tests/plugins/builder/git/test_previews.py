"""What a push asks of the controller about previews, and what it says of the answers."""

import msgspec
import pytest
from aiohttp import web

from flynn.core.errors import Conflict, FlynnError, Full, Unavailable
from flynn.core.records import PreviewInfo
from flynn.core.web import Route, answer
from flynn.plugins.builder.git import previews
from flynn.plugins.builder.git.previews import made, removed
from tests.harness import TestNode


class Branch(msgspec.Struct):
    branch: str


PATH = "/v1/apps/{app}/previews"


async def test_what_others_undo_at_once_is_a_conflict(node: TestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "HEARD", 0.05)

    async def done(request: web.Request, app: str) -> web.Response:
        return answer(PreviewInfo(branch="topic", app=f"{app}-topic", url="", release=0, asleep=False))

    ctx = node.context("builder")
    with node.web.serving(Route("PUT", PATH, done, "", PreviewInfo)):
        with pytest.raises(Conflict, match="the preview of topic was deleted by others meanwhile"):
            await made(ctx, "hello", "topic")


@pytest.mark.parametrize(("error", "kind"), [(Full("20 previews"), Full), (Unavailable("not now"), Unavailable)])
async def test_what_is_refused_is_told(node: TestNode, error: FlynnError, kind: type[FlynnError]) -> None:
    async def refuse(request: web.Request, app: str) -> web.Response:
        raise error

    with node.web.serving(Route("DELETE", PATH, refuse, "", PreviewInfo, query=Branch, errors=(Full, Unavailable))):
        with pytest.raises(kind, match=str(error)):
            await removed(node.context("builder"), "hello", "topic")
