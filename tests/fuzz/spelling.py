"""How a fuzzer's bytes are read: most stand for themselves, some for a word of HTTP, so that it finds sentences."""

WORDS = [
    b"\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n", b"POST /p HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n", b"GET http://app.test/u HTTP/1.1\r\n", b"Host: app.test\r\n", b"Host: ",
    b"Content-Length: ", b"Content-Length: 5\r\n", b"Content_Length: 0\r\n", b"Transfer-Encoding: ",
    b"Transfer-Encoding: chunked\r\n", b"transfer_encoding: chunked\r\n", b"Connection: ", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"TE: trailers\r\n", b"Keep-Alive: timeout=5\r\n", b"Proxy-Connection: close\r\n",
    b"X-Forwarded-For: 6.6.6.6\r\n", b"X_Forwarded_Proto: https\r\n", b"Forwarded: for=6.6.6.6\r\n", b"X-Request-Id: ",
    b"abcdefghijklmnopqrst", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\n", b";a=b", b"hello", b"chunked", b"identity",
    b", ", b": ", b" ", b"\t", b"\r", b"\n", b"\0", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 101 Switching\r\n", b" HTTP/1.1", b"X: y\r\n", b"a" * 200, b"X: " + b"y" * 5000 + b"\r\n",
    b"X: y\r\n" * 60, b"content-length", b"\xe9", b"\xff\xfe", b"[::1]:80", b"app.test", b"evil@app.test",
]  # fmt: skip

FIRST = 0xFF - len(WORDS)
"""The byte that stands for the first word. 0xFF before a byte: that byte itself."""


def spell(data: bytes) -> bytes:
    """What these bytes stand for."""
    said, at = list[bytes](), 0
    while at < len(data):
        byte = data[at]
        at += 1
        if byte == 0xFF:
            said.append(data[at : at + 1])
            at += 1
        else:
            said.append(WORDS[byte - FIRST] if byte >= FIRST else bytes([byte]))
    return b"".join(said)


def unspell(text: bytes) -> bytes:
    """Bytes that stand for this text."""
    return b"".join(b"\xff%c" % byte if byte >= FIRST else bytes([byte]) for byte in text)
