"""What a process has deleted and holds open is found, and nothing else of what it has open."""

import asyncio
import ctypes
import mmap
import os
import sys
from pathlib import Path

import pytest

from flynn.core.model import Job
from flynn.plugins.host.life.unlinked import held, places_of

KEEPS = """
import os, subprocess, sys
folder = sys.argv[1]
files = [open(f"{folder}/{name}", "wb") for name in ("gone", "there")]
other = open(f"{sys.argv[2]}/gone", "wb")
for file in (*files, other):
    file.write(os.urandom(1 << 20))
    file.flush()
os.unlink(files[0].name)
os.unlink(other.name)
child = subprocess.Popen(["sleep", "60"], close_fds=False, pass_fds=[files[0].fileno()])
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
"""


async def test_what_was_deleted_is_counted_once_as_long_as_it_is_open(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KEEPS, str(inside), str(outside), stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    found = held(process.pid, (f"{inside}/",))
    assert 1 << 20 <= found < 3 << 19
    assert held(process.pid, (f"{inside}/", f"{outside}/")) == 2 * found
    assert held(os.getpid(), (f"{outside}/",)) == found
    process.stdin.close()
    await process.wait()
    assert held(process.pid, (f"{inside}/",)) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees what is mapped")
def test_what_was_deleted_is_counted_also_where_it_is_only_mapped(tmp_path: Path) -> None:
    path, library = tmp_path / "mapped", ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    path.write_bytes(os.urandom(1 << 20))
    with path.open("rb") as file:  # Python's own mmap keeps the file open.
        place = library.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), ctypes.c_long(0))
    assert held(os.getpid(), (f"{tmp_path}/",)) == 0, "it is there"
    path.unlink()
    assert 1 << 20 <= held(os.getpid(), (f"{tmp_path}/",)) < 3 << 19
    library.munmap(ctypes.c_void_p(place), 4096)
    assert held(os.getpid(), (f"{tmp_path}/",)) == 0


def test_a_job_names_its_places_as_it_sees_them_or_as_the_machine_does() -> None:
    job = Job(id="j", app="a", type="build", queue="builders", command="x", created=1.0, layers={"build": "b" * 64})
    assert places_of(job, [Path("/data/j")]) == ("/app/", "/out/", "/cache/", "/build/", "/data/j/")
