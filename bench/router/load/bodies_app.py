"""`bodies_app PORT`: sends as many bytes as the path says (`GET /1048576`), and takes what is sent to it.

`GET /count` tells the requests answered and the bytes sent and taken by all its connections. Bytes come from memory
and are dropped by the kernel, so that this app costs little beside the proxy before it.
"""

import re
import socket
import socketserver
import sys
import threading

from bench.router.load.streams import drop, send


class App(socketserver.BaseRequestHandler):
    """One connection, requests one after the other."""

    request: socket.socket
    answered = 0
    moved = 0
    lock = threading.Lock()

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = self.request.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            data = data[self._answer(head, data) :]

    def _answer(self, head: bytes, data: bytes) -> int:
        """Answer one request; how many bytes of `data` were of its body."""
        length = re.search(rb"\r\n(?i:content-length): *(\d+)", head)
        size = int(length[1]) if length else 0
        here = min(size, len(data))
        drop(self.request, size - here)
        path = head.split(b" ")[1][1:]
        told = b"%d %d\n" % (App.answered, App.moved) if path == b"count" else b""
        out = len(told) or int(path)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % out + told)
        if not told:
            send(self.request, out)
            with App.lock:
                App.answered += 1
                App.moved += size + out
        return here


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is the other side's to tell."""


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
