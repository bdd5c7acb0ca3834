"""Instances on the router's own machine, asked through their UNIX sockets."""

import asyncio
from pathlib import Path

from tests.router.rig import OK, always, body_of, open_rig


async def test_an_instance_here_is_asked_through_its_socket_and_one_elsewhere_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "http.sock")
    async with open_rig() as rig:
        near, far = await rig.app(always(body_of("unix"))), await rig.app(always(body_of("tcp")))
        server = await asyncio.start_unix_server(near.serve, path)
        try:
            rig.show(far.address, socket=path, host="elsewhere")
            assert (await rig.ask()).body == b"tcp"
            rig.show()
            rig.registry.tick(rig.proxy.clock() + 60)
            rig.show(far.address, socket=path)
            assert [(await rig.ask()).body for _ in range(3)] == [b"unix"] * 3
            (target,) = rig.registry.services["app-web"].targets
            assert (target.opened, target.reused, far.conns) == (1, 2, 1)
        finally:
            server.close()


async def test_a_socket_that_does_not_answer_is_no_loss(tmp_path: Path) -> None:
    async with open_rig() as rig:
        app = await rig.app(always(OK))
        rig.show(app.address, socket=str(tmp_path / "gone.sock"))
        assert (await rig.ask()).status == 200
        assert (rig.counts.retries, app.conns) == (0, 1)
