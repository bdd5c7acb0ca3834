"""One-off jobs, and the streams of what runs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from flynn.client.attach import Attached, open_attached
from flynn.client.calls import Calls, of_app, segment
from flynn.core import records


class RunCalls(Calls):
    """Part of `Client`."""

    async def run(
        self,
        app: str,
        command: str,
        env: Mapping[str, str] | None = None,
        detach: bool = False,
        terminal: tuple[int, int] | None = None,
        mounts: Sequence[str] = (),
        release: int = 0,
        limits: Mapping[str, int] | None = None,
        time_limit: float = 0.0,
        meta: Mapping[str, str] | None = None,
        log: bool = True,
    ) -> str:
        """Queue a one-off job; its id. It starts when it is attached, within 60 s, or with `detach` by itself.

        `terminal`: it has one, of so many rows and columns. `mounts`, `limits`: for it alone. `release` 0: the one that
        serves. `time_limit`: seconds; 0, as long as the grid lets any run. `meta`: notes that its listing has.
        Without `log`, nothing that it prints is kept in the app's log.
        """
        body: dict[str, Any] = {
            "command": command, "env": dict(env or {}), "detach": detach, "terminal": terminal, "mounts": list(mounts),
            "release": release, "limits": dict(limits or {}), "time_limit": time_limit, "meta": dict(meta or {}),
            "log": log,
        }  # fmt: skip
        return (await self.wire.call("POST", of_app(app, "run"), records.Id, body)).id

    @asynccontextmanager
    async def attach(self, job: str, heartbeat: float | None = None) -> AsyncIterator[Attached]:
        """The standard streams of a one-off job, for the length of a block."""
        async with open_attached(self.wire, f"/v1/jobs/{segment(job)}/attach", heartbeat) as attached:
            yield attached

    @asynccontextmanager
    async def execute(
        self, job: str, command: str, terminal: tuple[int, int] | None = None, heartbeat: float | None = None
    ) -> AsyncIterator[Attached]:
        """The standard streams of a command that is run beside a running job, for the length of a block."""
        async with open_attached(self.wire, f"/v1/jobs/{segment(job)}/exec", heartbeat) as attached:
            await attached.order(command, terminal)
            yield attached
