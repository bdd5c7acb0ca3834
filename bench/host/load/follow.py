"""`follow PLACE PATH TOKEN ACCEPT SIGN COUNT`: follow a log for so many lines: how old each was when it was here.

Says `ready` when the log is followed, which SIGN in it tells if it is not empty. Then `done`, the number of lines, and
the median, the 99th percentile and the most of their ages in milliseconds.
"""

import re
import sys
import time

from bench.host.load.reading import get

STAMP = re.compile(rb"@(\d+) #(\d+) ")


def main(place: str, path: str, token: str, accept: str, sign: bytes, count: int) -> None:
    ages: list[int] = []
    rest = b""
    with get(place, path, token, accept, sign) as answer:
        print("ready", flush=True)
        while len(ages) < count and (data := answer.recv(1 << 18)):
            now = time.monotonic_ns()
            data = rest + data
            end = 0
            for found in STAMP.finditer(data):
                ages.append(now - int(found[1]))
                end = found.end()
            rest = data[max(end, len(data) - 60) :]
    ages.sort()
    shown = [ages[len(ages) // 2], ages[len(ages) * 99 // 100], ages[-1]] if ages else [0, 0, 0]
    print("done", len(ages), *(f"{age / 1e6:.3f}" for age in shown), flush=True)


if __name__ == "__main__":
    place, path, token, accept, sign, count = sys.argv[1:]
    main(place, path, token, accept, sign.encode(), int(count))
