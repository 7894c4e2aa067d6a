"""A TCP connection that began with a TLS ClientHello.

What is said inside comes from the source, where it can decrypt (:class:`model.Decrypted`), and goes
through a conversation like any other. What cannot be looked into is told by its handshake: on a
port of DICOM as an association of its own, which holds nothing but TLS.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from dicomsniff.dicom.conversation import Conversation
from dicomsniff.dicom.search import ABORT, ASSOCIATE_RJ
from dicomsniff.model import (
    Answer,
    Association,
    Endpoint,
    Entry,
    Gap,
    Peer,
    Revealed,
    Side,
    Tls,
)
from dicomsniff.tcp.tls import Handshake

_SIDES: tuple[Side, Side] = ("requestor", "acceptor")

_ANSWERS: dict[int, Answer] = {0x16: "tls", 0x15: "tls-alert"}
"""What a server's first byte tells: a handshake message, an alert."""

GAPS_KEPT = 200
"""Gaps of a connection that cannot be looked into, each told by itself."""

_REFUSAL_LENGTH = 10
"""Bytes of an A-ASSOCIATE-RJ and of an A-ABORT (PS3.8 9.3.4, 9.3.8)."""


def _answer(data: bytes) -> Answer:
    """What the first bytes of a server are."""
    if (
        len(data) >= _REFUSAL_LENGTH
        and data[0] in (ASSOCIATE_RJ, ABORT)
        and data[2:6] == (_REFUSAL_LENGTH - 6).to_bytes(4, "big")
    ):
        return "tls-dicom"
    return _ANSWERS.get(data[0], "tls-plain")


_Piece = tuple[int, bytes, int, int]
"""Decrypted bytes: offset, bytes, frame, time."""


class Owner(Protocol):
    """Who made it, and is told what became of it."""

    def tls_inside(self, encrypted: Encrypted) -> Conversation:
        """Something was decrypted: the conversation for it."""

    def tls_outcome(
        self, encrypted: Encrypted, answer: Answer, frames: tuple[int, ...], time: int
    ) -> None:
        """It held nothing that could be read."""

    def tls_over(self, encrypted: Encrypted) -> None:
        """Nothing more comes of it."""


class Encrypted:
    """The receiver of such a connection's bytes."""

    __slots__ = (
        "_answer",
        "_answered",
        "_client",
        "_closing",
        "_gaps",
        "_handshake",
        "_hello",
        "_inside",
        "_last",
        "_latest",
        "_offsets",
        "_owner",
        "_sent",
        "_torn",
        "_waiting",
        "endpoints",
        "inside_from_start",
        "key",
        "plausible",
        "recognised",
        "wanted",
    )

    def __init__(
        self,
        key: bytes,
        endpoints: tuple[Endpoint, Endpoint],
        client: int,
        owner: Owner,
        *,
        plausible: bool,
    ) -> None:
        """``key`` names the direction of side 0, ``client`` is the side that sent the hello.
        ``plausible``: the port is one of DICOM, so that even what cannot be read is told."""
        self.wanted = True
        self.recognised = self.plausible = plausible
        self.key = key
        self.endpoints = endpoints
        self.inside_from_start = True
        """Whether what was decrypted begins with the first byte."""
        self._client = client
        self._owner = owner
        self._handshake = Handshake(client)
        self._answer: Answer | None = None
        self._answered = (0, 0)
        self._hello: tuple[int, int] | None = None
        self._last = (0, 0)
        self._inside: Conversation | None = None
        self._offsets = [0, 0]
        """Bytes of each side that the conversation inside has had."""
        self._waiting: tuple[deque[_Piece], deque[_Piece]] = (deque(), deque())
        """Decrypted bytes of each side whose segments have not come in their turn yet."""
        self._latest = [0, 0]
        """The latest frame of each side whose bytes came in their turn."""
        self._torn: list[tuple[int, int, int] | None] = [None, None]
        """Bytes, frame and time of the latest segment of each side that the capture does not hold,
        where nothing was decrypted behind it."""
        self._closing = ""
        self._gaps: list[Gap] = []
        self._sent = [0, 0]
        """Bytes of each side, those that are missing included."""

    @property
    def tls(self) -> Tls:
        """What the handshake has shown so far."""
        return self._handshake.tls

    @property
    def client(self) -> Endpoint:
        """Who sent the ClientHello."""
        return self.endpoints[self._client]

    @property
    def server(self) -> Endpoint:
        """Whom it was sent to."""
        return self.endpoints[1 - self._client]

    # -------------------------------------------------------------- from TCP

    def data(self, side: int, data: bytes, frame: int, time: int) -> None:
        """Encrypted bytes, in order."""
        if self._hello is None:
            self._hello = frame, time
        self._last = frame, time
        self._sent[side] += len(data)
        if self._answer is None and side != self._client:
            self._answer = _answer(data)
            self._answered = frame, time
            if self._answer in ("tls-plain", "tls-dicom"):
                self._tell(self._answer, frame, time)
                self._give_up()
                return
        if self.plausible or not self._handshake.over:
            self._handshake.feed(side, data, frame, time)
        if frame > self._latest[side]:
            self._latest[side] = frame
        if self._waiting[side]:
            self._hand_over(side, self._latest[side])

    def gap(self, side: int, length: int, frame: int, time: int) -> None:
        """Encrypted bytes that the capture does not hold."""
        sender = _SIDES[side != self._client]
        if len(self._gaps) < GAPS_KEPT:
            at = self._sent[side]
            self._gaps.append(Gap(sender, at, length, time, frame or self._latest[side]))
        else:  # all the bytes are told of, if not where they were
            last = self._gaps[-1]
            self._gaps[-1] = last._replace(length=last.length + length)
        self._sent[side] += length
        self._handshake.gap(side, length)
        if self._inside is not None:
            before = self._torn[side]
            self._torn[side] = length + (before[0] if before is not None else 0), frame, time
        if self._inside is None and side != self._client and self._answer is None:
            self._answer = "tls"
            self._answered = frame, time

    def fin(self, side: int, frame: int, time: int) -> None:
        """This side will send nothing more."""
        self._close(side, "closed the connection (FIN)", frame, time)
        self._hand_over_all()
        if self._inside is not None:
            self._inside.fin(side, frame, time)

    def reset(self, side: int, frame: int, time: int) -> None:
        """This side reset the connection."""
        self._close(side, "reset the connection (RST)", frame, time)
        self._hand_over_all()
        if self._inside is not None:
            self._inside.reset(side, frame, time)

    def conflict(self, side: int, frame: int, time: int) -> None:
        """A retransmission carried other bytes."""
        if self._inside is not None:
            self._inside.conflict(side, frame, time)

    def end(self, closed: bool) -> None:
        """Nothing more follows."""
        self._hand_over_all()
        if self._inside is not None:
            self._inside.end(closed)
        elif self._answer == "tls" or (self._answer == "tls-alert" and not self.plausible):
            # An alert on a port of DICOM is told by the rules for what is in the association.
            self._tell(self._answer, *self._answered)
        self._give_up()

    # -------------------------------------------------------------- decrypted

    def plaintext(self, side: int, offset: int, data: bytes, frame: int, time: int) -> None:
        """Decrypted bytes. ``offset``: how many of this side came before them.

        They wait until TCP has come to their frame, so that what both sides say keeps its order,
        and what is missing its place.
        """
        if self.wanted:
            self._waiting[side].append((offset, data, frame, time))
            self._hand_over(side, self._latest[side])

    def _hand_over_all(self) -> None:
        """The connection ends: what still waits, and what is missing for good."""
        for side in (0, 1):
            self._hand_over(side, None)
        for side in (0, 1):
            self._tell_gap(side)

    def _hand_over(self, side: int, up_to: int | None) -> None:
        """Hand the conversation inside what was decrypted, up to a frame."""
        waiting = self._waiting[side]
        while waiting and self.wanted and (up_to is None or waiting[0][2] <= up_to):
            self._told(side, *waiting.popleft())

    def _told(self, side: int, offset: int, data: bytes, frame: int, time: int) -> None:
        inside = self._inside
        if inside is None:
            self.inside_from_start = offset == 0
            self.tls.decrypted = self.recognised = True
            if offset:
                # The frames before were not handed over: nobody misses them.
                self._offsets[side] = offset
            inside = self._inside = self._owner.tls_inside(self)
        # How much is missing shows where decryption goes on behind it; where it does not, that
        # something is missing has to be known before the other side answers it.
        self._torn[side] = None
        self._tell_gap(1 - side)
        missing = offset - self._offsets[side]
        if missing > 0:
            inside.gap(side, missing, frame, time)
        self._offsets[side] = max(offset, self._offsets[side]) + len(data)
        if inside.wanted:
            inside.data(side, data, frame, time)
        if not inside.wanted:
            self._give_up()

    def _tell_gap(self, side: int) -> None:
        """Tell of a segment that is missing: its encrypted bytes, for want of a better measure."""
        torn, self._torn[side] = self._torn[side], None
        if torn is not None and self._inside is not None:
            length, frame, time = torn
            self._inside.gap(side, length, frame, time)
            self._offsets[side] += length

    def revealed(self, side: int, what: Revealed, frame: int, time: int) -> None:
        """What was encrypted of the handshake."""
        self._handshake.revealed(side, what, frame, time)

    # -------------------------------------------------------------- what became of it

    def _close(self, side: int, how: str, frame: int, time: int) -> None:
        if not self._closing:
            sender = _SIDES[side != self._client]
            self._closing = f"the {sender} {how}"
        if self._answer is None and side != self._client:
            self._answer = "tls-closed"
            self._tell("tls-closed", frame, time)

    def _tell(self, answer: Answer, frame: int, time: int) -> None:
        hello = self._hello[0] if self._hello is not None else frame
        self._owner.tls_outcome(self, answer, (hello, frame), time)

    def _give_up(self) -> None:
        if self.wanted:
            self.wanted = False
            self._owner.tls_over(self)

    @property
    def opaque(self) -> bool:
        """TLS was spoken on both sides of a port of DICOM, and could not be looked into."""
        return self.plausible and self._inside is None and self._answer in ("tls", "tls-alert")

    def rows(self) -> list[Entry]:
        """What it was seen to do, as rows of a timeline."""
        rows = [self._row(*event) for event in self._handshake.events]
        for side, name in ((self._client, "client"), (1 - self._client, "server")):
            length = self.tls.bytes[side != self._client]
            if length:
                text = f"{length:,} encrypted bytes of the {name}"
                rows.append(self._row(side, *self._handshake.last_data[side], length, text))
        for gap in self._gaps:
            entry = Entry(
                0, "GAP", gap.sender, gap.time, gap.time, (gap.frame,), 1, gap.frame, gap.length
            )
            entry.complete = False
            entry.detail = f"{gap.length} encrypted bytes of the {gap.sender} were not captured"
            rows.append(entry)
        rows.sort(key=lambda entry: (entry.time, entry.last_frame))
        for number, entry in enumerate(rows, 1):
            entry.number = number
        return rows

    def _row(self, side: int, frame: int, time: int, length: int, text: str) -> Entry:
        sender = _SIDES[side != self._client]
        entry = Entry(0, "TLS", sender, time, time, (frame,), 1, frame, length)
        entry.detail = text
        return entry

    def association(self, number: int, rows: list[Entry]) -> Association:
        """The association that it is told as, before its rows are added."""
        began = self._hello[1] if self._hello is not None else self._last[1]
        association = Association(
            number,
            Peer(*self.client, bytes=self.tls.bytes[0]),
            Peer(*self.server, bytes=self.tls.bytes[1]),
            began,
            max((entry.time for entry in rows), default=began),
            partial=True,
            encrypted=True,
            tls=self.tls,
            gaps=list(self._gaps),
        )
        fatal = next((alert for alert in self.tls.alerts if alert.fatal), None)
        if fatal is not None:
            association.outcome = "lost"
            association.outcome_detail = (
                f"the {_SIDES[fatal.side]} ended TLS with the alert {fatal.meaning}"
            )
        elif self._closing:
            association.outcome = "lost"
            association.outcome_detail = (
                f"{self._closing}; whether the association was released cannot be seen inside TLS"
            )
        else:
            association.outcome_detail = "inside TLS, which was not decrypted"
        return association
