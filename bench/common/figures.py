"""What was measured, as a line and as a row. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One value and what it must reach. `what` says what it is, or what it compares; `unit` may be empty: a ratio."""

    id: str
    value: float
    relation: Literal["<=", ">="]
    bound: float
    what: str = ""
    unit: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value reaches what it must."""
        return self.value <= self.bound if self.relation == "<=" else self.value >= self.bound

    @property
    def share(self) -> float:
        """How the value stands to its bound: 1 is just reached, less is better."""
        part, whole = (self.value, self.bound) if self.relation == "<=" else (self.bound, self.value)
        return part / whole if whole else float(part > 0)

    @property
    def verdict(self) -> str:
        return "ok" if self.ok else "short"


def line(figure: Figure) -> str:
    """`R1a 0.97 must <= 1.15 ok flynn : nginx`."""
    told = f"{figure.id} {number(figure.value)} must {figure.relation} {number(figure.bound)} {figure.verdict}"
    return f"{told} {figure.what}".rstrip() + (f", {figure.unit}" if figure.unit else "")


def in_order(line: str) -> tuple[str, int, str]:
    """To sort lines by: I3 before L1, R2 before R10."""
    id = line.split()[0]
    return id[0], int(id[1:].rstrip("abcdefgh")), id


def number(value: float) -> str:
    """Four digits, without an exponent."""
    if value and abs(value) < 0.0001:
        return f"{value:.6f}"
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what stands in them, those of numbers to the right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [all(cell[:1].isdigit() or not cell for cell in column[1:]) for column in columns]
    return [
        "   ".join(
            cell.rjust(width) if numbers else cell.ljust(width)
            for cell, width, numbers in zip(cells, widths, right, strict=True)
        ).rstrip()
        for cells in [head, *rows]
    ]
