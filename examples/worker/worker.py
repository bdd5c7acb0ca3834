"""A process without a port: it watches the machine it runs on and says in its log how that one fares."""

import os
import signal
import threading

import psutil

EVERY = float(os.environ.get("EVERY", "5"))


def report() -> str:
    memory = psutil.virtual_memory()
    return (
        f"load {psutil.getloadavg()[0]:.2f} on {psutil.cpu_count()} cores, "
        f"memory {memory.percent:.0f}% of {memory.total / 2**30:.1f} GiB, {len(psutil.pids())} processes in sight"
    )


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"watching, every {EVERY:g} s", flush=True)
    count = 0
    while not stop.is_set():
        count += 1
        print(f"{count}: {report()}", flush=True)
        stop.wait(EVERY)
    print(f"done after {count} looks", flush=True)


if __name__ == "__main__":
    main()
