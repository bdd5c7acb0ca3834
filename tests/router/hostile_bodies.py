"""Requests whose end two readers see in two places."""

from tests.router.hostile import EVIL, LAST, PASSED, Hostile, chunk, counted, get, post

CODINGS = [
    b"Transfer-Encoding: chunked", b"transfer-encoding:chunked", b"TRANSFER-ENCODING: CHUNKED",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked", b"X: y\r\n Transfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding\r\n: chunked", b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding: \xa0chunked", b"Transfer-Encoding: \xffchunked",
    b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: , chunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: x-chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chun ked", b"Transfer-Encoding: chunked chunked", b"Transfer-Encoding: cow",
    b"Transfer-Encoding:", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\ntransfer-encoding:",
    b"X:\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"X: y\r\r\nTransfer-Encoding: chunked",
    b"X: y\n\rTransfer-Encoding: chunked", b"\x00Transfer-Encoding: chunked", b"Transfer-Encoding\x00: chunked",
    b"Transfer\x00-Encoding: chunked", b"Transfer-Encoding\xa0: chunked", b"Transfer-Encoding chunked",
    b"Transfer-Encoding: \r\nchunked", b"Transfer-Encoding:\tchunked\x1f", b"Transfer-Encoding\x0b: chunked",
    b"Transfer Encoding: chunked", b"Transfer-Encoding: chunked\n", b"Transfer-Encoding: chunked\r",
]  # fmt: skip
"""Each with a Content-Length is two lengths, or no field at all."""

LENGTHS = [
    b"", b" ", b"+4", b"-4", b"-0", b"4 4", b"4,4", b"4, 4", b"4;", b"4.", b"4.0", b"4e0", b"0x4", b"0b1", b"1_0",
    b"\x0b4", b"4\x0c", b"4\x00", b"\xd9\xa4", b"\xb2", b"four", b"4\xa0", b"9" * 19, b"18446744073709551620",
    b"9" * 400, b"4\r\nContent-Length: 4", b"4\r\nContent-Length: 40", b"4\r\ncontent-length: 0", b"4\r\n 0",
    b"\r\n 4", b'"4"', b"4\r4", b"4\n", b"\xef\xbc\x94",
]  # fmt: skip

FRAMINGS = [
    *[Hostile(f"CL.TE {te!r}", post(counted(LAST + EVIL) + te + b"\r\n", LAST + EVIL)) for te in CODINGS],
    *[Hostile(f"TE.CL {te!r}", post(te + b"\r\nContent-Length: 4\r\n", chunk(EVIL) + LAST)) for te in CODINGS],
    *[Hostile(f"CL {value!r}", post(b"Content-Length: %b\r\n" % value, b"body" + EVIL)) for value in LENGTHS],
    Hostile("CL with a space before the colon", post(b"Content-Length : 4\r\n", b"body")),
    Hostile("CL with a tab before the colon", post(b"Content-Length\t: 4\r\n", b"body")),
    Hostile("CL with NUL in its name", post(b"Content-Length\x00: 4\r\n", b"body")),
    Hostile("CL folded", post(b"X: y\r\n Content-Length: 4\r\n", b"body")),
    Hostile("TE in HTTP/1.0", get(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0") + LAST),
    Hostile("TE in HTTP/1.0 with CL", get(b"Transfer-Encoding: chunked\r\n" + counted(EVIL), b"POST / HTTP/1.0")),
    Hostile("a body of no length", post(b"", b"body=1"), (200, 400)),
    Hostile("a body of no length that is a request", post(b"", EVIL.replace(b"evil", b"second")), (200, 200, 200)),
    Hostile("a length of nought and a body", post(b"Content-Length: 0\r\n", b"x=1"), (200, 400)),
    Hostile("underscored TE", post(counted(LAST + EVIL) + b"Transfer_Encoding: chunked\r\n", LAST + EVIL), PASSED),
    Hostile("underscored CL", post(counted(EVIL) + b"Content_Length: 0\r\n", EVIL), PASSED),
    Hostile(
        "underscored CL with TE",
        post(b"Content_Length: 4\r\nTransfer-Encoding: chunked\r\n", chunk(EVIL) + LAST),
        PASSED,
    ),
    Hostile("CL with zeros before", post(b"Content-Length: 00%d\r\n" % len(EVIL), EVIL), PASSED),
    Hostile("CL with tabs about", post(b"Content-Length:\t %d \t\r\n" % len(EVIL), EVIL), PASSED),
    Hostile("Content-Encoding", post(counted(LAST + EVIL) + b"Content-Encoding: chunked\r\n", LAST + EVIL), PASSED),
    *[
        Hostile(f"{method.decode()} with a body", get(counted(EVIL), method + b" /m HTTP/1.1") + EVIL, PASSED)
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"PUT", b"FOO")
    ],
    Hostile("HEAD in chunks", get(b"Transfer-Encoding: chunked\r\n", b"HEAD /m HTTP/1.1") + chunk(EVIL) + LAST, PASSED),
    Hostile(
        "HTTP/1.0 that would go on",
        get(counted(EVIL) + b"Connection: keep-alive\r\n", b"POST / HTTP/1.0") + EVIL,
        PASSED,
    ),
    Hostile("HTTP/1.0 that does not", get(counted(EVIL), b"POST / HTTP/1.0") + EVIL, (200,)),
]


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


SIZES = [
    b"", b" ", b"g", b"0x4", b"+4", b"-4", b"-0", b"4 ", b" 4", b"\t4", b"4\t;a", b"4_0", b"4.", b"\xd9\xa4", b"4\x00",
    b"4\x0b", b"4;\x00", b"4;a=\x7f", b"4;a\rb", b"4\r", b"1" * 17, b"f" * 16, b"ffffffffffffffff4", b"0" * 40 + b"4",
    b"4;" + b"a" * 4000, b"4,4", b"4 4", b"4:4", b'4;a="\nGET /evil HTTP/1.1"',
]  # fmt: skip

CUTS = [
    b"4\nbody\n0\n\n", b"4\r\nbody\n0\r\n\r\n", b"4\r\nbody\r0\r\n\r\n", b"4\r\nbody0\r\n\r\n",
    b"4\r\nbod\r\n0\r\n\r\n", b"4\r\nbodyX\r\n0\r\n\r\n", b"4\r\nbody\r\n0\n\r\n", b"0\n\n", b"0\n\r\n", b"0\r\n\n",
    b"0\r\r\n\r\n", b"0\r\n\r\r\n", b"4\r\nbody\r\n\r\n0\r\n\r\n", b"\r\n4\r\nbody\r\n0\r\n\r\n",
    b"4\rbody\r\n0\r\n\r\n", b"0\r\n folded: x\r\n\r\n", b"0\r\nA: b\r\n c\r\n\r\n", b"0\r\nA: b\nC: d\r\n\r\n",
    b"0\r\nA : b\r\n\r\n", b"0\r\n: b\r\n\r\n", b"0\r\nA: \x00\r\n\r\n", b"0\r\nno colon\r\n\r\n", b"0\r\n",
    b"0\r\nA: " + b"a" * 9000 + b"\r\n\r\n", b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n", b"0\r\nA: b\r\r\n\r\n",
    b"0\r\n\x00\r\n\r\n",
]  # fmt: skip

FINE = [
    b"0;a=b\r\n\r\n", b"000\r\n\r\n", b"4;\r\nbody\r\n" + LAST, b'4;a="\xe9 ;\t"\r\nbody\r\n' + LAST,
    b"1\r\n\r\r\n1\r\n\n\r\n" + LAST, b"5\r\n0\r\n\r\n\r\n" + LAST, chunk(LAST + EVIL) + LAST,
    b"0\r\nContent-Length: 50\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\n",
    b"4;" + b"a" * 1000 + b"\r\nbody\r\n" + LAST, b"0\r\n" + b"A: b\r\n" * 200 + b"\r\n",
]  # fmt: skip

CHUNKS = [
    *[Hostile(f"chunk size {size!r}", chunks(size + b"\r\nbody\r\n" + LAST + EVIL)) for size in SIZES],
    *[Hostile(f"chunks {body!r}", chunks(body + EVIL)) for body in CUTS],
    *[Hostile(f"fine chunks {body!r}", chunks(body), PASSED) for body in FINE],
]
