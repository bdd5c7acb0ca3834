"""Errors as the node API answers them: a status, and `{"code", "message", "detail", "retry"}`, whatever went wrong."""

import logging
from typing import Any

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError, LineTooLong

from flynn.core.errors import FlynnError, Invalid, TooLarge
from flynn.core.web.answers import answer

log = logging.getLogger(__name__)

CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    414: "too_large",
    415: "unsupported",
    417: "expectation_failed",
    431: "too_large",
}
"""The code of what HTTP itself refuses, by status."""


class HttpError(FlynnError):
    """The request is no good as HTTP: its line, a header, its method, what it expects."""

    def __init__(self, status: int, message: str, /, **detail: Any) -> None:
        super().__init__(message, **detail)
        self.status, self.code = status, CODES.get(status, "bad_request")


def problem(error: FlynnError) -> web.Response:
    """The answer that tells of an error. A 413 closes the connection: the rest of the body is not read."""
    told = {"code": error.code, "message": str(error), "detail": error.detail, "retry": error.retry}
    response = answer(told, error.status, _headers(error))
    if error.status == 413:
        response.force_close()
    return response


def _headers(error: FlynnError) -> dict[str, str]:
    if error.status == 401:
        return {hdrs.WWW_AUTHENTICATE: 'Basic realm="flynn"'}
    if error.status == 405:
        return {hdrs.ALLOW: ", ".join(error.detail.get("allow", ()))}
    if error.status in (429, 503):
        return {hdrs.RETRY_AFTER: str(error.detail.get("retry_after", 1))}
    return {}


def as_flynn_error(error: Exception, method: str, path: str, limit: int) -> FlynnError:
    """Any exception of a handler as what the client is told; what nobody meant to raise is logged, and is a 500."""
    if isinstance(error, FlynnError):
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge(f"the body is too large; {limit} bytes at most here", limit=limit)
    if isinstance(error, web.RequestPayloadError):
        return Invalid(f"the body cannot be read: {_words(error)}")
    if isinstance(error, web.HTTPException):
        return HttpError(error.status, f"{method} {path[:200]} is refused: {error.reason}")
    log.error("%s %s failed", method, path, exc_info=error)
    return FlynnError("flynn made a mistake here; its log on this node says more")


def bad_http(status: int, error: BaseException | None) -> FlynnError:
    """What is told to one who sent no good HTTP."""
    if isinstance(error, LineTooLong):
        return _too_long(error)
    if isinstance(error, InvalidURLError):
        return HttpError(400, "the URL of this request is no good")
    if isinstance(error, HttpProcessingError):
        return HttpError(400, f"this is no good HTTP: {_words(error)}")
    if status < 500:
        return HttpError(status, "this is no good HTTP")
    return FlynnError("flynn made a mistake here; its log on this node says more")


def _too_long(error: LineTooLong) -> HttpError:
    """The parser in C gives the URL as a bytearray, the one in Python the whole line; anything else is a header."""
    line, limit = error.args[0], int(error.args[1])
    if isinstance(line, bytearray) or b" /" in bytes(line)[:12]:
        return HttpError(414, f"the URL of this request is too long; {limit} bytes at most", limit=limit)
    return HttpError(431, f"a header of this request is too long; {limit} bytes at most", limit=limit)


def _words(error: BaseException) -> str:
    """The first line of what aiohttp says; those after it show the bytes themselves, and a token may be in them."""
    text = str(error).removeprefix("400, message:").strip()
    return " ".join(text.splitlines()[0].rstrip(":").split()) if text else type(error).__name__
