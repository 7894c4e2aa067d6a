"""The few fields of an X.509 certificate that tell whose it is and until when (RFC 5280 4.1).

Nothing is verified. What cannot be read is left out; no bytes make this raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, NamedTuple

from dicomsniff.model import Certificate

TEXT_LIMIT: Final = 256
"""Characters kept of a name: RFC 5280 allows none of its parts more than 128."""

NAMES_LIMIT: Final = 16
"""Alternative names kept; certificates of whole server farms have hundreds."""

_SEQUENCE, _SET, _OID, _UTC_TIME, _TIME = 0x30, 0x31, 0x06, 0x17, 0x18
_BMP_STRING, _TELETEX_STRING = 0x1E, 0x14

_ATTRIBUTES: Final = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("0992268993f22c640119"): "DC",
    bytes.fromhex("2a864886f70d010901"): "emailAddress",
}
"""Short names of RFC 4514 3, and of what OpenSSL prints beyond them."""

_ALTERNATIVE_NAMES: Final = bytes.fromhex("551d11")


class _Item(NamedTuple):
    """A value in DER: tag and content."""

    tag: int
    data: bytes


def _items(data: bytes) -> Iterator[_Item]:
    """The values that stand one after the other in ``data``, as far as they are whole."""
    at = 0
    while at + 2 <= len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            if not 0 < size <= 4 or at + size > len(data):
                return
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            return
        yield _Item(tag, data[at : at + length])
        at += length


def read(data: bytes) -> Certificate | None:
    """A certificate in DER; None where it is none."""
    outer = next(_items(data), None)
    if outer is None or outer.tag != _SEQUENCE:
        return None
    signed = next(_items(outer.data), None)
    if signed is None or signed.tag != _SEQUENCE:
        return None
    fields = list(_items(signed.data))
    if fields and fields[0].tag == 0xA0:  # version; absent in version 1
        del fields[0]
    if len(fields) < 5:
        return None
    _serial, _algorithm, issuer, validity, subject = fields[:5]
    times = [_time(each) for each in _items(validity.data)]
    names: tuple[str, ...] = ()
    for field in fields[5:]:
        if field.tag == 0xA3:
            names = _alternative_names(field.data)
    return Certificate(
        _name(subject.data),
        _name(issuer.data),
        times[0] if times else None,
        times[1] if len(times) > 1 else None,
        names,
    )


def _name(data: bytes) -> str:
    """A distinguished name as RFC 4514 writes it: the most particular part first."""
    parts = []
    for relative in _items(data):
        together = []
        for attribute in _items(relative.data):
            items = list(_items(attribute.data))
            if len(items) != 2 or items[0].tag != _OID:
                continue
            kind = _ATTRIBUTES.get(items[0].data, f"OID.{items[0].data.hex()}")
            together.append(f"{kind}={_text(items[1])}")
        if together:
            parts.append("+".join(together))
    return ", ".join(reversed(parts))[:TEXT_LIMIT]


def _text(item: _Item) -> str:
    if item.tag == _BMP_STRING:
        text = item.data.decode("utf-16-be", "replace")
    elif item.tag == _TELETEX_STRING:
        text = item.data.decode("latin-1")
    else:
        text = item.data.decode("utf-8", "replace")
    return "".join(f"\\{c}" if c in ',+"\\<>;' else c for c in text)


def _time(item: _Item) -> int | None:
    """Nanoseconds since the epoch (RFC 5280 4.1.2.5)."""
    text = item.data.decode("ascii", "replace")
    if item.tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif item.tag != _TIME:
        return None
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000


def _alternative_names(data: bytes) -> tuple[str, ...]:
    """DNS names and addresses of the extension subjectAltName (RFC 5280 4.2.1.6)."""
    found: list[str] = []
    for extensions in _items(data):
        for extension in _items(extensions.data):
            items = list(_items(extension.data))
            if len(items) < 2 or items[0] != _Item(_OID, _ALTERNATIVE_NAMES):
                continue
            for names in _items(items[-1].data):
                for name in _items(names.data):
                    if name.tag == 0x82:
                        found.append(name.data.decode("ascii", "replace")[:TEXT_LIMIT])
                    elif name.tag == 0x87 and len(name.data) in (4, 16):
                        found.append(str(ip_address(name.data)))
    return tuple(found[:NAMES_LIMIT])
