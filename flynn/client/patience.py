"""How long a stream without end is opened again that breaks, or is silent for too long."""

import asyncio

from flynn.client.wire import CONNECT
from flynn.core.errors import Unavailable

RESUME = 30.0
"""Seconds that the grid is tried again after the stream broke."""

PAUSE = 0.5


class Patience:
    """Of one who follows a stream: he says when it is opened, when he hears something, and how it ended."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._begun = self._reached = 0.0

    def opens(self) -> None:
        self._begun = self._now()

    def hears(self) -> None:
        self._reached = self._now()

    def check(self, error: Unavailable) -> None:
        """Raises what broke the stream, if the grid did not answer at first, or for RESUME seconds now."""
        if self._now() - self._begun > 2 * CONNECT:  # so long it was open, only silent
            self.hears()
        if self._now() - self._reached > RESUME:
            raise error
