"""One input of a fuzzer, judged by all that can be said of it."""

import asyncio
import re

from flynn.router.head import HEAD_LIMIT
from tests.fuzz.oracles import judge_answer, judge_chunks, judge_head, judge_passing, judge_stream, judge_talk
from tests.fuzz.spelling import spell
from tests.router.hostile_bodies import CHUNKS, FRAMINGS
from tests.router.hostile_heads import FIELDS, LINES
from tests.router.rogue import ALL

KINDS = 4

EMPTY = re.compile(rb"\A(\r\n)+")


def judge(runner: asyncio.Runner, data: bytes) -> None:
    """The first byte chooses what the rest is taken for, the second and third where it is cut."""
    if len(data) < 3:
        return
    kind, places, text = data[0] % KINDS, [data[1], data[2], data[1] * data[2]], spell(data[3:])[:80_000]
    if kind == 0:
        head = EMPTY.sub(b"", text).partition(b"\r\n\r\n")[0].removesuffix(b"\r\n") + b"\r\n"
        if head == b"\r\n" or len(head) > HEAD_LIMIT:
            return
        judge_head(head)
        judge_answer(head)
        runner.run(judge_passing(head))
    elif kind == 1:
        judge_chunks(text, places)
    elif kind == 2:
        runner.run(judge_stream(text, (places, [], [])))
    else:
        runner.run(judge_talk(text, (b"GET", b"HEAD")[data[1] % 2], ([], places, [])))


def seeds() -> list[bytes]:
    """Inputs to begin with, as `judge` takes them but for the spelling."""
    requests = [case.data for case in FRAMINGS + CHUNKS + LINES + FIELDS if len(case.data) < 2000]
    answers = [case.data + case.then for case in ALL if len(case.data) < 2000]
    bodies = [data.partition(b"\r\n\r\n")[2] for data in requests if b"chunked" in data]
    return [
        *[b"\x00\x05\x09" + data for data in requests],
        *[b"\x02\x25\x11" + data for data in requests],
        *[b"\x01\x03\x07" + data for data in bodies],
        *[b"\x03\x20\x30" + data for data in answers],
    ]
