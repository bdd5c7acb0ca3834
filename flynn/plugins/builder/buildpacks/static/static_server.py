"""A server for the files of a directory: `python3 server.py ROOT`, on $PORT (8000) of all addresses.

A `static.json` beside this file says more of the site: `static_rules.py`.

It listens on the UNIX socket $FLYNN_SOCKET too if that is set: the router of this machine then comes that way.
GET and HEAD; `ETag` and `Last-Modified` (RFC 9110 section 13), one `Range` (section 14); `index.html` for a directory;
404.html for what is not there, if the site has one. It never shows a name that starts with a dot, what a link leads
to outside of ROOT, or a list of files. SIGTERM: it takes no more connections and ends once those it has are answered.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from .static_rules import Rules, read
else:  # Both files lie beside each other in a slug, and are no package there.
    from static_rules import Rules, read

IDLE = 75.0
"""Seconds that a connection may be silent; longer than the routers in front keep one."""

LAST_ANSWERS = 10.0
"""Seconds that answers may take which were begun when the server was told to end."""

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Answers:
    """How many answers are under way."""

    def __init__(self) -> None:
        self.count = 0
        self.changed = threading.Condition()

    def __enter__(self) -> None:
        with self.changed:
            self.count += 1

    def __exit__(self, *error: object) -> None:
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def wait_for_none(self, timeout: float) -> None:
        """Wait until the last one is sent, for as many seconds at most."""
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0, timeout)


class Site(ThreadingHTTPServer):
    """The server, on a port of all addresses."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, root: str, port: int, answers: Answers, rules: Rules = Rules()) -> None:  # noqa: B008 (frozen)
        self.root = os.path.realpath(root)
        self.answers, self.rules = answers, rules
        super().__init__(("", port), Visit)

    def server_bind(self) -> None:
        """As the base does it, without asking the name service what this machine is called."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor who goes away early is no error of ours."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class LocalSite(Site):
    """The same on a UNIX socket."""

    address_family = socket.AF_UNIX

    def __init__(self, root: str, path: str, answers: Answers, rules: Rules = Rules()) -> None:  # noqa: B008 (frozen)
        self.root = os.path.realpath(root)
        self.answers, self.rules = answers, rules
        ThreadingHTTPServer.__init__(self, path, LocalVisit)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """What a server before this one has left there is in nobody's way."""
        if os.path.exists(str(self.server_address)):
            os.unlink(str(self.server_address))
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


class Visit(BaseHTTPRequestHandler):
    """One connection."""

    server: Site
    protocol_version = "HTTP/1.1"
    server_version = "static"
    sys_version = ""
    timeout = IDLE
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True
    extra: dict[str, str] = {}

    def do_GET(self) -> None:
        """Answer, and be counted while doing so."""
        with self.server.answers:
            self.answer()
            self.wfile.flush()

    do_HEAD = do_GET

    def answer(self) -> None:
        """The file that the path names, or what to say instead."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # its body is not read, so no request can follow it
        path, mark, query = re.sub(r"^https?://[^/?]*", "", self.path).partition("?")
        rules, asked = self.server.rules, unquote(path)
        self.extra = rules.headers_of(asked)
        if rules.https_only and self.headers.get("X-Forwarded-Proto") == "http":
            self.lead(301, f"https://{self.headers.get('Host', '')}{path}{mark}{query}")
        elif leads := rules.redirect(asked):
            self.lead(*leads)
        elif (found := self.find(path)) is None:
            self.not_found()
        elif os.path.isdir(found):
            self.lead(301, quote("/" + asked.strip("/") + "/") + mark + query)
        else:
            self.send_file(found)

    def find(self, path: str) -> str | None:
        """The file or directory that a path names, or the one that stands for it."""
        root, rules = self.server.root, self.server.rules
        tried = [
            path,
            f"{path}.html" if rules.clean_urls and not path.endswith("/") else "",
            rules.route(unquote(path)),
        ]
        for place in filter(None, tried):
            found = locate(root, place)
            if found and os.access(found, os.R_OK):
                return found
        return None

    def lead(self, code: int, to: str) -> None:
        """Send the visitor elsewhere."""
        self.send_response(code)
        self.send_header("Location", to.translate({10: None, 13: None}))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def end_headers(self) -> None:
        for name, value in self.extra.items():
            self.send_header(name, value)
        self.extra = {}
        super().end_headers()

    def send_file(self, path: str) -> None:
        """The file, a part of it, or word that the visitor has it already."""
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            tag = f'"{int(status.st_mtime):x}-{status.st_size:x}"'
            code, first, last = 304, 0, -1
            if not self.is_known(tag, status.st_mtime):
                code, first, last = self.wanted_part(tag, status.st_size)
            self.send_response(code)
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", formatdate(status.st_mtime, usegmt=True))
            if not any(name.lower() == "cache-control" for name in self.extra):
                self.send_header("Cache-Control", "no-cache" if path.endswith(".html") else "max-age=60")
            if code in (206, 416):
                part = f"{first}-{last}" if code == 206 else "*"
                self.send_header("Content-Range", f"bytes {part}/{status.st_size}")
            if code != 304:
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Type", content_type(path))
                self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            if self.command == "GET" and last >= first:
                self.wfile.flush()
                if self.connection.sendfile(file, first, last - first + 1) <= last - first:
                    self.close_connection = True  # the file became shorter meanwhile

    def is_known(self, tag: str, changed: float) -> bool:
        """Whether the visitor has this version of the file. An older one that serves again has an earlier time, and is
        another: so the time must be the same (which RFC 9110 section 13.1.3 leaves to the server)."""
        if tags := self.headers.get("If-None-Match"):
            return tags.strip() == "*" or tag in [t.strip().removeprefix("W/") for t in tags.split(",")]
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", "")).timestamp()
        except (TypeError, ValueError, IndexError, OverflowError):
            return False
        return int(changed) == int(since)

    def wanted_part(self, tag: str, size: int) -> tuple[int, int, int]:
        """Status, first and last byte of what is asked for. A range that is not understood asks for everything."""
        found = RANGE.fullmatch(self.headers.get("Range", "").strip())
        if not found or not (found[1] or found[2]) or self.headers.get("If-Range", tag) != tag:
            return 200, 0, size - 1
        if not found[1]:
            first, last = max(size - int(found[2]), 0), size - 1
        else:
            first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
        return (206, first, last) if first <= last else (416, 0, -1)

    def not_found(self) -> None:
        """The page of the site for that (404.html), or a line of our own."""
        page = locate(self.server.root, f"/{self.server.rules.error_page}")
        body = b"There is nothing here.\n"
        if page:
            with open(page, "rb") as file:
                body = file.read(1 << 20)
        self.send_response(404)
        self.send_header("Content-Type", content_type(page) if page else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(f"{self.address_string()} {format % args}", flush=True)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.log_message('"%s" %s', self.requestline.encode("ascii", "backslashreplace").decode(), int(code))


class LocalVisit(Visit):
    """One connection by the UNIX socket: whoever comes that way has no address."""

    disable_nagle_algorithm = False

    def address_string(self) -> str:
        return "local"


def locate(root: str, path: str) -> str | None:
    """The file below `root` (a real path) that a request path names, or its directory where a slash is missing."""
    parts = [unquote(part) for part in path.split("/") if part]
    if any(part.startswith(".") or "/" in part or "\0" in part for part in parts) or parts[:1] == ["Procfile"]:
        return None
    full = os.path.realpath(os.path.join(root, *parts))
    if os.path.commonpath([full, root]) != root:
        return None
    if os.path.isdir(full):
        index = os.path.join(full, "index.html")
        if not os.path.isfile(index):
            return None
        return index if path.endswith("/") else full
    return full if os.path.isfile(full) and not path.endswith("/") else None


def content_type(path: str) -> str:
    kind, packing = guess_type(path)
    if kind is None or packing:
        return "application/octet-stream"
    text = kind.startswith("text/") or kind in ("application/javascript", "application/json", "image/svg+xml")
    return kind + ("; charset=utf-8" if text else "")


def found_rules() -> Rules:
    """What the site says of itself; the build has judged it."""
    try:
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "static.json"), encoding="utf-8") as file:
            return read(file.read())[1]
    except FileNotFoundError:
        return Rules()


def main(root: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    answers, rules = Answers(), found_rules()
    sites = [Site(root, int(os.environ.get("PORT") or 8000), answers, rules)]
    if path := os.environ.get("FLYNN_SOCKET"):
        try:
            sites.append(LocalSite(root, path, answers, rules))
        except OSError as error:
            print(f"cannot listen on {path}: {error}", flush=True)

    def end(number: int, frame: FrameType | None) -> None:
        for site in sites:
            threading.Thread(target=site.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for site in sites[1:]:
        threading.Thread(target=site.serve_forever, args=(0.1,), daemon=True).start()
    print(f"serving {sites[0].root} on port {sites[0].server_port}", flush=True)
    sites[0].serve_forever(poll_interval=0.1)
    for site in sites:
        site.socket.close()
    answers.wait_for_none(LAST_ANSWERS)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
