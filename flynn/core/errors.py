"""The few errors of flynn. Each type is a decision its catcher can make.

The text of an error says what happened, then what to do about it: it is shown to the user as it is.
`code` and `status` are what the node API answers (JSON `{"code", "message", "detail", "retry"}` and the HTTP status).
"""

from typing import Any


class FlynnError(Exception):
    """Anything that flynn says to a user on purpose. `retry`: the same call may succeed later.

    `detail` has what a program may want to know of it, as JSON: `NotFound("there is no app x", app="x")`. `retry_after`
    in it is whole seconds, and becomes the header Retry-After.
    """

    code = "error"
    status = 500
    retry = False

    def __init__(self, message: str = "", /, **detail: Any) -> None:
        super().__init__(message)
        self.detail = detail


class Invalid(FlynnError):
    """What was asked for is not well formed, or not allowed. Repeating it cannot help."""

    code = "invalid"
    status = 422


class Unauthorized(FlynnError):
    """The token is missing or wrong."""

    code = "unauthorized"
    status = 401


class Forbidden(FlynnError):
    """Nobody may do this here, whoever asks."""

    code = "forbidden"
    status = 403


class NotFound(FlynnError):
    """The thing named does not exist."""

    code = "not_found"
    status = 404


class Exists(FlynnError):
    """The name is taken."""

    code = "exists"
    status = 409


class Conflict(FlynnError):
    """Someone changed it first, or something else is under way. Read again, then decide again."""

    code = "conflict"
    status = 409
    retry = True


class Stale(FlynnError):
    """It has another version than the one that was to be changed. Read it again, then decide again."""

    code = "stale"
    status = 409


class TooLarge(FlynnError):
    """Over a stated limit; the text names the limit."""

    code = "too_large"
    status = 413


class Unsupported(FlynnError):
    """The body comes in a form (media type, encoding) that is not taken here; the text names those that are."""

    code = "unsupported"
    status = 415


class TooMany(FlynnError):
    """More at once, or waiting, than a stated bound. Say when to come back: `retry_after` seconds."""

    code = "too_many"
    status = 429
    retry = True


class QueueFull(TooMany):
    """A queue has as many jobs as it takes; the text names the queue and its bound."""

    code = "queue_full"


class Full(FlynnError):
    """No room left (disk, ports, memory); the text names what is full."""

    code = "full"
    status = 507
    retry = True


class Unavailable(FlynnError):
    """Something this call needs does not answer now. Nothing was changed."""

    code = "unavailable"
    status = 503
    retry = True


class Compacted(FlynnError):
    """The store no longer knows the revision asked for: read afresh, then watch from there."""

    code = "compacted"
    status = 410
    retry = True


class StartError(FlynnError):
    """The daemon cannot start (port taken, store locked, bad configuration). The process ends with exit code 1."""

    code = "start"
