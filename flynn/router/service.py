"""What answers under one name: its instances, and what they counted, also those that are gone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from flynn.router.target import Target


class Totals(NamedTuple):
    """What instances counted: `answers` by the first digit of their status, connections `reused` and `opened`."""

    answers: Sequence[int]
    reused: int
    opened: int

    def plus(self, targets: Iterable[Target]) -> "Totals":
        """These and those of the targets."""
        every: list[Totals | Target] = [self, *targets]
        return Totals(
            tuple(map(sum, zip(*(one.answers for one in every), strict=True))),
            sum(one.reused for one in every),
            sum(one.opened for one in every),
        )


NOTHING = Totals((0,) * 10, 0, 0)

RELEASES = 16
"""Releases of whose instances it is kept what they answered, once they are gone: the last ones."""

ByRelease = Mapping[str, tuple[int, int]]
"""By release of an app (`v3`): how many answers, and how many of them with a status of 500 and above."""

NO_RELEASES: ByRelease = {}


class Service:
    """`targets` take requests; `orphans` do when there is no target left."""

    __slots__ = ("_left", "_past", "_releases", "instances", "name", "orphans", "routes", "targets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.targets: tuple[Target, ...] = ()
        self.orphans: tuple[Target, ...] = ()
        self.instances: dict[str, Target] = {}
        """Those two, and the draining ones, by key."""
        self.routes = 0
        """How many routes lead here."""
        self._left: tuple[Target, ...] = ()
        """Those that are gone, but may have had a request under way."""
        self._past = NOTHING
        """What the others counted that are gone,"""
        self._releases = NO_RELEASES
        """and the answers among it by release."""

    @property
    def asked(self) -> tuple[Target, ...]:
        """Those among which the next request chooses."""
        return self.targets or self.orphans

    @property
    def used(self) -> bool:
        """Whether there was a request for it."""
        return self._past is not NOTHING or any(target.used for target in self._counting())

    def leader(self) -> Target | None:
        """The oldest instance of those that take requests."""
        return min(self.asked, key=lambda target: (target.born, target.key), default=None)

    def lose(self, target: Target) -> None:
        """This one is gone. What it counted stays, and what it counts while its last requests end."""
        target.retire()
        left = (*self._left, target)
        self._left = tuple(one for one in left if one.in_flight)
        if over := [one for one in left if not one.in_flight and one.used]:
            self._past = self._past.plus(over)
            self._releases = dict(list(_by_release(self._releases, over).items())[-RELEASES:])

    def totals(self) -> Totals:
        """What all its instances counted, those that are gone among them: it never goes back."""
        return self._past.plus(self._counting())

    def by_release(self) -> ByRelease:
        """What instances answered, by the release that they are of; those of no app are left out."""
        return _by_release(self._releases, self._counting())

    def in_flight(self) -> int:
        """Requests under way, on draining instances too."""
        return sum(target.in_flight for target in self._counting())

    def _counting(self) -> tuple[Target, ...]:
        return (*self.instances.values(), *self._left)


def _by_release(before: ByRelease, targets: Iterable[Target]) -> dict[str, tuple[int, int]]:
    found = dict(before)
    for target in targets:
        if (release := target.instance.meta.get("release")) and any(target.answers):
            answers, failed = found.get(release, (0, 0))
            found[release] = (answers + sum(target.answers), failed + sum(target.answers[5:]))
    return found
