"""A moment in the past as people write it: `10m` (ago), `2026-11-25T10:00`, or seconds since the epoch. Pure."""

import re
from datetime import datetime, tzinfo

from flynn.core.errors import Invalid

AGO = re.compile(r"(?:\d{1,6}[smhdw])+")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
EPOCH = re.compile(r"\d{9,12}|\d{1,12}\.\d{1,9}")


def since(text: str, now: float, zone: tzinfo | None) -> float:
    """Seconds since the epoch. A time without a zone is one of `zone` (None: this machine's). Invalid: it is none."""
    told = text.strip()
    if AGO.fullmatch(told):
        return max(now - sum(int(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhdw])", told)), 0.0)
    if EPOCH.fullmatch(told):
        return float(told)
    try:
        at = datetime.fromisoformat(told)
        return max((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp(), 0.0)
    except (ValueError, OverflowError, OSError):
        raise Invalid(
            f"since={text[:60]} is no time; write how long ago (10m, 2h, 1h30m, 3d), or when: 2026-11-25T10:00"
        ) from None
