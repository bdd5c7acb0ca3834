"""Bad instances among good ones: few requests suffer, the bad ones are left out, and come back when they are well."""

import asyncio
import random

import pytest

from flynn.router.balance import ASIDE
from flynn.router.target import FRESH
from tests.router.rig import OK, Call, Rig, always, body_of, open_rig
from tests.router.test_faults import dies_when_reused, start
from tests.router.test_slow import after

CLIENTS, ASKED = 6, 200


async def ask_all(rig: Rig) -> list[int]:
    """The statuses that many clients get, each of which asks again and again."""

    async def client() -> list[int]:
        talk, statuses = await rig.talk(), list[int]()
        for _ in range(ASKED):
            statuses.append((await talk.ask()).status)
        return statuses

    return [status for statuses in await asyncio.gather(*(client() for _ in range(CLIENTS))) for status in statuses]


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_one_hangs_one_flaps_one_is_slow_and_hardly_a_request_fails() -> None:
    """Nothing is known of any of them at first: the one that hangs must not be taken for the quickest."""
    chance = random.Random(3)

    async def flaps(call: Call) -> bytes | None:
        return None if chance.random() < 0.4 else OK

    async def hangs(call: Call) -> None:
        await asyncio.Event().wait()

    async with open_rig(first_byte_timeout=0.5) as rig:
        rig.proxy.bits = random.Random(7).getrandbits
        apps = [await rig.app(answer) for answer in (hangs, flaps, after(0.01))]
        rig.show(*(app.address for app in apps))
        statuses = await ask_all(rig)
        assert set(statuses) <= {200, 502, 503}
        assert len(statuses) - statuses.count(200) < 0.01 * len(statuses)


async def test_one_that_was_left_out_is_tried_by_one_request_at_a_time_until_it_is_well() -> None:
    well = False

    async def answer(call: Call) -> bytes | None:
        return body_of("back") if well else None

    async with open_rig(sweep=3600) as rig:
        begun = now = rig.proxy.clock()
        rig.proxy.clock = lambda: now
        bad, good = await rig.app(answer), await rig.app(always(OK))
        rig.show(bad.address, good.address)

        async def asked() -> list[int]:
            """Statuses that are not 200, of twenty requests."""
            return [reply.status for _ in range(20) if (reply := await rig.ask()).status != 200]

        assert await asked() == [502, 502]
        assert await asked() == []
        now = begun + ASIDE[0] + 0.1
        assert await asked() == [502]
        now += ASIDE[0] + 0.1
        assert await asked() == [], "after a failed trial it has more time"
        now += ASIDE[1] - ASIDE[0]
        assert await asked() == [502]
        well, now = True, now + ASIDE[1] + 0.1
        before = len(bad.calls)
        assert await asked() == []
        assert len(bad.calls) > before


@pytest.mark.parametrize(("idle", "failures"), [(FRESH - 0.1, 1), (FRESH + 0.1, 0)])
async def test_a_connection_that_dies_of_old_age_says_nothing_of_its_instance(idle: float, failures: int) -> None:
    async with open_rig(sweep=3600) as rig:
        now = rig.proxy.clock()
        rig.proxy.clock = lambda: now
        await start(rig, dies_when_reused())
        talk = await rig.talk()
        assert (await talk.ask()).status == 200
        now += idle
        assert (await talk.ask()).status == 200
        (target,) = rig.registry.services["app-web"].targets
        assert (rig.counts.replays, target.failures) == (1, failures)
