"""The way that most frames take: many at once, in one loop.

Nine frames out of ten are the next segment of a connection that runs as it should, or acknowledge
one. What the :class:`~dicomsniff.tcp.frames.Dissector`, the
:class:`~dicomsniff.tcp.duplicates.Duplicates` and the :class:`~dicomsniff.tcp.flows.Tracker` do
for such a frame is done here without a call, and without an object for the frame or the segment:
the headers are read where they stand in the capture's buffer, and only the payload is cut out.
Whatever is not as usual goes to those three, frame by frame. Both ways give the same.
"""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING, Final

from dicomsniff.model import CaptureInfo, Frame, Segment, Stretch
from dicomsniff.tcp.duplicates import BYTES_KEPT, same_packet
from dicomsniff.tcp.frames import ETHERNET, TCP_IPV4, TCP_IPV6
from dicomsniff.tcp.stream import HALF, MASK

if TYPE_CHECKING:
    from dicomsniff.tcp.duplicates import Duplicates
    from dicomsniff.tcp.flows import Tracker
    from dicomsniff.tcp.frames import Dissector

_FIN_SYN_RST: Final = 7
_ACK: Final = 16


class Lane:
    """Takes stretches of a capture."""

    __slots__ = ("_dissector", "_duplicates", "_left", "_places", "_tracker")

    def __init__(self, dissector: Dissector, duplicates: Duplicates, tracker: Tracker) -> None:
        self._dissector = dissector
        self._duplicates = duplicates
        self._tracker = tracker
        self._places: list[tuple[int, int, int, int, int, int]] = []
        self._left = iter(self._places)

    def frame(self) -> int:
        """Number of the frame that is being taken."""
        return self._places[~length_hint(self._left)][0]

    def take(self, stretch: Stretch, info: CaptureInfo) -> None:
        """Take its frames, and count them in ``info``."""
        dissect = self._dissector.segment
        duplicates = self._duplicates
        tracker = self._tracker
        feed = tracker.feed
        streams = tracker.streams
        buffer, places = stretch
        self._places = places
        self._left = left = iter(places)
        bytes_ = cut = 0
        try:
            for number, time, link, start, end, wire in left:
                bytes_ += wire
                captured = end - start
                if captured < wire:
                    cut += 1
                info.last = time
                # ---- headers
                size = 0
                if link == ETHERNET and captured >= 54:
                    (
                        kind,
                        version,
                        total,
                        fragment,
                        protocol,
                        key,
                        seq,
                        ack,
                        offset,
                        flags,
                        window,
                    ) = TCP_IPV4(buffer, start + 12)
                    if kind == 0x0800:
                        if protocol == 6 and version == 0x45 and not fragment & 0x3FFF:
                            size = 34
                    elif kind == 0x86DD and captured >= 74:
                        _, version, total, protocol, key, seq, ack, offset, flags, window = (
                            TCP_IPV6(buffer, start + 12)
                        )
                        if protocol == 6 and version >> 4 == 6:
                            size = 54
                if size:
                    head = size + (offset >> 4 << 2)
                    # Not the end of the frame: short ones are padded. 0: the network card was to
                    # fill it in (segmentation offloading).
                    if not total:
                        total = wire
                    else:
                        total += 14 if size == 34 else 54
                    if not size + 20 <= head <= total:
                        size = 0
                if not size:
                    frame = Frame(number, time, link, buffer[start:end], wire)
                    segment = dissect(frame)
                    if segment is not None:
                        if duplicates.seen(frame, segment):
                            info.duplicates += 1
                            tracker.passed(number, time, segment.flags)
                        else:
                            feed(segment)
                    continue
                length = total - head
                payload = buffer[start + head : start + total if total < captured else end]
                # ---- copies
                if number > duplicates.last or duplicates.bytes > BYTES_KEPT:
                    duplicates.forget(number)
                duplicates.bytes += captured
                signature = (key, seq, ack, length)
                recent = duplicates.recent
                before = (
                    recent[signature] if signature in recent else duplicates.older.get(signature)
                )
                if before is not None:
                    frame = Frame(number, time, link, buffer[start:end], wire)
                    segment = Segment(number, time, key, seq, ack, flags, payload, length, window)
                    if same_packet(before, frame, segment):
                        info.duplicates += 1
                        tracker.passed(number, time, flags)
                        continue
                recent[signature] = (time, buffer, start, end)
                # ---- the next segment of its connection, or an acknowledgement
                stream = streams.get(key)
                if (
                    stream is not None
                    and tracker.set_back <= time <= tracker.next_sweep
                    and not flags & _FIN_SYN_RST
                ):
                    connection = stream.connection
                    if not connection.wanted:
                        connection.last = time
                        continue
                    if (
                        window
                        and stream.plain
                        and not connection.waiting
                        and time - connection.last <= connection.patience
                    ):
                        peer = stream.peer
                        if not (
                            flags & _ACK
                            and (
                                0 < (ack - peer.next_seq) & MASK < HALF
                                if peer.ready
                                else not connection.settled
                            )
                        ):
                            if not length:
                                connection.last = time
                                continue
                            receiver = connection.receiver
                            if (
                                seq == stream.next_seq
                                and total <= captured
                                and receiver is not None
                                and not stream.finished
                            ):
                                connection.last = time
                                stream.next_seq = (seq + length) & MASK
                                stream.recent.append((stream.offset, payload))
                                stream.offset += length
                                receiver.data(stream.index, payload, number, time)
                                if not receiver.wanted:
                                    tracker.unwanted(connection)
                                continue
                feed(Segment(number, time, key, seq, ack, flags, payload, length, window))
        finally:
            info.packets += len(places)
            info.bytes += bytes_
            info.cut += cut
