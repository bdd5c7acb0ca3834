"""The verbs of volumes, against a grid that answers as docs/api.md says."""

from tests.cli.fake import T0, FakeGrid
from tests.cli.shell import Shell

MADE = {"app": "hello", "name": "data", "id": "1", "created": T0}


async def test_a_volume_is_made_and_mounted(grid: FakeGrid, flynn: Shell) -> None:
    done = await flynn("volume", "create", "data", "--host", "host-b")
    assert done.out.splitlines() == [
        "Creating the volume data of hello... done",
        "Mount it: flynn volume mount TYPE data:/PATH -a hello",
    ]
    wanted = {"name": "data", "shared": False, "scratch": False, "host": "host-b"}
    assert grid.asked == [("POST", "/v1/apps/hello/volumes", wanted)]
    grid.lines = [{"kind": "done", "ok": True, "message": "up", "version": 4, "seconds": 2.14}]
    assert (await flynn("volume", "mount", "web", "data:/data", "/srv/x:/x:ro")).out == "done, v4 in 2.1 s\n"
    await flynn("volume", "unmount", "web", "data", "/x")
    assert grid.asked[1:] == [
        ("PATCH", "/v1/apps/hello/mounts", {"set": {"web": ["data:/data", "/srv/x:/x:ro"]}, "unset": {}}),
        ("PATCH", "/v1/apps/hello/mounts", {"set": {}, "unset": {"web": ["data", "/x"]}}),
    ]


async def test_volumes_are_listed_with_what_is_to_be_known(grid: FakeGrid, flynn: Shell) -> None:
    assert (await flynn("volume")).out == "no volumes yet: 'flynn volume create NAME' makes one\n"
    grid.volumes = [
        MADE | {"host": "a", "path": "/v/hello/data", "mounts": {"web": "/data", "clock": "/in:ro"}},
        MADE | {"name": "all", "shared": True, "host": "b", "away": True, "path": "/v/all"},
        MADE | {"name": "new"},
        MADE | {"name": "work", "scratch": True, "mounts": {"web": "/work"}},
        MADE | {"app": "old", "name": "data", "host": "a", "path": "/v/old/data", "orphan": True},
        MADE | {"app": "old", "name": "gone", "host": "a", "deleting": True, "path": "/v/gone", "away": True},
        MADE | {"app": "old", "name": "lost", "host": "a", "path": "/v/old/lost", "forgotten": True},
    ]
    lines = (await flynn("volume", "list", "-a", "hello")).out.splitlines()
    assert grid.asked[-1][1] == "/v1/volumes?app=hello"
    assert [" ".join(line.split()) for line in lines] == [
        "APP NAME WRITERS HOST MOUNTED DATA",
        "hello data one a clock:/in:ro web:/data /v/hello/data",
        "hello all many b - /v/all (its host is away)",
        "hello new one - - none yet",
        "hello work each job - web:/work gone with each job",
        "old data one a - /v/old/data (its app is deleted)",
        "old gone one a - /v/gone (is being deleted, its host is away)",
        "old lost one a - /v/old/lost (forgotten: remove that directory by hand)",
    ]


async def test_a_volume_is_deleted_only_by_its_name(grid: FakeGrid, flynn: Shell) -> None:
    wrong = await flynn("volume", "delete", "data", stdin=b"yes\n")
    assert wrong.code == 1
    assert "The volume data of hello and all its data will be gone for good." in wrong.err
    assert "'yes' was typed, not 'data'; nothing was deleted" in wrong.err
    assert not grid.asked
    done = await flynn("volume", "delete", "data", "-a", "former", stdin=b"data\n")
    assert done.out == "Deleting the volume data of former... done, on host-a\n"
    done = await flynn("volume", "delete", "data", "-y", "--lost")
    assert done.out == "Deleting the volume data of hello... forgotten; /v/data may still be on host-a\n"
    done = await flynn("volume", "delete", "data", "-y", "-a", "away")
    assert "noted: host-a, which has the data, is away and deletes it when it is back" in done.out
    paths = [path for _, path, _ in grid.asked[:2]]
    assert paths == ["/v1/apps/former/volumes/data", "/v1/apps/hello/volumes/data?lost=true"]


async def test_an_app_is_deleted_with_its_volumes_if_that_is_asked_for(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "done", "ok": True, "message": "hello is deleted", "seconds": 1.0}]
    done = await flynn("delete", "hello", "--volumes", stdin=b"hello\n")
    assert "and its volumes with all their data will be gone for good" in done.err
    assert grid.asked[-1][1] == "/v1/apps/hello?volumes=true"


async def test_a_one_off_command_with_a_volume(grid: FakeGrid, flynn: Shell) -> None:
    assert (await flynn("run", "-d", "-v", "data:/data:ro", "-v", "/srv/x:/x", "ls")).code == 0
    assert grid.mounts == ["data:/data:ro", "/srv/x:/x"]


async def test_what_an_app_mounts_is_shown_with_it(grid: FakeGrid, flynn: Shell) -> None:
    grid.apps["hello"]["mounts"] = {"web": [{"path": "/data", "volume": "data", "id": "1", "read_only": True}]}
    assert "mount      web data:/data:ro" in (await flynn("info")).out.splitlines()
