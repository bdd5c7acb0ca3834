"""`idle_clients PORT HOST COUNT`: connections that each get one answer, one after the other, and then only stay.

It says `ready` on standard output once they are there, and goes with its standard input. Exit code 1: one was refused.
"""

import socket
import sys


def main(port: int, host: str, count: int) -> int:
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    open_ones = []
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(request)
        if not client.recv(4096).startswith(b"HTTP/1.1 200"):
            print(f"number {number} was not answered", flush=True)
            return 1
        open_ones.append(client)
    print("ready", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
