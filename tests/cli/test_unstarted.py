"""What `ps` says of processes that could not be started, and of which there is no job now."""

from flynn.cli.unstarted import is_short, unstarted
from flynn.core.records import Count, JobInfo
from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

FAILED = {
    "id": "hello-web-1", "type": "web", "queue": "services", "state": "down", "failure": "start", "created": T0,
    "reason": "no such blob",
}  # fmt: skip


def job(id: str, created: float, state: str, failure: str = "", queue: str = "services") -> JobInfo:
    return JobInfo(id=id, type="web", queue=queue, state=state, created=created, failure=failure, reason=f"{id} failed")


def test_only_what_is_missing_for_that_reason_is_told_of() -> None:
    one, two, none = ({"web": Count(wanted=number)} for number in (1, 2, 0))
    up, failed, crashed = job("a", 1, "up"), job("b", 2, "down", "start"), job("c", 3, "down", "crash")
    assert unstarted(two, [up, failed]) == {"web": "1 of 2 could not be started, and it is tried again: b failed"}
    assert unstarted(two, [failed]) == {"web": "2 of 2 could not be started, and it is tried again: b failed"}
    assert unstarted(one, [up, failed]) == {}, "none is missing"
    assert unstarted(none, [failed]) == {}, "none is wanted"
    assert unstarted(two, [up, failed, crashed]) == {}, "the last one did start"
    assert unstarted(two, []) == {}, "none was tried yet"
    assert unstarted(one, [failed, job("d", 4, "up", queue="ephemeral")]) != {}, "`flynn run` is another thing"
    assert (is_short(two, [up]), is_short(one, [up]), is_short(one, [failed])) == (True, False, True)


async def test_ps_says_why_there_is_no_job(grid: FakeGrid, flynn: Shell) -> None:
    grid.apps["hello"]["processes"] = {"web": {"wanted": 2, "up": 0}}
    grid.ended = [FAILED]
    said = "2 of 2 could not be started, and it is tried again: no such blob"
    assert (await flynn("ps")).out.splitlines()[1:] == [said]
    assert (await flynn("ps", "--all")).out.splitlines()[1:] == ["hello-web-1  down        no such blob", said]
    assert (await flynn("ps", "--json")).out.strip() == "[]"
    grid.apps["hello"]["processes"] = {"web": {"wanted": 0, "up": 0}}
    assert (await flynn("ps")).out == "no jobs\n"
