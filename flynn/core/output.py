"""What a job prints, line by line, from the host that runs it, wherever that is."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from flynn.core import model
from flynn.core.errors import Unavailable
from flynn.core.facts import Facts

if TYPE_CHECKING:
    from flynn.core.brick import Context

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=None)
"""A job may be silent for long; a host that is gone is known from the store."""

KEPT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)

SKEW = 60.0
"""Seconds that the clocks of two hosts may differ."""

Line = dict[str, Any]


@dataclass
class Seen:
    """Which lines were had already, when the log is read again after the connection broke. Times never go back."""

    time: float = 0.0
    count: int = 0
    """Lines with exactly that time."""

    again: int = 0

    def begin(self) -> None:
        """A new connection: the log begins anew."""
        self.again = 0

    def is_new(self, line: Line) -> bool:
        """Whether the line comes after all that were had; if so it counts as had."""
        time = float(line.get("time") or 0.0)
        if time < self.time:
            return False
        if time == self.time:
            self.again += 1
            if self.again <= self.count:
                return False
            self.count = self.again
            return True
        self.time, self.count, self.again = time, 1, 1
        return True


def job_state(facts: Facts, job: str) -> model.JobState | None:
    """What the host that runs the job says of it; None: no host has it yet, or the record is gone."""
    return next((state for state in facts.states.values() if state.id == job), None)


async def output(ctx: "Context", job: str, wait: float = 1.0) -> AsyncIterator[Line]:
    """Each line that the job prints, until it is down, or nobody knows of it any more.

    After a broken connection it tries again, `wait` seconds later at most.
    """
    seen = Seen()
    while (state := job_state(facts := ctx.mirror.facts, job)) is not None:
        host = facts.hosts.get(state.host)
        if host is not None:
            seen.begin()
            try:
                async for line in _read(ctx, host, state):
                    if seen.is_new(line):
                        yield line
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                if not _over(ctx.mirror.facts, job, host):
                    ctx.log.info("the log of %s on %s broke off: %s", job, host.name, error)
        if state.state == "down":
            return
        if ctx.mirror.facts is facts:
            await ctx.mirror.catch_up(facts, wait)


async def kept(ctx: "Context", host: str, app: str, job: str, since: float) -> AsyncGenerator[Line, None]:
    """What a job printed that has ended, from the host that ran it, but for what that said itself. Unavailable."""
    found = ctx.mirror.facts.hosts.get(host)
    if found is None:
        raise Unavailable(f"the log is on {host}, which is away")
    params = {"app": app, "job": job, "since": f"{since - SKEW:.6f}", "stream": "stdout,stderr", "follow": "false"}
    url = f"{found.url}/v1/hosts/{host}/log"
    try:
        async with ctx.http.get(url, params=params, timeout=KEPT, read_bufsize=1 << 20) as answer:
            answer.raise_for_status()
            async for raw in answer.content:
                yield msgspec.json.decode(raw, type=dict[str, Any])
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise Unavailable(f"the log cannot be had from {host}: {str(error) or 'it does not answer'}") from None


async def _read(ctx: "Context", host: model.Host, state: model.JobState) -> AsyncIterator[Line]:
    """The whole log of a job, until it is down or its host is gone. ValueError: a line is no JSON object."""
    url, job, follow = f"{host.url}/v1/hosts/{host.name}/log", state.id, state.state != "down"
    since = f"{max(state.created - SKEW, 0.0):.6f}"
    params = {"job": job, "since": since, "follow": "true" if follow else "false"}
    async with ctx.http.get(url, params=params, timeout=TIMEOUT, read_bufsize=1 << 20) as answer:
        answer.raise_for_status()

        def close_when_over(facts: Facts) -> None:
            if _over(facts, job, host):
                answer.close()

        with ctx.mirror.listening(close_when_over if follow else lambda facts: None):
            if follow:
                close_when_over(ctx.mirror.facts)
            async for raw in answer.content:
                yield msgspec.json.decode(raw, type=dict[str, Any])


def _over(facts: Facts, job: str, host: model.Host) -> bool:
    """Whether the host will add nothing more to the job's log."""
    state = job_state(facts, job)
    return state is None or state.state == "down" or host.name not in facts.hosts
