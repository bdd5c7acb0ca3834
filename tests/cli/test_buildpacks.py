"""The verbs of buildpacks, against a grid that answers as docs/api.md says."""

import hashlib
import io
import tarfile
from pathlib import Path

from tests.cli.fake import FakeGrid
from tests.cli.shell import Shell

URL = "https://example.com/x.git#v1"


async def test_they_are_set_added_removed_and_cleared(grid: FakeGrid, flynn: Shell) -> None:
    assert (await flynn("buildpack")).out == "the first that fits: python, procfile\n"
    done = await flynn("buildpack", "set", "python", URL)
    assert done.out.splitlines() == ["1. python", f"2. {URL}", "from the next build on"]
    await flynn("buildpack", "add", "nodejs", "--index", "1")
    assert grid.buildpacks == ["nodejs", "python", URL]
    await flynn("buildpack", "add", "static")
    await flynn("buildpack", "remove", "python", URL)
    assert (await flynn("buildpack", "list")).out.splitlines() == ["1. nodejs", "2. static"]
    wrong = await flynn("buildpack", "remove", "go")
    assert (wrong.code, wrong.err) == (
        1,
        " !     the app is not set to go; 'flynn buildpack' lists what it is set to\n",
    )
    assert (await flynn("buildpack", "clear")).out.splitlines()[0] == "the first that fits: python, procfile"
    assert grid.asked[-1] == ("PUT", "/v1/apps/hello/buildpacks", {"buildpacks": []})


async def test_what_is_secret_in_an_address_is_not_shown_and_stays(grid: FakeGrid, flynn: Shell) -> None:
    full, shown = "https://me:secret@example.com/x.git#v1", "https://***@example.com/x.git#v1"
    done = await flynn("buildpack", "set", full, "https://token@example.com/y.tgz")
    assert done.out.splitlines()[:2] == [f"1. {shown}", "2. https://***@example.com/y.tgz"]
    for words in ((), ("list",), ("--json",)):
        told = await flynn("buildpack", *words)
        assert (shown in told.out, "secret" in told.out, "token" in told.out) == (True, False, False)
    await flynn("buildpack", "set", "python", shown)
    assert grid.buildpacks == ["python", full]
    removed = await flynn("buildpack", "remove", shown)
    assert (grid.buildpacks, "secret" in removed.out) == (["python"], False)


async def test_a_directory_here_goes_on_the_shelf(grid: FakeGrid, flynn: Shell, tmp_path: Path) -> None:
    pack = tmp_path / "pack" / "bin"
    pack.mkdir(parents=True)
    (pack / "detect").write_text("#!/bin/sh\n")
    wrong = await flynn("buildpack", "set", str(pack.parent))
    assert wrong.err == f" !     {pack.parent} is no buildpack: it has no bin/detect or no bin/compile\n"
    (pack / "compile").write_text("#!/bin/sh\n")
    await flynn("buildpack", "set", str(pack.parent))
    ((digest, blob),) = grid.blobs.items()
    assert grid.buildpacks == [f"shelf:{digest}"]
    with tarfile.open(fileobj=io.BytesIO(blob)) as tar:
        assert tar.getnames() == ["bin", "bin/compile", "bin/detect"]
    (tmp_path / "pack.tgz").write_bytes(blob)
    await flynn("buildpack", "set", str(tmp_path / "pack.tgz"))
    assert grid.buildpacks == [f"shelf:{hashlib.sha256(blob).hexdigest()}"]
