"""What a deploy strategy is: a pure function that says, from where a deploy stands, what its next step is. Pure.

It decides only how many processes of the new release there shall be next. The rest is the same for all: a step is done
once all that it wants is up and registered (and, of the first of a type and at the end, has been for the settling
time); only then have these processes taken over, and as many of the old release end; the next step begins once they
have. A step that fails, or takes too long, ends the
deploy, and the old release is whole again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flynn.core.model import Deploying


@dataclass(frozen=True)
class Part:
    """One process type in a deploy: `count` processes of it are wanted in all, the new release has taken over `moved`
    of them for good. `replaces`: the old release has it, too."""

    type: str
    count: int
    moved: int = 0
    replaces: bool = True


@dataclass(frozen=True)
class Stage:
    """Where a deploy stands: the types that the new release has not taken over yet, by name, and how it shall go.

    `how` has a value in each field. `promoted`: what was held may go on.
    """

    parts: Sequence[Part]
    how: Deploying
    promoted: bool = False


@dataclass(frozen=True)
class Step:
    """By type how many processes of the new release there shall be after this step; types not named stay as they are.

    `old_first`: as many old ones end before the new ones start. `hold`: once all are up the old ones stay too, for so
    many seconds (0: until the deploy is promoted); None: the step is not held.
    """

    new: Mapping[str, int] = field(default_factory=dict)
    old_first: bool = False
    hold: float | None = None


Strategy = Callable[[Stage], Step]
"""Called when a step begins. One that moves nothing on is taken as all at once."""
