"""JSON on one line, safe to print on any terminal."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Final

_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters that JSON lets pass, and characters that reorder or hide text. They only ever
stand inside of strings, so a ``\\u`` escape can take their place anywhere."""

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(", ", ": "), allow_nan=False, check_circular=False
).encode
_encode_compact: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    # A lone surrogate is half a character: no UTF-8 can hold it, and no reader wants it.
    return "\\ufffd" if 0xD800 <= code < 0xE000 else f"\\u{code:04x}"


quoted: Final = encode_basestring
"""A text as JSON has it, not yet :func:`safe`."""


def safe(told: str) -> str:
    """JSON with what must not reach a terminal written as an escape."""
    if not told.isascii() or "\x7f" in told:
        return _UNSAFE.sub(_escape, told)
    return told


def line(value: object, compact: bool = False) -> str:
    """A JSON value on one line, safe to print on any terminal."""
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    return safe(_encode_compact(value) if compact else _encode(value))


def text(value: object, *, compact: bool = False) -> bytes:
    """The same as UTF-8."""
    return line(value, compact).encode()
