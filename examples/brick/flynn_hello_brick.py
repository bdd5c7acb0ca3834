"""A brick of a third party: it is found as the service `hello`, answers one route and says whom it has greeted.

Install it beside flynn (`pip install ./examples/brick`) and start the daemon; then
`curl -H "Authorization: Bearer TOKEN" http://127.0.0.1:1111/v1/hello/Ada` greets Ada.
"""

import msgspec
from aiohttp import web

from flynn.core.brick import Brick, Context
from flynn.core.hooks import hookimpl
from flynn.core.web import Route, answer


class HelloConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`greeting` comes before the name: `[hello] greeting = "Ahoy"` in flynn.toml, or FLYNN_HELLO_GREETING."""

    greeting: str = "Hello"


class Hello:
    """Greets whoever asks, at `/v1/hello/NAME` of the node API."""

    name = "hello"
    Config = HelloConfig

    def __init__(self, config: HelloConfig) -> None:
        self.config = config

    async def run(self, ctx: Context) -> None:
        async def greet(request: web.Request, name: str) -> web.Response:
            ctx.say(f"greeted {name}")
            return answer({"greeting": f"{self.config.greeting}, {name}"})

        with ctx.web.serving(Route("GET", "/v1/hello/{name}", greet, "greet somebody", dict[str, str])):
            async with ctx.registered("hello"):
                ctx.say("greeted nobody yet")
                ctx.ready()
                await ctx.stopping.wait()


@hookimpl
def flynn_bricks() -> list[type[Brick]]:
    """What this package brings."""
    return [Hello]
