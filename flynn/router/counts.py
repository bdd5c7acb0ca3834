"""What is counted of the requests of one route: how many ended how, and how long they took."""

from bisect import bisect_left

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the classes of duration, in seconds; one more class has all that takes longer."""

NOTHING = [0] * (len(BOUNDS) + 1)
NO_ROWS, NO_SECONDS = [NOTHING] * 10, [0.0] * 10
"""What a route has that nobody asked for yet, as most of very many: shared by all, never written to."""


class Counts:
    """Counted since the router started; a route whose record changes keeps its counts.

    `rows` has one row for each first digit of a status (0 to 9), of one number for each class of duration: so one step
    counts both. A duration is from a request's head to its answer's last byte.
    """

    __slots__ = ("gone", "in_flight", "queued", "replays", "retries", "rows", "seconds")

    def __init__(self) -> None:
        self.rows = NO_ROWS
        self.seconds = NO_SECONDS
        """The sum of all durations, by the first digit of the status."""
        self.in_flight = 0
        self.queued = 0
        """Requests that wait for their turn at this moment."""
        self.gone = 0
        """Requests whose client went away."""
        self.retries = 0
        self.replays = 0

    def ended(self, status: int, seconds: float) -> None:
        """A request was answered with `status`, after so long."""
        digit = status // 100
        if self.rows[digit] is NOTHING:
            self._begin(digit)
        self.rows[digit][bisect_left(BOUNDS, seconds)] += 1
        self.seconds[digit] += seconds

    def answers(self) -> dict[str, int]:
        """Answers by class: `{"2xx": 3}`."""
        return {f"{digit}xx": total for digit, row in enumerate(self.rows) if (total := sum(row))}

    def _begin(self, digit: int) -> None:
        if self.rows is NO_ROWS:
            self.rows, self.seconds = NO_ROWS.copy(), NO_SECONDS.copy()
        self.rows[digit] = NOTHING.copy()
