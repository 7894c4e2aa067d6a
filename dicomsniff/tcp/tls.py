"""What a TLS connection shows without its secrets: the handshake, alerts, lengths.

Records and handshake messages are read as far as they are in clear: in TLS 1.3 the two Hellos, in
TLS 1.2 and below certificates as well. Nothing is decrypted here (what a source decrypted is taken
with :meth:`Handshake.revealed`) and nothing verified. No bytes make this raise.

RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 6066 (server name).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Final, NamedTuple

from dicomsniff.model import Certificate, Revealed, Tls, TlsAlert
from dicomsniff.tcp import x509
from dicomsniff.tcp.tls_names import ALERTS, CIPHERS

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
"""Content types (RFC 8446 5.1)."""

RECORD_LIMIT: Final = (1 << 14) + 2048
"""Longest record (RFC 5246 6.2.3)."""

HANDSHAKE_LIMIT: Final = 128 * 1024
"""Bytes of handshake messages that are held for one side until they are whole. A chain of ten
certificates has 20 KB."""

CERTIFICATES_LIMIT: Final = 10
"""Certificates of a chain that are read."""

EVENTS_LIMIT: Final = 64
"""Messages told of one connection."""

_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE, _CERTIFICATE_REQUEST = 1, 2, 11, 13
_SERVER_NAME, _SUPPORTED_VERSIONS, _PRE_SHARED_KEY = 0, 43, 41

_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446 4.1.3)."""

_ALERT_IN_CLEAR: Final = 2
"""Bytes of an alert in clear: level and description. Encrypted ones are longer."""


class Event(NamedTuple):
    """A message of the handshake, or an alert, as a row for people."""

    side: int
    frame: int
    time: int
    length: int
    text: str


def version_name(number: int) -> str:
    """``TLS 1.2`` for 0303H; a number that has no name as it is."""
    names = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2"}
    return names.get(number, "TLS 1.3" if number == 0x0304 else f"0x{number:04X}")


def cipher_name(number: int) -> str:
    """The registered name of a cipher suite."""
    return CIPHERS.get(number, f"0x{number:04X}")


class Handshake:
    """Reads both directions of one connection; side 0 opened it."""

    def __init__(self, client: int) -> None:
        """``client``: the side that sent the ClientHello."""
        self.tls = Tls()
        self.events: list[Event] = []
        self.last_data: list[tuple[int, int]] = [(0, 0), (0, 0)]
        """Frame and time of the latest application data of each side."""
        self._client = client
        self._buffers = [b"", b""]
        self._skip = [0, 0]
        """Bytes of a record that are passed over."""
        self._lost = [False, False]
        self._encrypted = [False, False]
        self._messages = [b"", b""]
        self._server_key_seen = False
        self._retry = False
        """The server asked for another ClientHello (RFC 8446 4.1.4)."""

    @property
    def over(self) -> bool:
        """Whether all that follows is encrypted."""
        if self.tls.version == "TLS 1.3":
            return not self._retry
        return self._encrypted[1 - self._client]

    def feed(self, side: int, data: bytes, frame: int, time: int) -> None:
        """The next bytes of a side."""
        if self._lost[side]:
            return
        skip = self._skip[side]
        if skip:
            if skip >= len(data):
                self._skip[side] = skip - len(data)
                return
            self._skip[side] = 0
            data = data[skip:]
        data = self._buffers[side] + data
        at = 0
        while len(data) - at >= 5:
            kind = data[at]
            length = data[at + 3] << 8 | data[at + 4]
            if not 20 <= kind <= 24 or data[at + 1] != 3 or length > RECORD_LIMIT:
                self._lost[side] = True
                self._buffers[side] = b""
                return
            if kind == APPLICATION_DATA or self._encrypted[side]:
                if kind == APPLICATION_DATA:
                    tls = self.tls
                    tls.bytes[side != self._client] += length
                    if side != self._client and tls.bytes[0]:
                        tls.answered += length
                    self.last_data[side] = frame, time
                at += 5 + length
                if at > len(data):
                    self._skip[side] = at - len(data)
                    self._buffers[side] = b""
                    return
                continue
            if len(data) - at < 5 + length:
                break
            self._record(side, kind, data[at + 5 : at + 5 + length], frame, time)
            at += 5 + length
        self._buffers[side] = data[at:]

    def revealed(self, side: int, what: Revealed, frame: int, time: int) -> None:
        """What TLS 1.3 encrypts of the handshake, and alerts, decrypted."""
        tls = self.tls
        if what.asks and side != self._client:
            tls.client_asked = True
            self._event(side, frame, time, 0, "CertificateRequest")
        if what.certificates:
            self._chain(side, _chain(what.certificates), frame, time, sum(map(len, what[1])))
        for level, code in what.alerts:
            self._alert(side, bytes((level & 0xFF, code & 0xFF)), frame, time)

    def gap(self, side: int, length: int) -> None:
        """Bytes that the capture does not hold."""
        if self._skip[side] >= length:
            self._skip[side] -= length
        else:
            self._lost[side] = True
            self._buffers[side] = b""

    # ------------------------------------------------------------ records

    def _record(self, side: int, kind: int, data: bytes, frame: int, time: int) -> None:
        if kind == ALERT:
            if len(data) == _ALERT_IN_CLEAR:
                self._alert(side, data, frame, time)
        elif kind == CHANGE_CIPHER_SPEC:
            tls = self.tls
            if tls.version != "TLS 1.3":
                # What this side sends from here on is encrypted. In TLS 1.3 the message means
                # nothing and what is encrypted says so (RFC 8446 D.4).
                self._encrypted[side] = True
                if side != self._client and tls.version is not None:
                    tls.resumed = not tls.server_certificates and not self._server_key_seen
                    if tls.client_asked is None and not tls.resumed:
                        tls.client_asked = False
        elif kind == HANDSHAKE:
            held = self._messages[side] + data
            if len(held) > HANDSHAKE_LIMIT:
                self._lost[side] = True
                return
            at = 0
            while len(held) - at >= 4:
                end = at + 4 + int.from_bytes(held[at + 1 : at + 4], "big")
                if end > len(held):
                    break
                self._message(side, held[at], held[at + 4 : end], frame, time)
                at = end
            self._messages[side] = held[at:]

    def _alert(self, side: int, data: bytes, frame: int, time: int) -> None:
        level, code = data
        meaning = ALERTS.get(code, f"alert {code}")
        if len(self.tls.alerts) < EVENTS_LIMIT:
            self.tls.alerts.append(
                TlsAlert(int(side != self._client), level == 2, code, meaning, frame, time)
            )
        self._event(
            side, frame, time, 7, f"Alert: {'fatal' if level == 2 else 'warning'}, {meaning}"
        )

    def _event(self, side: int, frame: int, time: int, length: int, text: str) -> None:
        if len(self.events) < EVENTS_LIMIT:
            self.events.append(Event(side, frame, time, length, text))

    # ------------------------------------------------------------ handshake messages

    def _message(self, side: int, kind: int, data: bytes, frame: int, time: int) -> None:
        tls = self.tls
        length = len(data) + 4
        if kind == _CLIENT_HELLO and side == self._client:
            self._client_hello(data)
            offered = ", ".join(tls.offered_versions) or "no version that can be read"
            # No names here or below: rows are shown where hosts and people are masked.
            text = f"ClientHello: {offered}; {tls.offered_ciphers} cipher suites"
            self._event(side, frame, time, length, text)
        elif kind == _SERVER_HELLO and side != self._client:
            retry = data[2:34] == _RETRY
            self._server_hello(data, retry=retry)
            what = "HelloRetryRequest" if retry else "ServerHello"
            self._event(side, frame, time, length, f"{what}: {tls.version}, {tls.cipher}")
        elif kind == _CERTIFICATE:
            self._chain(side, _certificates(data), frame, time, length)
        elif kind == _CERTIFICATE_REQUEST and side != self._client:
            tls.client_asked = True
            self._event(side, frame, time, length, "CertificateRequest")
        elif kind == 12:  # ServerKeyExchange: of suites without a certificate too
            self._server_key_seen = True

    def _chain(
        self, side: int, found: tuple[Certificate, ...], frame: int, time: int, length: int
    ) -> None:
        """A side showed its certificates."""
        if side == self._client:
            self.tls.client_certificates = found
        else:
            self.tls.server_certificates = found
        self._event(side, frame, time, length, f"Certificate: {_told(found)}")

    def _client_hello(self, data: bytes) -> None:
        tls = self.tls
        reader = _Reader(data)
        version = reader.number(2)
        reader.take(32)
        reader.block(1)
        tls.offered_ciphers = len(reader.block(2)) // 2
        reader.block(1)
        versions = [version]
        for kind, content in reader.extensions():
            if kind == _SERVER_NAME:
                names = _Reader(_Reader(content).block(2))
                if names.number(1) == 0:
                    tls.server_name = names.block(2).decode("ascii", "backslashreplace") or None
            elif kind == _SUPPORTED_VERSIONS:
                listed = _Reader(content).block(1)
                versions = [
                    listed[at] << 8 | listed[at + 1]
                    for at in range(0, len(listed) - 1, 2)
                    # 0A0AH, 1A1AH… are there to keep servers from being picky (RFC 8701).
                    if listed[at] != listed[at + 1] or listed[at] & 15 != 10
                ]
        tls.offered_versions = tuple(version_name(v) for v in sorted(set(versions), reverse=True))

    def _server_hello(self, data: bytes, *, retry: bool) -> None:
        tls = self.tls
        reader = _Reader(data)
        version = reader.number(2)
        reader.take(32)
        reader.block(1)
        cipher = reader.number(2)
        reader.take(1)
        shared = False
        for kind, content in reader.extensions():
            if kind == _SUPPORTED_VERSIONS and len(content) == 2:
                version = content[0] << 8 | content[1]
            elif kind == _PRE_SHARED_KEY:
                shared = True
        if reader.short:
            return
        tls.version = version_name(version)
        tls.cipher = cipher_name(cipher)
        self._retry = retry
        if version >= 0x0304 and not retry:
            tls.resumed = shared


def _told(chain: tuple[Certificate, ...]) -> str:
    """How many certificates, and until when the first of them is valid."""
    if not chain:
        return "none"
    number = "one" if len(chain) == 1 else f"a chain of {len(chain)}"
    until = chain[0].not_after
    if until is None:
        return number
    return f"{number}, valid until {datetime.fromtimestamp(until // 1_000_000_000, UTC):%Y-%m-%d}"


def _certificates(data: bytes) -> tuple[Certificate, ...]:
    """The chain in a Certificate message of TLS 1.2 (RFC 5246 7.4.2)."""
    listed = _Reader(_Reader(data).block(3))
    found: list[bytes] = []
    while listed.left and len(found) < CERTIFICATES_LIMIT:
        found.append(listed.block(3))
    return _chain(found)


def _chain(encoded: Iterable[bytes]) -> tuple[Certificate, ...]:
    """Certificates, as far as they can be read."""
    found: list[Certificate] = []
    for each in islice(encoded, CERTIFICATES_LIMIT):
        read = x509.read(each)
        if read is None:
            break
        found.append(read)
    return tuple(found)


class _Reader:
    """A cursor that gives what is there, and remembers that something was not."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.short = False

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            self.short = True
            size = self.left
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> bytes:
        """Bytes behind their length, which takes ``size`` bytes."""
        return self.take(self.number(size))

    def extensions(self) -> list[tuple[int, bytes]]:
        if not self.left:
            return []
        listed = _Reader(self.block(2))
        found: list[tuple[int, bytes]] = []
        while listed.left >= 4:
            found.append((listed.number(2), listed.block(2)))
        return found
