"""A large head is not kept while its client waits, and the same head is understood again after that."""

import pytest

from flynn.core import keys
from flynn.core.model import Route
from flynn.router.deadlines import sweep
from flynn.router.exchange import SPENT
from tests.router.rig import OK, always, open_rig

LONG_HOST = b"GET /path HTTP/1.1\r\nHost: " + b"a." * 1003 + b"test\r\n\r\n"
"""Short enough to be known again; but its host goes to the app twice."""

LONG_FIELD = b"GET /path HTTP/1.1\r\nHost: app.test\r\nCookie: " + b"c" * 6000 + b"\r\n\r\n"


@pytest.mark.parametrize("head", [LONG_HOST, LONG_FIELD])
async def test_a_large_head_is_forgotten_and_understood_again(head: bytes) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.routes[keys.route("all")] = Route(id="all", domain="*", service="app-web")
        rig.show(app.address)
        talk = await rig.talk()
        for _ in range(2):
            await talk.send(head)
            assert (await talk.reply()).status == 200
            (client,) = rig.proxy.clients
            sweep(client, rig.proxy.clock())
            assert client.request is SPENT
        assert [call.head.partition(b"\r\n")[0] for call in app.calls] == [b"GET /path HTTP/1.1"] * 2
