"""What the router itself answers: one calm sentence, as text, as a page or as JSON, as the client likes it."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple


class Fault(NamedTuple):
    """Why a request got no answer of an app. The codes with an H are those that Heroku gave the same faults."""

    status: int
    code: str
    sentence: str


NO_ROUTE = Fault(404, "no-route", "No app is known by this name.")
NO_PROCESS = Fault(503, "H14", "The app has no web process running.")
UNREACHABLE = Fault(503, "H21", "The app's web processes refuse connections.")
CONNECT_TIMEOUT = Fault(503, "H19", "The app's web processes do not accept connections.")
FIRST_BYTE = Fault(503, "H12", "The app took too long to answer.")
CLOSED = Fault(502, "H13", "The app closed the connection without an answer.")
CUT = Fault(502, "H18", "The app broke off its answer.")
JUNK = Fault(502, "H17", "The app answered with something that is not HTTP.")
STALLED = Fault(503, "H15", "The app fell silent in the middle of its answer.")
IDLE = Fault(408, "H28", "The request did not arrive in time.")
BACKLOG = Fault(503, "H11", "The app has too many requests at this moment.")
MAINTENANCE = Fault(503, "H80", "The app is in maintenance. It will be back soon.")
TOO_LARGE = Fault(413, "too-large", "The request is larger than this app takes.")
GONE = Fault(499, "H27", "The client went away.")
FULL = Fault(503, "H11", "Too many connections at this moment.")

NO_PAGES: Mapping[str, str] = {}

REASONS = {
    400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed", 431: "Request Header Fields Too Large", 502: "Bad Gateway",
    503: "Service Unavailable", 505: "HTTP Version Not Supported",
}  # fmt: skip

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{reason}</title>
<style>body{{font:17px/1.5 system-ui,sans-serif;max-width:32em;margin:18vh auto;padding:0 1em;color:#333}}
small{{color:#777}}</style>
<h1>{reason}</h1><p>{sentence}</p><p><small>{code} &middot; request {id}</small></p></html>
"""


def refused(status: int, reason: str) -> Fault:
    """The fault of a request that is not passed on: `reason` in a few words, from a Refusal."""
    code = "H26" if status == 417 else "bad-request"
    return Fault(status, code, f"The request was not understood: {reason}.")


def answer(
    fault: Fault,
    request_id: bytes,
    fields: bytes = b"",
    own: Mapping[str, str] = NO_PAGES,
    *,
    close: bool = True,
    bodiless: bool = False,
) -> bytes:
    """The whole response. `fields` are those of the request, for its Accept; `bodiless` answers a HEAD.

    `own` are the pages of the route (`Route.pages`), for who takes HTML.
    """
    id, reason = request_id.decode("ascii"), REASONS[fault.status]
    kind = _kind(fields)
    page = _own(fault, own)
    if page and kind != "application/json":
        kind, text = "text/html", page
    elif kind == "text/html":
        text = PAGE.format(reason=reason, sentence=fault.sentence, code=fault.code, id=id)
    elif kind == "application/json":
        text = json.dumps({"code": fault.code, "message": fault.sentence, "request_id": id}) + "\n"
    else:
        text = f"{fault.sentence} ({fault.code}, request {id})\n"
    body = text.encode()
    head = [
        f"HTTP/1.1 {fault.status} {reason}",
        f"Content-Type: {kind}; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Flynn-Error: {fault.code}",
        f"X-Request-Id: {id}",
        *(["Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE"] if fault.status == 405 else []),
        *(["Retry-After: 1"] if fault.status == 503 else []),
        *(["Connection: close"] if close else []),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + (b"" if bodiless else body)


def _own(fault: Fault, own: Mapping[str, str]) -> str:
    """The route's own page for this fault, the most fitting one; "" if it has none."""
    keys = (*(("maintenance",) if fault is MAINTENANCE else ()), str(fault.status), "error")
    return next((own[key] for key in keys if own.get(key)), "")


def _kind(fields: bytes) -> str:
    accept = re.search(rb"\n(?i:accept):([^\r]*)\r", fields)
    wanted = accept[1].lower() if accept else b""
    if b"application/json" in wanted:
        return "application/json"
    return "text/html" if b"text/html" in wanted else "text/plain"
