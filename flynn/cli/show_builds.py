"""The looks of builds. Pure."""

from collections.abc import Sequence

from flynn.cli.words import day, span, table
from flynn.core.records import BuildInfo

COMMIT = 8
"""Digits of a commit that are enough to people."""


def builds(app: str, rows: Sequence[BuildInfo], now: float) -> list[str]:
    """A line a build, the newest first."""
    if not rows:
        return [f"{app} was never built: 'flynn deploy -a {app}' does"]
    head = ("BUILD", "STARTED", "TOOK", "STATE", "COMMIT", "DESCRIPTION", "OUTCOME")
    return table([_row(build, now) for build in rows], head)


def ended(build: BuildInfo) -> str:
    """What became of a build that was cancelled."""
    name = f"build {build.number} of {build.app}"
    if build.state == "cancelled":
        return f"{name} is cancelled"
    if build.state == "building":
        return f"{name} is told to end; 'flynn build list -a {build.app}' shows when it has"
    return f"{name} had ended: {build.state}"


def _row(build: BuildInfo, now: float) -> tuple[object, ...]:
    took = span((build.ended or now) - build.started)
    state = "queued" if build.waits else build.state
    words = build.description or "-"
    return (build.number, day(build.started), took, state, build.commit[:COMMIT] or "-", words, _why(build))


def _why(build: BuildInfo) -> str:
    if build.state == "complete":
        return f"v{build.release}"
    if build.state == "building":
        return f"ends: {build.cancel}" if build.cancel else build.waits
    return build.reason
