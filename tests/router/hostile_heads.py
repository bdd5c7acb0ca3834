"""Request lines and fields that two readers understand in two ways."""

from tests.router.hostile import EVIL, HOST, LAST, PASSED, Hostile, chunk, counted, get, post

REQUEST_LINES = [
    (400, b"GET  /evil HTTP/1.1"), (400, b"GET /evil  HTTP/1.1"), (400, b"GET\t/evil HTTP/1.1"),
    (400, b"GET\x0b/evil HTTP/1.1"), (400, b" GET /evil HTTP/1.1"), (400, b"GET /evil HTTP/1.1 "),
    (400, b"GET /evil HTTP/1.1\t"), (400, b"GET /evil http/1.1"), (400, b"GET /evil HTTP/1,1"),
    (400, b"GET /evil HTTP/ 1.1"), (400, b"GET /evil HTTP /1.1"), (400, b"GET /evil"), (400, b"GET"),
    (400, b"GET /evil HTTP/1.1 HTTP/1.1"), (400, b"GET /evil HTTP/1.1\rX: y"), (400, b"GET /evil\x00 HTTP/1.1"),
    (400, b"GET /evil\x01 HTTP/1.1"), (400, b"GET /\x7fevil HTTP/1.1"), (400, b"GET /\xc3\xa9evil HTTP/1.1"),
    (400, b"GET /evil#f HTTP/1.1"), (400, b"GET /evil\xa0HTTP/1.1"), (400, b"GET /ev\ril HTTP/1.1"),
    (400, b"G\x00T /evil HTTP/1.1"), (400, b"G(T /evil HTTP/1.1"), (400, b"\xc9T /evil HTTP/1.1"),
    (400, b"GET evil HTTP/1.1"), (400, b"GET * HTTP/1.1"), (400, b"GET ?evil HTTP/1.1"),
    (400, b"GET http:/evil HTTP/1.1"), (400, b"GET http:///evil HTTP/1.1"), (400, b"GET http:// HTTP/1.1"),
    (400, b"GET http://evil@app.test/ HTTP/1.1"), (400, b"GET http://app.test@evil/ HTTP/1.1"),
    (400, b"GET http://app.test:/ HTTP/1.1"), (400, b"GET http://app.test:x/ HTTP/1.1"),
    (400, b"GET http://app.test:999999/ HTTP/1.1"), (400, b"GET http://app.test\\@evil/ HTTP/1.1"),
    (400, b"GET http://app.test,evil/ HTTP/1.1"), (400, b"GET file:///evil HTTP/1.1"),
    (400, b"GET app.test:80 HTTP/1.1"), (400, b"GET javascript:evil HTTP/1.1"), (405, b"CONNECT evil:443 HTTP/1.1"),
    (405, b"CONNECT /evil HTTP/1.1"), (414, b"GET /" + b"evil" * 3000 + b" HTTP/1.1"), (505, b"GET /evil HTTP/0.9"),
    (505, b"GET /evil HTTP/1.10"), (505, b"GET /evil HTTP/1.2"), (505, b"GET /evil HTTP/2.0"),
    (505, b"GET /evil HTTP/2"), (505, b"GET /evil HTTP/3"), (505, b"GET /evil HTTP/01.1"),
    (505, b"GET /evil HTTP/1.01"), (400, b"GET /evil HTTP/1.1x"), (400, b"GET /evil HTTP/-1.1"),
    (400, b"GET /evil HTTP/1."), (400, b"GET /evil HTTP/"), (400, b"GET /evil XTTP/1.1"),
]  # fmt: skip

LINES = [
    *[Hostile(f"line {line!r}", get(b"", line), (status,)) for status, line in REQUEST_LINES],
    Hostile("HTTP/0.9", b"GET /evil\r\n"),
    Hostile("HTTP/0.9 with bare LF", b"GET /evil\n"),
    Hostile("all lines with bare LF", get().replace(b"\r\n", b"\n")),
    Hostile("all lines with bare CR", get().replace(b"\r\n", b"\r")),
    Hostile("all lines with LF CR", get().replace(b"\r\n", b"\n\r")),
    Hostile("all lines with CR CR LF", get().replace(b"\r\n", b"\r\r\n")),
    Hostile("the last line with bare LF", get()[:-2] + b"\n"),
    Hostile("the last line with bare CR", get()[:-1]),
    Hostile("bare LF before", b"\n" + get()),
    Hostile("NUL before", b"\x00" + get()),
    Hostile("a space before", b" " + get()),
    Hostile("an empty line before", b"\r\n" + get(), PASSED),
    Hostile("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", (505,)),
    Hostile("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"evil" * 100),
    Hostile("PROXY v1", b"PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\n" + get()),
    Hostile("PROXY v2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\1" * 12 + get()),
    Hostile("SSH", b"SSH-2.0-evil\r\n\r\n"),
    Hostile("SMTP", b"EHLO evil\r\n\r\n"),
    Hostile("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
]

HOSTS = [
    b"", HOST + HOST, HOST + b"HOST: evil\r\n", b"Host: evil\r\n" + HOST, b"Host:\r\n", b"Host: \t\r\n",
    b"Host: evil@app.test\r\n", b"Host: app.test@evil\r\n", b"Host: app.test/evil\r\n", b"Host: app.test,evil\r\n",
    b"Host: app.test evil\r\n", b"Host: app.test#\r\n", b"Host: app.test?\r\n", b"Host: app.test\\evil\r\n",
    b"Host: app.test:\r\n", b"Host: app.test:x\r\n", b"Host: app.test:80:80\r\n", b"Host: app.test:999999\r\n",
    b"Host: app.test\x00\r\n", b"Host: app\x00.test\r\n", b"Host: app.test%00\r\n", b"Host: [::1\r\n",
    b"Host: ::1\r\n", b"Host: [::1]evil\r\n", b"Host: \xe9\r\n", b"Host : app.test\r\n", b" Host: app.test\r\n",
    b"Host: app.test\r\n evil\r\n", b"Host:\r\n app.test\r\n", b"Host_: app.test\r\n", b"Host: http://app.test\r\n",
    b'Host: "app.test"\r\n',
]  # fmt: skip

BAD_FIELDS = [
    b" X: folded", b"\tX: folded", b"X: y\r\n folded", b"X: y\r\n\tfolded", b"X: y\r\n \r\n evil: z", b"X : y",
    b"X\t: y", b": y", b" : y", b"no colon", b"X\x00: y", b"X: \x00", b"X: \x01", b"X: \x7f", b"X: \x0b",
    b"X: \x1b[2J", b"X: a\rb", b"X: a\nb", b"X: a\r\rb", b"X\r: y", b"X\n: y", b"(X): y", b"X Y: z", b"X,Y: z",
    b"X/Y: z", b"X@Y: z", b"[X]: y", b"{X}: y", b'"X": y', b"X=Y: z", b"X\\: y", b"\xe9: y", b"X\xa0: y", b"X;: y",
    b"X?: y", b"X<>: y", b"\x7f: y", b"GET /evil HTTP/1.1",
]  # fmt: skip

LISTED = [
    b"Content-Length", b"content-length, Host", b"Host", b"X-Forwarded-For", b"X-Request-Id", b"Cookie", b"Upgrade",
    b"Transfer-Encoding", b"keep-alive, Content-Length", b"Content_Length", b"\x80", b",", b"", b"Connection", b"a b",
    b"\t",
]  # fmt: skip

FIELDS = [
    *[Hostile(f"host {host!r}", get(b"", host=host)) for host in HOSTS],
    *[Hostile(f"field {line!r}", get(line + b"\r\n")) for line in BAD_FIELDS],
    Hostile("Expect twice", get(b"Expect: 100-continue\r\nExpect: evil\r\n"), (417,)),
    Hostile("Expect more", get(b"Expect: 100-continue, evil\r\n"), (417,)),
    Hostile("Expect and a body", post(counted(EVIL) + b"Expect: 100-continue\r\n", EVIL), PASSED),
    Hostile("a long field", get(b"X: " + b"evil" * 3000 + b"\r\n"), (431,)),
    Hostile("a long name", get(b"X" * 9000 + b": y\r\n"), (431,)),
    Hostile("many fields", get(b"X: y\r\n" * 200), (431,)),
    Hostile("a long head", get((b"X: " + b"y" * 4000 + b"\r\n") * 30), (431,)),
    *[
        Hostile(f"Connection: {name!r}", post(b"Connection: %b\r\n" % name + counted(EVIL), EVIL), PASSED)
        for name in LISTED
    ],
    Hostile(
        "Connection: Transfer-Encoding",
        post(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", chunk(EVIL) + LAST),
        PASSED,
    ),
    Hostile(
        "Connection: close, TE",
        post(b"Connection: close\r\nConnection: Content-Length\r\n" + counted(EVIL), EVIL),
        (200,),
    ),
    Hostile("whole URL, other Host", get(b"", b"GET http://app.test/m HTTP/1.1", b"Host: evil\r\n"), PASSED),
    Hostile("whole URL of TLS, other Host", get(b"", b"GET HTTPS://app.test?q HTTP/1.1", b"Host: evil\r\n"), PASSED),
    Hostile("whole URL of another host", get(b"", b"GET http://evil/ HTTP/1.1"), (404, 200)),
    Hostile("whole URL, two Hosts", get(b"", b"GET http://app.test/m HTTP/1.1", HOST + HOST)),
    Hostile("whole URL, no Host", get(b"", b"GET http://app.test/m HTTP/1.1", b"")),
    Hostile("Upgrade that is declined", get(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), PASSED),
    Hostile(
        "Upgrade with a body", post(b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + counted(EVIL), EVIL), PASSED
    ),
    Hostile("h2c", get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), PASSED),
    Hostile("h2c among others", get(b"Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"), PASSED),
    Hostile("TE", get(b"TE: trailers, chunked\r\nConnection: TE\r\n"), PASSED),
]
