"""`flynn run`: standard streams and exit code, through a real process on the other side."""

import asyncio
import signal

from tests.cli.fake import FakeGrid
from tests.cli.shell import Shell


async def test_streams_stay_apart_and_the_exit_code_comes_back(flynn: Shell) -> None:
    done = await flynn("run", "-a", "hello", "--", "sh", "-c", 'echo "foo  bar"; echo oops >&2; exit 3')
    assert (done.code, done.out, done.err) == (3, "foo  bar\n", "oops\n")


async def test_standard_input_is_passed_on_to_its_end(flynn: Shell) -> None:
    sent = b"0123456789abcdef" * 40_000
    done = await flynn("run", "wc", "-c", stdin=sent)
    assert done.out.strip() == str(len(sent))


async def test_words_reach_the_process_as_they_were_typed(flynn: Shell) -> None:
    done = await flynn("run", "printf", "%s|", "a  b", "$HOME", "it's", "-n")
    assert done.out == "a  b|$HOME|it's|-n|"


async def test_a_single_word_is_a_shell_line(flynn: Shell) -> None:
    done = await flynn("run", "echo a  b && echo c | tr c d; exit 4")
    assert (done.code, done.out, done.err) == (4, "a b\nd\n", "")


async def test_ctrl_c_goes_to_the_process(grid: FakeGrid, flynn: Shell) -> None:
    process = await flynn.spawn(
        "run", "sh", "-c", "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err) == (7, b"caught\n", b"")
    assert grid.signals == [signal.SIGINT]
