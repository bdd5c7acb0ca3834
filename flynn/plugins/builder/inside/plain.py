"""What `re`, `json` and `signal` would do here, as far as it is plain: to load them takes longer than most builds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Strict:
    """How JSON is read, as `json.JSONDecoder` has it."""

    strict = True
    object_hook = object_pairs_hook = parse_constant = None
    parse_float, parse_int = float, int


def is_dashed(text: str) -> bool:
    """Whether it is one or more words of small letters and digits, with a dash between each two."""
    return text.isascii() and text == text.lower() and all(part.isalnum() for part in text.split("-"))


def is_variable(name: str) -> bool:
    """Whether a shell takes it for the name of a variable."""
    return name.isascii() and name.isidentifier()


def loads(text: str) -> Any:
    """What JSON says that flynn has written. ValueError: it is none."""
    try:
        from _json import make_scanner

        found, end = make_scanner(_Strict)(text, 0)  # type: ignore[arg-type]
        if end == len(text):
            return found
    except (ImportError, StopIteration, TypeError, AttributeError, SystemError):
        pass  # Another Python, or it is not that plain: the error is of a module that is not loaded, then.
    import json

    return json.loads(text)


def dumps(value: Any) -> str:
    """The same as JSON."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{dumps(key)}: {dumps(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumps, value)) + "]"
    if isinstance(value, str):
        try:
            from _json import encode_basestring_ascii

            return str(encode_basestring_ascii(value))
        except ImportError:
            pass
    import json

    return json.dumps(value)
