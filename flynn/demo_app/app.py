"""A greeting, told by every instance in its own name: the app of `flynn demo` when no examples are at hand."""

import html
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html>
<title>{greeting}</title>
<h1>{greeting}</h1>
<small>answered by {job}, release {release}</small>
"""


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        page = PAGE.format(
            greeting=html.escape(os.environ.get("GREETING", "Hello from flynn")),
            job=os.environ.get("FLYNN_JOB_ID", "this machine"),
            release=os.environ.get("FLYNN_RELEASE", "0"),
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
