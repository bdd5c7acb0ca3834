"""One instance that is much slower than the others, though nothing is wrong with it."""

import asyncio
import random

from tests.router.rig import OK, Answer, Call, open_rig

FAST, SLOW = 0.01, 0.1
CLIENTS, ASKED = 10, 30


def after(seconds: float) -> Answer:
    async def answer(call: Call) -> bytes:
        await asyncio.sleep(seconds)
        return OK

    return answer


async def test_of_three_instances_the_slow_one_gets_few_requests_and_is_never_set_aside() -> None:
    async with open_rig() as rig:
        rig.proxy.bits = random.Random(7).getrandbits
        slow, *others = [await rig.app(after(seconds)) for seconds in (SLOW, FAST, FAST)]
        rig.show(slow.address, *(app.address for app in others))
        (target,) = [one for one in rig.registry.services["app-web"].targets if one.instance.address == slow.address]
        asked = ASKED * CLIENTS

        async def client() -> None:
            talk = await rig.talk()
            for _ in range(ASKED):
                assert (await talk.ask()).status == 200
                assert (target.strikes, target.aside) == (0, 0)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        # At first nothing is known of it, and now and then it is tried: a third would be its even share.
        assert 0 < len(slow.calls) < 0.08 * asked
        # The others share what it does not get.
        assert min(len(app.calls) for app in others) > 0.35 * asked
