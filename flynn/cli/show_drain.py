"""How a drain looks beforehand. Pure."""

from collections.abc import Sequence

from flynn.cli.words import count, table
from flynn.core.records import Forecast, Staying


def forecast(found: Forecast) -> list[str]:
    """What would move where, what would find no place, what is let end and what stays: a table each."""
    lines: list[str] = []
    if found.moves:
        lines += ["", f"=== would move ({len(found.moves)})", *table([(one.id, "->", one.to) for one in found.moves])]
    lines += _those("would find no place, and stay until there is one", found.unplaced)
    lines += _those("would be let end", found.ends)
    lines += _those("would stay (--force stops them)", found.stays)
    return [*lines[1:], "", _sum(found)] if lines else [f"{found.host} has no job: it can be drained at once"]


def _those(head: str, rows: Sequence[Staying]) -> list[str]:
    return ["", f"=== {head} ({len(rows)})", *table([(one.id, one.reason) for one in rows])] if rows else []


def _sum(found: Forecast) -> str:
    kept = len(found.unplaced) + len(found.stays)
    if kept:
        return f"{count(kept, 'job')} would keep {found.host} from being empty"
    return f"{found.host} would be empty" + (" once the last of them has ended" if found.ends else "")
