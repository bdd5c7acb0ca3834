"""The cookie of sticky routes: the name of an instance, sealed, so that a client can neither read nor choose it."""

import base64
import binascii
import hashlib
import hmac
import os
import re
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NAME = b"_backend"

_COOKIE = re.compile(rb"\n(?i:cookie):(?:[^\r]*?[;, \t])??_backend=([0-9A-Za-z_-]{40,400}=*)")
_NONCE = 12

_UNFIT = re.compile(r"[^!-:<-~]")
"""What cannot stand in a cookie's Path (RFC 6265 section 4.1.1), or does not survive there."""


def below(path: str) -> bytes:
    """The cookie's Path for a route's path, without an end slash: that would leave the path itself out (section 5.1.4).

    One that cannot be written is cut to the longest one above it: a Path has no escapes, and a wider one is no harm,
    as a seal is of use to no service but its own.
    """
    path = "/" + path.strip("/")
    if unfit := _UNFIT.search(path):
        path = path[: path.rindex("/", 0, unfit.start())] or "/"
    return path.encode()


class Seal:
    """All routers of a grid make the same from its secret, so each opens what another has sealed."""

    def __init__(self, secret: str) -> None:
        key = hmac.digest(secret.encode(), b"flynn: cookie of sticky routes", hashlib.sha256)
        self._box = ChaCha20Poly1305(key)
        self._open = lru_cache(4096)(self._opened)

    def field(self, instance: str, path: str) -> bytes:
        """The header field, as `\\nSet-Cookie: ...\\r`, that keeps a client with this instance below `path`."""
        nonce = os.urandom(_NONCE)
        sealed = base64.urlsafe_b64encode(nonce + self._box.encrypt(nonce, instance.encode(), NAME))
        return b"\nSet-Cookie: %b=%b; Path=%b; HttpOnly; SameSite=Lax\r" % (NAME, sealed, below(path))

    def told(self, fields: bytes) -> str:
        """The instance that the first such cookie among these header fields names; "" if there is no good one."""
        found = _COOKIE.search(fields)
        return self._open(found[1]) if found else ""

    def _opened(self, sealed: bytes) -> str:
        try:
            raw = base64.urlsafe_b64decode(sealed)
            return self._box.decrypt(raw[:_NONCE], raw[_NONCE:], NAME).decode()
        except (binascii.Error, InvalidTag, ValueError):
            return ""
