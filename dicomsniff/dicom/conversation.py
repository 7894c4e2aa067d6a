"""A TCP connection that may speak DICOM: recognised by what is said, whatever the port.

A connection whose beginning was captured speaks DICOM if its first bytes are an A-ASSOCIATE-RQ,
in whatever segments they come. One that was under way is searched for PDUs that can be trusted
(see :mod:`dicomsniff.dicom.framing`). What shows neither is given up, and costs nothing more.

A conversation holds one association at a time and may hold several after one another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from dicomsniff.dicom.association import AssociationBuilder, new_association
from dicomsniff.dicom.dimse import Assembler, DataSetSink
from dicomsniff.dicom.framing import Framer, Track, starts_association
from dicomsniff.dicom.pdu import read
from dicomsniff.model import (
    Association,
    Endpoint,
    Entry,
    Fault,
    Gap,
    Message,
    Peer,
    PresentationContext,
    Side,
    Tls,
    Transport,
)

RECOGNITION_LIMIT = 4 * 1024 * 1024
"""Bytes of one direction that are searched for a PDU before a connection is given up. Senders
that fill P-DATA-TFs of more than this are rare, and an association found late is found by its
next message all the same."""

PREFIX_LIMIT = 128
"""Bytes that suffice to recognise an A-ASSOCIATE."""

PDU_HEADER = 6
"""Bytes of a PDU's type, reserved byte and length (PS3.8 9.3.1)."""

_ODD_TITLE = re.compile(rb"[^ -~\0]").search
"""What AE titles do not hold, even those that are padded with NUL."""

TLS_HANDSHAKE = b"\x16\x03"
"""How a TLS connection begins: content type handshake, major version 3 (RFC 8446 5.1)."""

CLIENT_HELLO = 1
"""Handshake type behind the record's header, which has 5 bytes (RFC 8446 4)."""

_SIDES: tuple[Side, Side] = ("requestor", "acceptor")


class Hears(Protocol):
    """Who hears of associations and their entries."""

    def association_began(self, association: Association) -> None: ...

    def entry_added(self, association: Association, entry: Entry) -> None: ...

    def association_ended(self, association: Association) -> None: ...


class Tap(Protocol):
    """Who wants data sets byte for byte."""

    def open(self, association: Association, sender: Side, message: Message) -> DataSetSink | None:
        """Called when a data set begins; None: not wanted. ``message`` holds the command set."""


class Carrier(Protocol):
    """The TCP connection that a conversation takes place on."""

    @property
    def eventful(self) -> bool:
        """Whether TCP did anything out of the ordinary so far."""

    def transport(self, side: int) -> Transport:
        """What TCP did with the bytes of one side until now."""

    def from_the_middle(self, side: int) -> bool:
        """Whether a side may have said something before the first of it that was captured."""


TlsHandler = Callable[[int, list[tuple[bytes, int, int]]], None]
"""Takes a connection over: the side that sent a ClientHello, and its bytes with frame and time."""


def _ignore(data: bytes, frame: int, time: int) -> None:
    """Where bytes go that are somebody else's."""
    del data, frame, time


class Conversation:
    """The receiver of one TCP connection's bytes; ``side`` 0 opened it or was seen first."""

    __slots__ = (
        "_assemblers",
        "_builder",
        "_carrier",
        "_closed",
        "_conflicts",
        "_endpoints",
        "_feeds",
        "_forced",
        "_framers",
        "_from_start",
        "_last_frame",
        "_last_time",
        "_listener",
        "_lost_between",
        "_number",
        "_opened",
        "_prefix",
        "_requestor",
        "_tap",
        "_tls",
        "_tls_handler",
        "_transport_before",
        "_unfinished",
        "recognised",
        "wanted",
    )

    def __init__(
        self,
        endpoints: tuple[Endpoint, Endpoint],
        *,
        from_start: bool,
        forced: bool,
        listener: Hears,
        number: Callable[[], int],
        tap: Tap | None = None,
        carrier: Carrier | None = None,
        tls_handler: TlsHandler | None = None,
        tls: Tls | None = None,
    ) -> None:
        """``from_start``: the connection's SYN was captured. ``forced``: it is DICOM whatever it
        looks like. ``number`` gives the next association its id. ``carrier`` tells what TCP did
        with a side's bytes. ``tls_handler`` takes the connection over where a TLS
        ClientHello comes: the side, and all of its bytes so far with frame and time. ``tls``: what
        is told of the TLS connection that this is the inside of."""
        self.wanted = True
        self._endpoints = endpoints
        self._from_start = from_start
        self._opened = from_start
        """Whether it is known that side 0 opened the connection."""
        self._forced = forced
        self._listener = listener
        self._number = number
        self._tap = tap
        self._carrier = carrier
        self._transport_before: list[Transport] = []
        """What TCP did before the present association began; empty: nothing worth a word."""
        self._tls_handler = tls_handler
        self._tls = tls
        self._unfinished = [False, False]
        """Sides that closed in the middle of a PDU."""
        self._assemblers: tuple[Assembler, ...] = (Assembler(0, self), Assembler(1, self))
        searching = not from_start
        self._framers = [Framer(a, searching=searching) for a in self._assemblers]
        self.recognised = False
        self._prefix: list[list[tuple[bytes, int, int]]] = [[], []]
        self._feeds: list[Callable[[bytes, int, int], None]] = [self._first_0, self._first_1]
        self._builder: AssociationBuilder | None = None
        self._requestor = 0
        """Side of the requestor of the present association."""
        self._closed: list[tuple[str, int, int, int]] = []
        """("FIN" or "RST", side, frame, time), in order."""
        self._conflicts = 0
        self._lost_between = False
        """True when bytes behind the end of an association were lost."""
        self._last_frame = 0
        self._last_time = 0

    # -------------------------------------------------------------- from TCP

    def data(self, side: int, data: bytes, frame: int, time: int) -> None:
        """Bytes in order."""
        self._last_frame = frame
        self._last_time = time
        self._feeds[side](data, frame, time)

    def measured(self, side: int) -> int:
        """How many of the next bytes are only measured, so that they may be counted instead."""
        if not self.recognised:
            return 0
        return min(self._framers[side].inside_value, self._assemblers[side].measured)

    def skip(self, side: int, length: int, frames: int, last: int, time: int) -> None:
        """So many of them came in so many frames; number and time of the last."""
        self._last_frame = last
        self._last_time = time
        self._framers[side].skip(length)
        self._assemblers[side].skip(length, frames, last, time)

    def gap(self, side: int, length: int, frame: int, time: int) -> None:
        """Bytes that the capture does not hold."""
        if not self._framers:
            return
        framer = self._framers[side]
        if not self.recognised:
            if self._cuts_request(side, length):
                self._recognise(side)
            else:
                if self._from_start:
                    self._search_instead()
                framer.gap(length)
                self._consider(side)
                return
        builder = self._builder
        if (
            builder is not None
            and builder.over
            and builder.association.outcome != "aborted"
            and (framer.searching or not framer.inside)
        ):
            # Behind the end of the association: nothing, or the beginning of the next one. (What
            # crosses an A-ABORT still belongs to it, and none begins behind one.)
            framer.gap(length)
            self._lost_between = True
            return
        offset = framer.kept + self._assemblers[side].kept
        if builder is not None:
            offset += builder.bytes_seen(self._sender(side))
        framer.gap(length)
        # What the gap cut off comes before it, and may have begun the association.
        builder = self._builder
        if builder is None:
            return
        sender = self._sender(side)
        frame = frame or self._last_frame
        entry = Entry(0, "GAP", sender, time, time, (frame,), 1, frame, length)
        entry.complete = False
        entry.detail = f"{length} bytes of the {sender} were not captured"
        builder.gap(entry, Gap(sender, offset, length, time, frame))
        self._listener.entry_added(builder.association, entry)

    def fin(self, side: int, frame: int, time: int) -> None:
        """This side will send nothing more."""
        self._closed.append(("FIN", side, frame, time))
        if not self.recognised or not self._framers:
            return
        # What this side has begun and not ended stays unfinished.
        self._unfinished[side] = self._framers[side].inside
        self._framers[side].end()
        self._assemblers[side].finish()
        if len(self._closed) == 2:
            self._finish(True)

    def reset(self, side: int, frame: int, time: int) -> None:
        """This side reset the connection."""
        self._closed.append(("RST", side, frame, time))

    def conflict(self, side: int, frame: int, time: int) -> None:  # noqa: ARG002
        """A retransmission carried other bytes."""
        self._conflicts += 1
        builder = self._builder
        if builder is not None and builder.association.timeline:
            last = builder.association.timeline[-1]
            text = f"frame {frame} sends other bytes again than were sent before; the first count"
            last.faults = (*last.faults, Fault(text, 0, 0))

    def end(self, closed: bool) -> None:
        """Nothing more follows."""
        self._finish(closed)

    # -------------------------------------------------------------- recognition

    def _first_0(self, data: bytes, frame: int, time: int) -> None:
        self._first(0, data, frame, time)

    def _first_1(self, data: bytes, frame: int, time: int) -> None:
        self._first(1, data, frame, time)

    def _first(self, side: int, data: bytes, frame: int, time: int) -> None:
        """Bytes of a connection that is not recognised yet."""
        if not self._from_start:
            if (
                self._tls_handler is not None
                and data[:2] == TLS_HANDSHAKE
                and data[5:6] == bytes((CLIENT_HELLO,))
                and not self._framers[side].searched
            ):
                self._hand_over(side, [(data, frame, time)])
                return
            self._framers[side].feed(data, frame, time)
            self._consider(side)
            return
        pieces = self._prefix[side]
        pieces.append((data, frame, time))
        whole = data if len(pieces) == 1 else b"".join([piece[0] for piece in pieces])
        prefix = whole[:PREFIX_LIMIT]
        verdict = starts_association(prefix)
        if verdict is None and len(prefix) < PREFIX_LIMIT:
            return
        if verdict:
            self._recognise(side)
        elif self._tls_handler is not None and prefix.startswith(TLS_HANDSHAKE):
            self._hand_over(side, pieces)
        elif self._forced:
            self._search_instead()
            self._consider(side)
        else:
            self._give_up()

    def _hand_over(self, side: int, pieces: list[tuple[bytes, int, int]]) -> None:
        """This is TLS: somebody else takes the connection, and nothing more comes here."""
        self._prefix = [[], []]
        handler = self._tls_handler
        self._let_go()
        if handler is not None:
            handler(side, pieces)

    def _cuts_request(self, side: int, length: int) -> bool:
        """Whether a connection begins with an A-ASSOCIATE that a hole of ``length`` bytes cuts
        before it could be recognised, as a short snap length does: what is there of it is right,
        and the hole lies within."""
        if not self._from_start:
            return False
        prefix = b"".join(piece[0] for piece in self._prefix[side])
        return (
            len(prefix) > PDU_HEADER
            and starts_association(prefix) is None
            and len(prefix) + length <= PDU_HEADER + int.from_bytes(prefix[2:PDU_HEADER], "big")
            and not _ODD_TITLE(prefix, 10, 42)
        )

    def _recognise(self, side: int) -> None:
        """This is DICOM: hand on what was kept, the requestor's first."""
        self.recognised = True
        self._feeds = [framer.feed for framer in self._framers]
        for each in (side, 1 - side):
            pieces, self._prefix[each] = self._prefix[each], []
            feed = self._feeds[each]
            for piece in pieces:
                feed(*piece)

    def _search_instead(self) -> None:
        """The beginning is missing or not what it should be: look for PDUs further on."""
        self._from_start = False
        self._framers = [Framer(a, searching=True) for a in self._assemblers]
        for side in (0, 1):
            pieces, self._prefix[side] = self._prefix[side], []
            for piece in pieces:
                self._framers[side].feed(*piece)

    def _consider(self, side: int) -> None:
        """Whether the search has found something, or has gone on for too long."""
        if self._framers[0].found or self._framers[1].found:
            self.recognised = True
            self._feeds = [framer.feed for framer in self._framers]
            for framer in self._framers:
                framer.found = True
        elif self._framers[side].searched > RECOGNITION_LIMIT and not self._forced:
            self._give_up()

    def _give_up(self) -> None:
        self.wanted = False
        self._prefix = [[], []]
        self._let_go()

    def _let_go(self) -> None:
        """Nothing more is of interest: undo what refers back to this conversation, so that its
        memory is free at once and not when the collector of cycles comes by."""
        self._feeds = [_ignore, _ignore]
        self._framers = []
        self._assemblers = ()
        self._tls_handler = None
        self._carrier = None

    # -------------------------------------------------------------- from the framers

    def context(self, context_id: int) -> PresentationContext | None:
        """The presentation context as negotiated so far."""
        builder = self._builder
        if self._lost_between:
            return None  # of another association, whose negotiation was not captured
        return builder.association.contexts.get(context_id) if builder is not None else None

    def on_pdu(self, side: int, data: bytes, complete: bool, track: Track) -> None:
        """A PDU other than P-DATA-TF."""
        pdu, raw = read(data)
        kind = pdu.kind
        builder = self._present() if self._lost_between else self._builder
        if kind == "A-ASSOCIATE-RQ":
            if builder is not None:
                self._replace()
            builder = self._begin(side, track.began, partial=False)
        elif builder is None:
            builder = self._begin(self._asked(side, kind), track.began, partial=True)
        if kind != "UNKNOWN-PDU":
            # It will not go on with what it was sending: of what is not whole, the rest was lost.
            self._assemblers[side].finish()
        entry = self._entry(builder, side, kind, track, complete)
        entry.raw = raw
        builder.pdu(entry, pdu)
        self._listener.entry_added(builder.association, entry)

    def on_undecoded(self, side: int, data: bytes, reason: str, track: Track) -> None:
        """Bytes that are not understood."""
        builder = self._present() if self._lost_between else self._builder
        if builder is None:
            builder = self._begin(self._caller(), track.began, partial=True)
        entry = self._entry(builder, side, "UNDECODED", track, False)
        entry.raw = data
        entry.detail = reason
        builder.other(entry)
        self._listener.entry_added(builder.association, entry)

    def open_sink(self, side: int, message: Message) -> DataSetSink | None:
        """Ask the tap whether it wants the data set that begins."""
        if self._tap is None:
            return None
        builder = self._present() if self._lost_between else self._builder
        if builder is None:
            builder = self._begin_by_message(side, message, self._last_time)
        return self._tap.open(builder.association, self._sender(side), message)

    def on_message(
        self, side: int, message: Message, complete: bool, track: Track, faults: tuple[Fault, ...]
    ) -> None:
        """A DIMSE message."""
        if not message.is_request:
            self._assemblers[1 - side].answered(message.context_id, message.message_id)
        builder = self._present() if self._lost_between else self._builder
        if builder is None:
            builder = self._begin_by_message(side, message, track.began)
        association = builder.association
        if message.transfer_syntax is None:
            context = association.contexts.get(message.context_id)
            if context is not None:
                message.transfer_syntax = context.transfer_syntax
                message.abstract_syntax = context.abstract_syntax
        if not message.command_bytes and (association.partial or association.gaps):
            complete = False  # there was a command set, and the capture does not hold it
        entry = self._entry(builder, side, message.kind, track, complete)
        entry.faults = faults
        builder.message(entry, message)
        self._listener.entry_added(builder.association, entry)

    # -------------------------------------------------------------- associations

    def _sender(self, side: int) -> Side:
        return _SIDES[side != self._requestor]

    def _entry(
        self, builder: AssociationBuilder, side: int, kind: str, track: Track, complete: bool
    ) -> Entry:
        """A row for what ``side`` sent, and was carried by the frames of the track."""
        sender = _SIDES[side != self._requestor]
        builder.association.peer(sender).bytes += track.length
        return Entry(
            0,
            kind,
            sender,
            track.time,
            track.began,
            track.frames,
            track.count,
            track.last,
            track.length,
            complete,
        )

    def _caller(self) -> int:
        """The side that opened the connection, as far as is known: clients use high ports."""
        if self._opened:
            return 0
        return 0 if self._endpoints[0].port >= self._endpoints[1].port else 1

    def _asked(self, side: int, kind: str) -> int:
        """The side that asked for the association of which one sends a PDU of this kind, though
        the request was not captured. Who opened a connection asks for the first one on it."""
        if kind in ("A-ASSOCIATE-AC", "A-ASSOCIATE-RJ"):
            return 1 - side
        if self._opened:
            return 0
        return 1 - side if kind == "A-RELEASE-RP" else side

    def _present(self) -> AssociationBuilder | None:
        """The association that what comes now belongs to, None: to one that is to begin."""
        if self._lost_between:
            self._lost_between = False
            if self._builder is not None and self._builder.over:
                self._replace()
        return self._builder

    def _begin_by_message(self, side: int, message: Message, time: int) -> AssociationBuilder:
        """Begin an association whose request was not captured; its first message tells who asked.

        A C-STORE request may come from the acceptor (C-GET), and so does an N-EVENT-REPORT; there
        the ports decide, where the connection's beginning does not.
        """
        if self._opened or not message.command or message.service in ("C-STORE", "N-EVENT-REPORT"):
            requestor = self._caller()
        else:
            requestor = side if message.is_request else 1 - side
        return self._begin(requestor, time, partial=True)

    def _begin(self, requestor: int, time: int, *, partial: bool) -> AssociationBuilder:
        self._requestor = requestor
        asks, answers = self._endpoints[requestor], self._endpoints[1 - requestor]
        carrier = self._carrier
        self._builder = new_association(
            self._number(),
            Peer(asks.address, asks.port),
            Peer(answers.address, answers.port),
            time,
            partial=partial,
            answer_unseen=carrier is not None and carrier.from_the_middle(1 - requestor),
        )
        if self._tls is not None:
            self._builder.association.encrypted = True
            self._builder.association.tls = self._tls
        if carrier is not None:
            fresh = not carrier.eventful
            self._transport_before = [] if fresh else [carrier.transport(0), carrier.transport(1)]
        self._builder.association.under_way = self._under_way
        self._listener.association_began(self._builder.association)
        return self._builder

    def _under_way(self) -> tuple[int, int]:
        """Bytes of messages that are not whole yet, and when the latest byte came."""
        kept = sum(framer.kept for framer in self._framers)
        return kept + sum(each.kept for each in self._assemblers), self._last_time

    def _end(self, association: Association) -> None:
        """Nothing more will be added to an association."""
        association.under_way = None
        carrier = self._carrier
        if carrier is not None:
            before = self._transport_before
            for side in (0, 1):
                transport = carrier.transport(side)
                if before:
                    transport = transport.since(before[side])
                transport.unfinished = self._unfinished[side]
                for _, who, _, time in self._closed:
                    if who == side:
                        transport.ended = time
                        break
                association.peer(self._sender(side)).transport = transport
        self._listener.association_ended(association)

    def _replace(self) -> None:
        """Another association begins on the same connection."""
        for assembler in self._assemblers:
            assembler.finish()
        builder = self._builder
        if builder is None:
            return
        if not builder.over and not builder.released_unseen():
            association = builder.association
            association.outcome = "lost"
            association.outcome_detail = (
                "another association was requested on the same connection before it ended"
            )
        self._builder = None
        self._end(builder.association)

    def _finish(self, closed: bool) -> None:
        """The connection or the capture ends."""
        if not self.wanted:
            return
        if not self.recognised and self._from_start and any(self._prefix):
            # Too short to be recognised: a request cut off in its first bytes.
            for side in (0, 1):
                if self._prefix[side] and self._prefix[side][0][0][:1] == b"\x01":
                    self._recognise(side)
                    break
        for side, framer in enumerate(self._framers):
            self._unfinished[side] |= framer.inside
            framer.end()
        for assembler in self._assemblers:
            assembler.finish()
        self.wanted = False
        self._tell_end(closed)
        self._let_go()

    def _tell_end(self, closed: bool) -> None:
        """The present association has ended with its connection, or with the capture."""
        builder = self._builder
        if builder is None:
            return
        if closed and not builder.over and not builder.released_unseen():
            how, side, frame, time = self._closed[0] if self._closed else ("", 0, 0, 0)
            for each in self._closed:
                if each[0] == "RST":
                    how, side, frame, time = each
            sender = self._sender(side)
            if not how:
                frame, time = self._last_frame, self._last_time
            entry = Entry(0, "CONNECTION-LOST", sender, time, time, (frame,), 1, frame, 0)
            if how == "RST":
                entry.detail = f"the {sender} reset the connection (RST)"
            else:
                entry.detail = f"the {sender} closed the connection (FIN) without release"
            builder.lost(entry)
            self._listener.entry_added(builder.association, entry)
        self._builder = None
        self._end(builder.association)
