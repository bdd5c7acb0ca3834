"""Addresses with a name and a password in them, as whoever looks on may see them. Pure."""

import re
from collections.abc import Sequence

SECRET = re.compile(r"^(https?://)[^/@\s]*@")


def mask(address: str) -> str:
    """`https://***@HOST/PATH`, where there was a name, and maybe a password, before the host's."""
    return SECRET.sub(r"\1***@", address)


def unmasked(addresses: Sequence[str], old: Sequence[str]) -> list[str]:
    """Each as it is, or as the one of `old` that is shown like this: each of those once, in their order."""
    left = [address for address in old if address not in addresses]
    found = []
    for address in addresses:
        meant = next((each for each in left if mask(each) == address), address) if address not in old else address
        if meant in left:
            left.remove(meant)
        found.append(meant)
    return found
