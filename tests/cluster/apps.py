"""Small apps that need no build beyond their Procfile, for the end-to-end tests."""

from pathlib import Path

SERVER = """
import http.server, os, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{os.environ.get('GREETING', 'hello')} from {os.environ['FLYNN_JOB_ID']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

print("starting", os.environ["FLYNN_JOB_ID"], flush=True)
Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""

SLOW = """
import threading

told = threading.Event()

class Slow:
    # /late is answered once somebody has asked for /now; /ws is a WebSocket that gives back what comes.
    def do_GET(self):
        if self.path == "/late":
            told.wait()
        if self.path == "/now":
            told.set()
        if self.path != "/ws":
            return super().do_GET()
        self.send_response_only(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.end_headers()
        self.wfile.flush()
        while data := self.connection.recv(65536):
            self.wfile.write(data)
        self.close_connection = True
"""


def make(directory: Path, **files: str) -> Path:
    """A directory with these files (a `__` in a name stands for a dot)."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text)
    return directory


def server(directory: Path, extra: str = "") -> Path:
    """A web app that answers with its greeting and its job's name."""
    return make(directory, Procfile="web: exec python3 server.py\n", server__py=extra + SERVER)


def talkative(directory: Path) -> Path:
    """The usual one, which also answers late and speaks WebSocket."""
    made = server(directory, SLOW)
    file = made / "server.py"
    file.write_text(file.read_text().replace(", Handler)", ", type('Both', (Slow, Handler), {}))"))
    return made
