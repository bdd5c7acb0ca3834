"""What the system refuses to do for a job, told as why that cannot be started."""

import contextlib
from collections.abc import Iterator

from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.lacking import is_lack


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """An error of the system within the block is NotStarted, `what` and its reason. What this daemon lacks for a while
    is raised as it is."""
    try:
        yield
    except OSError as error:
        if is_lack(error):
            raise
        raise NotStarted(f"{what}: {error.strerror}") from None
