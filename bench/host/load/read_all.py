"""`read_all PLACE PATH TOKEN ACCEPT MARK`: read an answer to its end, and count the lines that begin with MARK.

Prints how many, and the seconds from the question to the end.
"""

import sys
import time

from bench.host.load.reading import get

END = b"0\r\n\r\n"


def main(place: str, path: str, token: str, accept: str, mark: bytes) -> None:
    begun = time.perf_counter()
    buffer, rest, count = bytearray(1 << 20), b"", 0
    with get(place, path, token, accept) as answer:
        while size := answer.recv_into(buffer):
            data = rest + buffer[:size]
            count += data.count(mark)
            rest = bytes(data[-len(mark) + 1 :]) if len(mark) > 1 else b""
            if data.endswith(END):
                break
    print(count, time.perf_counter() - begun)


if __name__ == "__main__":
    place, path, token, accept, mark = sys.argv[1:]
    main(place, path, token, accept, mark.encode())
