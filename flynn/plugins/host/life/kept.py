"""What the agent keeps of each job on disk, so that it knows its jobs again: `jobs/JOB/job.json`.

The file has a record on each line, of which the last whole one counts: to add one costs no flush of the disk, as to
replace the file does (ext4(5), auto_da_alloc).
"""

import contextlib
import logging
import os
from pathlib import Path

import msgspec
import psutil

from flynn.core.model import Job, JobState
from flynn.plugins.host.backends.identity import Identity
from flynn.plugins.host.lacking import is_lack
from flynn.plugins.host.limits import limiter
from flynn.plugins.host.logs.applog import append
from flynn.plugins.host.trees import remove_tree

log = logging.getLogger(__name__)

LONGEST = 64 * 1024
"""Bytes of records in one file; then it begins anew."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A job, its state as last told, the process that stands for it (None: it has none now), and since when it is up.

    `backend` started the process. `restart` is the moment of the restart that is waited for, `failing` of the first
    failure of those that follow each other. `oom_kills` of the process were told, the last at `oom_at` (0: never),
    `oom_own` if for its own limit, and `killed` of all that the job has had. All moments are on the steady clock of the
    machine's run `boot`: the other one may be set meanwhile.
    """

    job: Job
    state: JobState
    process: Identity | None = None
    backend: str = ""
    up_since: float = 0.0
    restart: float = 0.0
    failing: float = 0.0
    boot: str = ""
    oom_kills: int = 0
    oom_at: float = 0.0
    oom_own: bool = True
    killed: int = 0


def save(dir: Path, kept: Kept) -> None:
    """Write it, whole or not at all, and nothing else. OSError: the disk is full or broken."""
    partial = dir / "job.json.part"
    partial.write_bytes(msgspec.json.encode(kept))
    os.replace(partial, dir / "job.json")


def add(dir: Path, kept: Kept) -> None:
    """Write it after those of before, whole or not at all. OSError as above."""
    path, data = dir / "job.json", msgspec.json.encode(kept)
    if not path.exists() or path.stat().st_size + len(data) > LONGEST:
        save(dir, kept)
    else:
        append(path, [b"\n", data])  # What a killed daemon left half written stays on a line of its own.


def read(dir: Path) -> Kept:
    """The last that was written. OSError, DecodeError, UnicodeDecodeError: there is none."""
    *older, newest = (dir / "job.json").read_bytes().split(b"\n")
    while older:
        try:
            return msgspec.json.decode(newest, type=Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            newest = older.pop()
    return msgspec.json.decode(newest, type=Kept)


def load(root: Path) -> list[Kept]:
    """All jobs kept below `root`. A directory that cannot be read as one is removed, with its processes, and logged.

    OSError: this daemon lacks open files.
    """
    found = []
    for dir in sorted(path for path in root.iterdir() if path.is_dir()):
        try:
            found.append(read(dir))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            if is_lack(error):
                raise
            log.warning("%s holds no job that can be read and is removed: %s", dir, error)
            _end_all(dir)
            limiter.end(dir)
            remove_tree(dir)
    for kept in found:
        if kept.state.state == "down":  # The daemon of before may not have come to that.
            limiter.end(root / kept.job.id)
            sweep(root / kept.job.id)
    return found


def _end_all(dir: Path) -> None:
    """Kill the processes whose output goes to this directory: nobody knows them any more, so nobody would stop them."""
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            outputs = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (1, 2)]
            if any(path.startswith(f"{dir.resolve()}/") for path in outputs):
                process.kill()


def sweep(dir: Path) -> None:
    """Leave of a job that is down only what tells of it: its record. What it printed is in the log of its app."""
    with contextlib.suppress(OSError):  # Somebody may have removed it, or something in it.
        for path in dir.iterdir():
            if path.is_dir():
                remove_tree(path)
            elif path.name != "job.json":
                path.unlink(missing_ok=True)
