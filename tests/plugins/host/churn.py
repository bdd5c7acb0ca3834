"""A daemon that is killed at any moment while much happens to its jobs; and what must be true when all is quiet again.

Each life of the daemon goes on with what its store says, and makes more of it: jobs are assigned, stopped, killed,
found unwell. Every process of a job holds a lock, counts its runs and writes down what it printed, so that a twin, a
run too many or a lost line is seen.
"""

import asyncio
import contextlib
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from flynn.core.model import Assignment, Check, Job
from flynn.core.sqlite import open_sqlite
from tests.plugins.host.rig import HOST, Rig, open_rig, tar

MARK = "CHURN"
"""The variable by which processes of a test's jobs are known."""

AT_ONCE = 8
"""Jobs that are wanted at a time."""

START = """
exec 9>>"$CACHE_DIR/lock"; flock -w 3 9 || echo twin >>"$CACHE_DIR/twins"; echo run >>"$CACHE_DIR/runs"
say() { echo "$1" && echo "$1" >>"$CACHE_DIR/told"; }
n=$(wc -l <"$CACHE_DIR/runs"); sleep 600 &
"""
TALK = START + 'i=0; while :; do i=$((i+1)); say "$n.$i"; sleep 0.03; done'
ONCE = START + 'i=0; while [ $i -lt 20 ]; do i=$((i+1)); say "$n.$i"; sleep 0.02; done; exit 7'
SERVE = START + "exec python3 -SE server.py"

SERVER = """
import os, pathlib, socket
told = pathlib.Path(os.environ["CACHE_DIR"])
s = socket.create_server(("", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.0 %s x\\r\\nContent-Length: 0\\r\\n\\r\\n" % (told / "answer").read_bytes())
    c.close()
"""


@asynccontextmanager
async def open_churn(data: Path, backend: str) -> AsyncIterator[Rig]:
    """The host of a test, over the store that its killed daemons left."""
    async with open_sqlite(data / "store") as store:
        async with open_rig(data, store, backend=backend, stop_timeout=1.0, drain_timeout=1.0) as rig:
            rig.shelf.blobs |= {path.name: path.read_bytes() for path in (data / "blobs").iterdir()}
            yield rig


def prepare(data: Path) -> None:
    """The one blob that all jobs run."""
    (data / "blobs").mkdir()
    blob = tar(**{"server.py": SERVER})
    (data / "blobs" / hashlib.sha256(blob).hexdigest()).write_bytes(blob)


def live(data: Path, backend: str, seed: int, told: Connection, engine: str) -> None:
    """One life of a daemon: it says when it is ready, and goes on until it is killed. `engine`: where Docker is."""
    if engine:
        os.environ["DOCKER_HOST"] = engine
    asyncio.run(_live(data, backend, seed, told))


async def _live(data: Path, backend: str, seed: int, told: Connection) -> None:
    async with open_churn(data, backend) as rig, rig.running():
        told.send("ready")
        chance = random.Random(seed)
        while True:
            await _one_thing(rig, chance)
            await asyncio.sleep(chance.uniform(0.0, 0.06))


async def _one_thing(rig: Rig, chance: random.Random) -> None:
    """Something happens to some job."""
    facts = rig.node.mirror.facts
    wanted = [a for a in facts.jobs.values() if not a.stop]
    states = [state for state in facts.states.values() if state.pid]
    if len(wanted) < AT_ONCE:
        await rig.assign(_job(rig, chance))
        return
    match chance.choice(["stop", "stop", "forget", "kill", "flip", "flip"]):
        case "stop":
            await rig.assign(chance.choice(wanted).job, stop=True)
        case "forget" if gone := [a.job.id for a in facts.jobs.values() if _down(rig, a)]:
            await rig.unassign(chance.choice(gone))
        case "kill" if states:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(states).pid, signal.SIGKILL)
        case "flip":
            told = place(rig, chance.choice(wanted).job) / "answer"
            told.write_text("200" if told.read_text() != "200" else "500")


def _down(rig: Rig, assignment: Assignment) -> bool:
    state = rig.node.mirror.facts.states.get(f"{HOST}/{assignment.job.id}")
    return state is not None and state.state == "down"


def _job(rig: Rig, chance: random.Random) -> Job:
    """A new one, of an app of its own, so that none is forgotten."""
    id = f"job-{chance.randrange(1 << 40):010x}"
    (blob,) = (rig.node.node.data / "blobs").iterdir()
    told: dict[str, Any] = {
        "app": id,
        "layers": {"app": blob.name},
        "cache": id,
        "env": {MARK: str(rig.node.node.data)},
    }
    dir = rig.node.node.data / "host" / "cache" / id
    dir.mkdir(parents=True)
    (dir / "answer").write_text("200")
    kind = chance.choice(["talk", "once", "serve"])
    if kind == "serve":
        check = Check(kind="http", interval=0.1, kill_after=0.4)
        return rig.job(id, SERVE, type="web", service="hello-web", check=check, **told)
    return rig.job(id, TALK if kind == "talk" else ONCE, queue="services" if kind == "talk" else "ephemeral", **told)


def place(rig: Rig, job: Job) -> Path:
    """What its processes leave for the test."""
    return rig.node.node.data / "host" / "cache" / job.cache


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def marked(data: Path) -> Iterator[tuple[int, str]]:
    """The living processes of all jobs of a test, each with its job."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                env = dict(p.partition("=")[::2] for p in (entry / "environ").read_text(errors="replace").split("\0"))
                if env.get(MARK) == str(data) and "State:\tZ" not in (entry / "status").read_text():
                    yield int(entry.name), env.get("FLYNN_JOB_ID", "")
