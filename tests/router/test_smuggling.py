"""Two readers behind the router never see two requests where one was sent, and nobody gets another's answer."""

import pytest

from tests.router.hostile import Hostile
from tests.router.hostile_bodies import CHUNKS, FRAMINGS
from tests.router.hostile_heads import FIELDS, LINES
from tests.router.judge import answers_in, open_judge, say_all
from tests.router.rig import open_rig

PROBE = b"GET /probe HTTP/1.1\r\nHost: app.test\r\n\r\n"
END = b"GET /end HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
ALL = FRAMINGS + CHUNKS + LINES + FIELDS


def test_the_list_is_long_and_names_each_case_once() -> None:
    names = [case.name for case in ALL]
    assert len(names) == len(set(names)) > 300


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
async def test_is_one_request_or_none(case: Hostile) -> None:
    async with open_rig() as rig:
        judge = await open_judge(rig)
        answers = answers_in(await say_all(rig, case.data + PROBE + END), [case.data.split(b" ")[0]])
        statuses = tuple(int(answer.start[0]) for answer in answers)
        assert statuses == ((*case.says, 200) if case.lives else case.says)
        if not case.lives:
            assert len(judge.streams) == (case.says[0] == 200), "bytes of a refused request were passed on"
        else:
            assert [m.data for m in answers[-2:]] == [b"GET /probe", b"GET /end"]
            assert judge.targets()[-2:] == [b"/probe", b"/end"]
        mine = answers_in(await say_all(rig, END.replace(b"end", b"mine")), [])
        assert [m.data for m in mine] == [b"GET /mine"]
        judge.check()
