"""Which bytes a GET asks for: single byte ranges, as RFC 9110 section 14 has them."""

import re

SINGLE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies outside of what there is: the answer is 416 (RFC 9110, section 15.5.17)."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes `(start, stop)` that a Range header asks for, `stop` excluded; None: all of them.

    Several ranges at once, other units and what is not well formed count as no range (RFC 9110, section 14.2:
    a server may ignore the header).
    """
    found = SINGLE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise Unsatisfiable
    return start, stop
