"""A directory served over https by a certificate of its own, as a git repository or a tar on the net would be."""

import functools
import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from tests.certificate import make_certificate

NAME = "localhost"


@dataclass(frozen=True)
class Site:
    """Its address, and what a client that shall trust it has in its environment."""

    url: str
    trust: dict[str, str]


@contextmanager
def serving(root: Path, keep: Path) -> Iterator[Site]:
    """`root` over https for the length of a block; certificate and key are made in `keep`."""
    certificate = make_certificate(keep / "site.pem", x509.DNSName(NAME))
    handler = functools.partial(Quiet, directory=str(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        trust = {"GIT_SSL_CAINFO": str(certificate), "SSL_CERT_FILE": str(certificate)}
        yield Site(f"https://{NAME}:{server.server_address[1]}", trust)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """It says nothing of what it answers."""

    def log_message(self, format: str, *args: object) -> None:
        pass
