"""Recorded sessions put into TLS: what they say is the oracle for what is decrypted.

Python's ssl module speaks for both sides, in memory; the records take the place of the payloads
that were recorded.
"""

from __future__ import annotations

import ctypes
import ssl
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.rewrite import ACK, FIN, RST, SYN, Packet
from tests.support import missing, require

HOST = "pacs.invented.example"


def certificate(folder: Path, name: str = HOST) -> Path:
    """A certificate and its RSA key, in one file, made for the occasion."""
    made = folder / f"{name}.pem"
    if not made.exists():
        key, public = folder / f"{name}.key", folder / f"{name}.crt"
        subprocess.run(
            [
                *(require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
                *("-days", "2", "-subj", f"/C=XX/O=Invented Hospital/CN={name}"),
                *("-addext", f"subjectAltName=DNS:{name},IP:192.0.2.1"),
                *("-keyout", key, "-out", public),
            ],
            check=True,
            capture_output=True,
        )
        made.write_bytes(key.read_bytes() + public.read_bytes())
    return made


@dataclass
class Setting:
    """How the two sides speak TLS."""

    folder: Path
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str | None = None
    mutual: bool = False
    resume: bool = False
    """Every connection but the first takes up the session of the one before."""
    key_update: bool = False
    """New keys before every fourth payload, from both sides."""
    size: int | None = None
    """Bytes a segment carries at most."""
    keylog: Path = field(init=False)

    def __post_init__(self) -> None:
        pem = certificate(self.folder)
        self.keylog = self.folder / "keys.txt"
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(pem)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.load_verify_locations(pem)
        if self.mutual:
            self.client.load_cert_chain(pem)
            self.server.load_verify_locations(pem)
            self.server.verify_mode = ssl.CERT_REQUIRED
        for context in (self.server, self.client):
            context.minimum_version = context.maximum_version = self.version
            if self.ciphers:
                context.set_ciphers(self.ciphers)
        self.client.keylog_filename = str(self.keylog)
        self.session: ssl.SSLSession | None = None

    def encrypt(self, packets: Iterable[Packet]) -> list[Packet]:
        """The packets, with every connection's payload inside of TLS."""
        connections: dict[frozenset[tuple[bytes, int]], _Connection] = {}
        out: list[Packet] = []
        for packet in packets:
            known = connections.get(packet.flow)
            if packet.flags & SYN and not packet.flags & ACK:
                known = None
            if known is None:
                known = connections[packet.flow] = _Connection(self, packet)
            out += known.packet(packet)
        return out


class _Connection:
    """One connection; side 0 opens it."""

    def __init__(self, setting: Setting, first: Packet) -> None:
        self._setting = setting
        self._client = first.source, first.sport
        self._into = [ssl.MemoryBIO(), ssl.MemoryBIO()]
        self._out = [ssl.MemoryBIO(), ssl.MemoryBIO()]
        self._sides = [
            setting.client.wrap_bio(
                self._into[0],
                self._out[0],
                server_hostname=HOST,
                session=setting.session if setting.resume else None,
            ),
            setting.server.wrap_bio(self._into[1], self._out[1], server_side=True),
        ]
        self._next = [0, 0]
        """Sequence numbers of the bytes to come."""
        self._shaken = False
        self._said = 0

    def packet(self, packet: Packet) -> list[Packet]:
        """What takes the place of a recorded packet."""
        side = int((packet.source, packet.sport) != self._client)
        if packet.flags & SYN:
            self._next[side] = (packet.seq + 1) & 0xFFFFFFFF
            return [packet]
        out: list[Packet] = []
        if packet.payload:
            if not self._shaken:
                out += self._shake(packet, side)
            self._said += 1
            if self._setting.key_update and not self._said % 4:
                for each in self._sides:
                    _update_keys(each)
            self._sides[side].write(packet.payload)
            out += self._sent(packet, side, side)
            self._read(1 - side)
            self._read(side)
            if self._setting.resume and self._said > 1:
                self._setting.session = self._sides[0].session
        if packet.flags & FIN and self._shaken:
            try:
                self._sides[side].unwrap()
            except ssl.SSLError:
                pass  # it wants to hear the other side's farewell
            out += self._sent(packet, side, side)
        if packet.flags & (FIN | RST) or not packet.payload:
            out.append(packet._replace(seq=self._next[side], ack=self._next[1 - side], payload=b""))
        if packet.flags & FIN:
            self._next[side] = (self._next[side] + 1) & 0xFFFFFFFF
        return out

    @property
    def resumed(self) -> bool | None:
        """Whether an earlier session was taken up."""
        return self._sides[0].session_reused

    def _shake(self, like: Packet, side: int) -> list[Packet]:
        out: list[Packet] = []
        done = [False, False]
        for _ in range(8):
            for each in (0, 1):
                if not done[each]:
                    try:
                        self._sides[each].do_handshake()
                        done[each] = True
                    except ssl.SSLWantReadError:
                        pass
                out += self._sent(like, side, each)
        assert done == [True, True], "no handshake"
        self._read(0)
        self._shaken = True
        return out

    def _read(self, side: int) -> None:
        try:
            while self._sides[side].read(1 << 16):
                pass
        except ssl.SSLError:
            pass  # nothing more to read, or the end

    def _sent(self, like: Packet, like_side: int, side: int) -> list[Packet]:
        """What ``side`` has to send, as segments on the way of ``like`` or the way back."""
        data = self._out[side].read()
        self._into[1 - side].write(data)
        if side != like_side:
            like = like._replace(
                source=like.destination,
                destination=like.source,
                sport=like.dport,
                dport=like.sport,
            )
        out = []
        size = self._setting.size or max(len(data), 1)
        for at in range(0, len(data), size):
            payload = data[at : at + size]
            out.append(
                like._replace(
                    seq=self._next[side],
                    ack=self._next[1 - side],
                    flags=ACK,
                    payload=payload,
                )
            )
            self._next[side] = (self._next[side] + len(payload)) & 0xFFFFFFFF
        return out


def _update_keys(side: ssl.SSLObject) -> None:
    """Have this side send a KeyUpdate before what comes next (RFC 8446 4.6.3).

    Python does not offer it: the SSL structure is the second pointer of its own object.
    """
    import _ssl

    try:
        library = ctypes.CDLL(_ssl.__file__)
        update = library.SSL_key_update
    except (AttributeError, OSError):
        missing("OpenSSL's SSL_key_update cannot be reached from here")
    update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    pointer = ctypes.c_void_p.from_address(id(side._sslobj) + object.__basicsize__ + 8)
    assert update(pointer, 0) == 1, "OpenSSL does not update its keys"
