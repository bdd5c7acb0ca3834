"""How many there are of something that the system gives only so many of."""

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

RESERVE, RESERVE_PART = 256, 8
"""What stays unused for what jobs and their clients need; where there can be few, this part of all."""


@dataclass(frozen=True)
class Count:
    """Those in use, and how many may be (0: any number)."""

    used: int
    most: int

    def is_low(self, before: str = "") -> bool:
        """Whether less than the reserve is left; a quarter more, once it was less (`before`, in words)."""
        reserve = max(min(RESERVE, self.most // RESERVE_PART), 1)
        return self.most > 0 and self.most - self.used < reserve * (5 if before else 4) // 4
