"""What was said inside of TLS, as tshark decrypts it.

tshark writes either raw frames or fields, never both, so the plaintext takes a process of its own
beside the one that replays the frames. TLS is recognised by its ClientHello, on whatever port, and
what is inside is told to be plain data: the field ``data.data`` is then the content of each record,
in the order of the stream, at the frame in which the record ended. The handshake messages and
alerts that TLS 1.3 encrypts come along.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from struct import Struct
from typing import IO, Final, NamedTuple

from dicomsniff.model import Decrypted, Frame, Plaintext, Revealed
from dicomsniff.sources import SourceError
from dicomsniff.sources.blocks import DECRYPTION_SECRETS, PACKETS, SECTION_HEADER, endian_of
from dicomsniff.sources.stream import CHUNK, GZIP_MAGIC, Descriptor

BLOCKS_LIMIT: Final = 4096
"""Blocks looked at in front of the first packet: section, interfaces, names, secrets."""

APPLICATION_DATA: Final = "23"
"""Content type of TLS records that hold what is meant for the application (RFC 8446 5.1)."""

CLIENT_HELLO: Final = "1"
ENCRYPTED_MESSAGES: Final = frozenset(("4", "8", "11", "13", "15", "20", "24"))
"""Handshake messages that TLS 1.3 encrypts; seeing one means that it was decrypted."""

CERTIFICATE_REQUEST: Final = "13"

FIELDS: Final = (
    "frame.number",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tls.record.content_type",
    "tls.record.opaque_type",
    "tls.handshake.type",
    "tls.handshake.certificate",
    "tls.alert_message.level",
    "tls.alert_message.desc",
    "data.data",
)

PREFERENCES: Final = {
    # A record is what was handed to TLS at once; nobody is to put several together.
    "tls.desegment_ssl_application_data": "FALSE",
    "tcp.reassemble_out_of_order": "TRUE",
    # A ClientHello is looked for on ports that mean something else to tshark, too.
    "tcp.try_heuristic_first": "TRUE",
}

DISSECTION: Final = (
    # 104 is DICOM to tshark, whatever is said there.
    *("--disable-protocol", "dicom"),
    # What is inside of TLS is ours to decode.
    *("-d", "tls.port==1-65535,data"),
)


class Secrets(NamedTuple):
    """What decrypts TLS."""

    keylog: str | None = None
    """A file in the SSLKEYLOGFILE format."""
    keys: tuple[str, ...] = ()
    """Files of RSA private keys (PEM, or PKCS #12 without a passcode)."""
    embedded: bool = False
    """The capture brings secrets of its own along, which tshark finds by itself."""

    def __bool__(self) -> bool:
        return self.keylog is not None or bool(self.keys) or self.embedded

    @property
    def preferences(self) -> dict[str, str]:
        """The same as preferences of tshark's."""
        told = {}
        if self.keylog is not None:
            told["tls.keylog_file"] = os.path.abspath(self.keylog)
        return told

    @property
    def arguments(self) -> list[str]:
        """What has to be said in tshark's arguments: a preference that may occur repeatedly."""
        return [
            word
            for key in self.keys
            for word in ("-o", f'uat:rsa_keys:"{_quoted(os.path.abspath(key))}",""')
        ]

    @property
    def given(self) -> bool:
        """Whether the user asked for it, rather than the capture."""
        return self.keylog is not None or bool(self.keys)

    @property
    def missing(self) -> str:
        """Why something was not decrypted, in words."""
        if self.keys and self.keylog is None:
            return (
                "a private key serves for RSA key exchange alone (TLS 1.2 and below, no resumed "
                "session); for all else have one side write a key log, and name it with --keylog"
            )
        return (
            f"the secrets are not in {self.told}, or the handshake was not captured whole and in "
            "order"
        )

    @property
    def told(self) -> str:
        """What the user gave, in words."""
        if self.keylog is not None:
            return "the key log"
        return "the private key" if self.keys else "the capture's decryption secrets"


def _quoted(text: str) -> str:
    """Text inside of quotes in a record of tshark's tables."""
    return text.replace("\\", "\\\\").replace('"', "\\x22")


def check_secrets(keylog: str | None, keys: Iterable[str]) -> None:
    """Raise ``SourceError`` where one of the files cannot be read."""
    if keylog is not None:
        check_readable(keylog, KEY_LOG)
    for key in keys:
        check_readable(key, PRIVATE_KEY)


def check_readable(path: str, what: str) -> None:
    """Raise ``SourceError`` where a file of secrets cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(1 << 12)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SourceError(f"{path}: {what} cannot be read: {reason}") from None
    if what == PRIVATE_KEY and b"ENCRYPTED" in head:
        raise SourceError(
            f"{path}: the private key is protected by a passphrase; write it without one: "
            f"openssl rsa -in {path} -out key.pem"
        )
    if what == PRIVATE_KEY and b"BEGIN EC PRIVATE KEY" in head:
        raise SourceError(
            f"{path}: not an RSA key; a key of another kind decrypts nothing: use --keylog"
        )


PRIVATE_KEY: Final = "private key"
KEY_LOG: Final = "key log"


def brings_secrets(path: str) -> bool:
    """Whether a pcapng file holds a decryption secrets block in front of its first packet.

    That is where they are written, because readers need them there (pcapng 4.7).
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if not compressed:
                return _secrets_ahead(file)
            with gzip.open(file) as inflated:
                return _secrets_ahead(inflated)
    except (OSError, EOFError, ValueError, zlib.error):
        return False


def _secrets_ahead(file: IO[bytes] | gzip.GzipFile) -> bool:
    head = file.read(12)
    if len(head) < 12:
        return False
    block = Struct(endian_of(head) + "II")
    kind, length = block.unpack_from(head)
    if kind != SECTION_HEADER:
        return False
    at = 0
    for _ in range(BLOCKS_LIMIT):
        if length < 12:
            return False
        at += length + (-length & 3)
        file.seek(at)
        head = file.read(block.size)
        if len(head) < block.size:
            return False
        kind, length = block.unpack(head)
        if kind in PACKETS:
            return False
        if kind == DECRYPTION_SECRETS:
            return True
    return False


def arguments(secrets: Secrets, display_filter: str = "tls") -> list[str]:
    """tshark's arguments to write what is inside of TLS, a line for each frame that passes."""
    words = [*secrets.arguments, *DISSECTION, "-Y", display_filter, "-T", "fields"]
    words += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"]
    for field in FIELDS:
        words += ["-e", field]
    return words


OF_THE_FILE: Final = ("cut short", "corrupt", "while reading")
"""Words of complaints about a capture, which whoever reads its frames tells as well."""


class Told(NamedTuple):
    """What tshark tells of a frame."""

    number: int
    plaintexts: tuple[Plaintext, ...] = ()
    revealed: tuple[Revealed, ...] = ()

    def of(self, frame: Frame) -> Frame:
        """The frame, with what was inside of it."""
        if not self.plaintexts and not self.revealed:
            return frame
        decrypted = Decrypted(*frame)
        decrypted.plaintexts = self.plaintexts
        decrypted.revealed = self.revealed
        return decrypted


class Plaintexts:
    """Reads what a tshark run with :func:`arguments` writes."""

    def __init__(self, output: Descriptor) -> None:
        self._lines = _lines(output)
        self._sent: dict[bytes, int] = {}
        self._protected: set[frozenset[bytes]] = set()
        self._read: set[frozenset[bytes]] = set()
        self.begun = 0
        """ClientHellos."""

    def __iter__(self) -> Iterator[Told]:
        """What is told of each frame that tshark writes a line for."""
        for line in self._lines:
            told = self._told(line.split(b"\t"))
            if told is not None:
                yield told

    def join(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames, those that end records of TLS with what was in them."""
        lines = iter(self)
        told = next(lines, None)
        for frame in frames:
            while told is not None and told.number < frame.number:
                told = next(lines, None)
            if told is None or told.number > frame.number:
                yield frame
                continue
            yield told.of(frame)
            told = next(lines, None)
        for _ in lines:
            pass  # tshark does not end before somebody has read what it says

    @property
    def connections(self) -> tuple[int, int]:
        """Pairs of ends between which something was decrypted, and between which nothing was."""
        return len(self._read), len(self._protected - self._read)

    def notice(self, secrets: Secrets, complaint: str | None) -> str | None:
        """What was not decrypted and why, in words; None where nothing is amiss."""
        read, unread = self.connections
        if complaint is not None and not any(words in complaint for words in OF_THE_FILE):
            return (
                f"the tshark that decrypts ended too early, what follows is encrypted: {complaint}"
            )
        if not self.begun:
            if not secrets.given:
                return None
            return (
                "no beginning of a TLS connection in it, so there is nothing to decrypt with "
                f"{secrets.told}"
            )
        if read and not unread:
            return None
        what = f"{unread} of {read + unread} TLS connections were" if read else "TLS was"
        return f"{what} not decrypted: {secrets.missing}"

    def _told(self, fields: list[bytes]) -> Told | None:
        if len(fields) != len(FIELDS) or not fields[0].isdigit():
            return None
        number = int(fields[0])
        if b":tls" not in fields[1]:
            return Told(number)
        types, opaque, messages, certificates, levels, alerts, contents = (
            field.decode("ascii", "replace").split(",") if field else [] for field in fields[8:]
        )
        key = _key(fields)
        if key is None:
            return Told(number)
        self.begun += messages.count(CLIENT_HELLO)
        ends = frozenset(_ends(key))
        if APPLICATION_DATA in types or opaque:
            self._protected.add(ends)
        if contents or (opaque and not ENCRYPTED_MESSAGES.isdisjoint(messages)):
            self._read.add(ends)
        plaintexts = []
        for text in contents:
            try:
                data = bytes.fromhex(text)
            except ValueError:
                continue
            offset = self._sent.get(key, 0)
            self._sent[key] = offset + len(data)
            plaintexts.append(Plaintext(key, offset, data))
        # Elsewhere handshakes are in clear, and read from the segments.
        revealed = _revealed(key, messages, certificates, levels, alerts) if opaque else None
        return Told(number, tuple(plaintexts), (revealed,) if revealed is not None else ())


def _revealed(
    key: bytes, messages: list[str], certificates: list[str], levels: list[str], alerts: list[str]
) -> Revealed | None:
    """Handshake messages and alerts that were encrypted."""
    try:
        found = Revealed(
            key,
            tuple(map(bytes.fromhex, certificates)),
            CERTIFICATE_REQUEST in messages,
            tuple((int(level), int(code)) for level, code in zip(levels, alerts, strict=False)),
        )
    except ValueError:
        return None
    return found if any(found[1:]) else None


def _key(fields: list[bytes]) -> bytes | None:
    """The key of the innermost TCP segment's direction."""
    protocols = fields[1].split(b":")
    if b"tcp" not in protocols:
        return None
    last = len(protocols) - 1 - protocols[::-1].index(b"tcp")
    version6 = next((p == b"ipv6" for p in protocols[last::-1] if p in (b"ip", b"ipv6")), False)
    source, destination = (fields[4], fields[5]) if version6 else (fields[2], fields[3])
    try:
        return b"".join(
            (
                ip_address(_last(source)).packed,
                ip_address(_last(destination)).packed,
                int(_last(fields[6])).to_bytes(2, "big"),
                int(_last(fields[7])).to_bytes(2, "big"),
            )
        )
    except (ValueError, OverflowError):
        return None


def _ends(key: bytes) -> tuple[bytes, bytes]:
    """Address and port of both ends."""
    size = (len(key) - 4) // 2
    return key[:size] + key[-4:-2], key[size : 2 * size] + key[-2:]


def _last(field: bytes) -> str:
    return field.rsplit(b",", 1)[-1].decode("ascii", "replace")


def _lines(output: Descriptor) -> Iterator[bytes]:
    """The lines a tshark writes."""
    pieces: list[bytes] = []
    while data := output.read(CHUNK):
        if b"\n" not in data:
            pieces.append(data)
            continue
        *lines, rest = b"".join((*pieces, data)).split(b"\n")
        pieces = [rest]
        yield from lines
