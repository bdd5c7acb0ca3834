"""The proxies that are measured: each is told the same, and counts what it serves."""
