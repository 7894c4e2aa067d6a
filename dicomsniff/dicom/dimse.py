"""Presentation data values to DIMSE messages, for one direction (PS3.7 6.3, PS3.8 E).

State is kept per presentation context, and one assembler serves one direction, so a C-CANCEL, a
response or an asynchronous operation may cross a message that is still being sent. A command that
arrives between the data set fragments of another message on the same context does not disturb it.

Command sets are small and kept whole. Data sets go through a
:class:`~dicomsniff.dicom.sieve.Sieve`,
which keeps what can be read and measures the rest; a *tap* sees every byte of those it asks for.
"""

from __future__ import annotations

from typing import Final, Protocol

from dicomsniff.dicom.command import Meaning, make_message, message_of, read_command
from dicomsniff.dicom.framing import Track
from dicomsniff.dicom.places import held_chunks
from dicomsniff.dicom.sieve import Sieve, as_it_came
from dicomsniff.model import (
    FRAMES_KEPT,
    DataSetBytes,
    Fault,
    Message,
    PresentationContext,
    pack_fragment,
)

COMMAND: Final = 1
LAST: Final = 2
"""Bits of the message control header (PS3.8 E.2): of a command set, not of a data set; the last
fragment of it."""

COMMAND_LIMIT = 64 * 1024
"""Bytes kept of a command set. The longest there is (N-GET with a list of every attribute of the
dictionary) takes about 20 KB."""

CHUNKS_KEPT = 4096
"""Places remembered of a data set's held bytes in frames; past that the last frame known counts."""

NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800) of a message without a data set (PS3.7 E.1)."""

_GROUP_LENGTH = b"\0\0\0\0"
"""The tag of Command Group Length (0000,0000), which begins every command set (PS3.7 6.3.1)."""


class DataSetSink(Protocol):
    """Where a tap wants a data set's bytes, as they crossed the wire."""

    def write(self, data: bytes) -> None:
        """The next bytes."""

    def lost(self, length: int | None) -> None:
        """Bytes missing here; None: nobody knows how many."""

    def close(self, complete: bool) -> None:
        """No more bytes follow."""


class Owner(Protocol):
    """What an assembler asks of, and tells to, the conversation it belongs to."""

    def context(self, context_id: int) -> PresentationContext | None:
        """The presentation context as negotiated so far."""

    def on_pdu(self, side: int, data: bytes, complete: bool, track: Track) -> None: ...

    def on_undecoded(self, side: int, data: bytes, reason: str, track: Track) -> None: ...

    def on_message(
        self,
        side: int,
        message: Message,
        complete: bool,
        track: Track,
        faults: tuple[Fault, ...],
    ) -> None: ...

    def open_sink(self, side: int, message: Message) -> DataSetSink | None:
        """Whether somebody wants the bytes of the data set that follows."""


class Part:
    """A message while it is being received."""

    __slots__ = (
        "chunks",
        "command",
        "command_lost",
        "context_id",
        "faults",
        "fragment_count",
        "fragments",
        "lost",
        "message",
        "sieve",
        "sink",
        "track",
    )

    def __init__(self, context_id: int, track: Track) -> None:
        self.context_id = context_id
        self.command: bytes | bytearray = bytearray()
        self.command_lost = 0
        self.message: Message | None = None
        """Once the command set is whole."""
        self.sieve: Sieve | None = None
        self.sink: DataSetSink | None = None
        self.track = track
        self.fragments = b""
        """Packed: see :attr:`~dicomsniff.model.Message.packed_fragments`."""
        self.fragment_count = 0
        self.chunks: list[tuple[int, int]] = []
        self.faults: tuple[Fault, ...] = ()
        self.lost = 0
        """Bytes of it that the capture does not hold."""

    def add_fragment(
        self, frame: int, pdu_length: int | None, pdv_length: int, control: int
    ) -> None:
        """Another presentation data value carries a part of it."""
        if self.fragment_count < FRAMES_KEPT:
            self.fragments += pack_fragment(frame, pdu_length, pdv_length, control)
        self.fragment_count += 1


class Assembler:
    """The framer's sink for one direction."""

    __slots__ = (
        "_commands",
        "_context_id",
        "_control",
        "_datasets",
        "_missing",
        "_owner",
        "_part",
        "side",
    )

    def __init__(self, side: int, owner: Owner) -> None:
        self.side = side
        self._owner = owner
        self._commands: dict[int, Part] = {}
        self._datasets: dict[int, Part] = {}
        self._part: Part | None = None
        self._context_id = 0
        self._control = 0
        self._missing = False
        """True once something was lost that may have been the beginning of a command set."""

    @property
    def kept(self) -> int:
        """Bytes of messages that are not whole yet."""
        parts = (*self._datasets.values(), *self._commands.values())
        return sum(part.track.length for part in parts)

    # -------------------------------------------------------------- from the framer

    def pdu(self, data: bytes, complete: bool, track: Track) -> None:
        self._owner.on_pdu(self.side, data, complete, track)

    def undecoded(self, data: bytes, reason: str, track: Track) -> None:
        self._owner.on_undecoded(self.side, data, reason, track)

    def value(
        self, context_id: int, control: int, length: int, pdu_length: int | None, track: Track
    ) -> None:
        if control & COMMAND:
            part = self._commands.get(context_id)
            if part is None:
                part = self._commands[context_id] = Part(context_id, Track())
        else:
            part = self._datasets.get(context_id) or self._begin_dataset(context_id)
            if part.sieve is None:
                self._open_dataset(part)
        part.track.join(track)
        part.add_fragment(track.last, pdu_length, length + 2, control)
        if control & ~(COMMAND | LAST):
            text = f"message control header {control:02X}H"
            part.faults = (*part.faults, Fault(text, 0, 0))
        self._part = part
        self._context_id = context_id
        self._control = control

    def whole_value(
        self, context_id: int, control: int, data: bytes, pdu_length: int | None, track: Track
    ) -> None:
        # Most messages are small: a command set in one value, a data set in another one.
        if control == COMMAND | LAST:
            if context_id not in self._commands and len(data) <= COMMAND_LIMIT:
                self._whole_command(context_id, data, pdu_length, track)
                return
        elif control == LAST:
            begun = self._datasets.get(context_id)
            if (
                begun is not None
                and begun.sieve is None
                and not begun.lost
                and as_it_came(data, self._syntax(context_id))
            ):
                begun.track.join(track)
                begun.add_fragment(track.last, pdu_length, len(data) + 2, control)
                self._whole_dataset(begun, data)
                return
        track.length -= len(data)
        self.value(context_id, control, len(data), pdu_length, track)
        if data:
            self.value_data(data, track.last, track.time)
        self.value_end(True)

    def value_data(self, data: bytes, frame: int, time: int) -> None:
        part = self._part
        if part is None:
            part = self._go_on()
        track = part.track
        length = len(data)
        if frame == track.last:
            track.length += length
        elif track.count < FRAMES_KEPT:
            track.add(length, frame, time)
        else:
            # The same without a call: most frames are the middle of something long.
            track.count += 1
            track.last = frame
            track.length += length
            if time > track.time:
                track.time = time
        sieve = part.sieve
        if self._control & COMMAND or sieve is None:
            room = COMMAND_LIMIT - len(part.command)
            part.command += data if length <= room else data[: max(0, room)]
            return
        if length <= sieve.skip:
            sieve.skip -= length
            sieve.length += length
        else:
            chunks = part.chunks
            if len(chunks) < CHUNKS_KEPT and (not chunks or chunks[-1][1] != frame):
                chunks.append((sieve.length, frame))
            sieve.feed(data)
        if part.sink is not None:
            part.sink.write(data)

    @property
    def measured(self) -> int:
        """How many bytes of the present value are only measured, as far as that is known. Not
        before the frames that are remembered have come, and not where a tap wants every byte."""
        part = self._part
        if part is None or self._control & COMMAND or part.sieve is None or part.sink is not None:
            return 0
        return part.sieve.skip if part.track.count >= FRAMES_KEPT else 0

    def skip(self, length: int, frames: int, last: int, time: int) -> None:
        """So many of them came in so many frames more."""
        part = self._part
        assert part is not None
        assert part.sieve is not None
        part.track.pass_over(length, frames, last, time)
        part.sieve.skip -= length
        part.sieve.length += length

    def value_lost(self, length: int) -> None:
        part = self._part
        if part is None:
            return
        part.lost += length
        if self._control & COMMAND or part.sieve is None:
            part.command_lost += length
            return
        part.sieve.lost(length)
        if part.sink is not None:
            part.sink.lost(length)

    def missing(self) -> None:
        # A data set goes on, but where is not known; a command set is not worth going on with.
        self._missing = True
        for part in self._datasets.values():
            part.lost += 1
            if part.sieve is not None:
                part.sieve.lost(None)
            if part.sink is not None:
                part.sink.lost(None)
        commands, self._commands = self._commands, {}
        for part in commands.values():
            part.command_lost += 1
            self._message(part)
            self._emit(part, cut_off=True)

    def value_end(self, whole: bool) -> None:
        part = self._part
        self._part = None
        if part is None:
            return
        if not whole:
            text = "a presentation data value is longer than its P-DATA-TF"
            part.faults = (*part.faults, Fault(text, 0, 0))
            part.lost += 1
        if not self._control & LAST:
            return
        if not self._control & COMMAND:
            self._datasets.pop(part.context_id, None)
            self._emit(part)
            return
        self._commands.pop(part.context_id, None)
        self._command_over(part, read_command(bytes(part.command)))

    def answered(self, context_id: int, message_id: int | None) -> None:
        """The other side has answered this message, so nothing more comes of it: what is missing
        of its data set was lost."""
        part = self._datasets.get(context_id)
        if (
            part is not None
            and part.lost
            and part is not self._part
            and part.message is not None
            and part.message.message_id == message_id
        ):
            del self._datasets[context_id]
            self._emit(part, cut_off=True)

    def finish(self) -> None:
        """Nothing more comes: hand on what is unfinished, in the order it began."""
        self._part = None
        if not (self._datasets or self._commands):
            return
        parts = [*self._datasets.values(), *self._commands.values()]
        self._datasets.clear()
        self._commands.clear()
        for part in sorted(parts, key=lambda p: p.track.began):
            if part.message is None and part.command:
                self._message(part)
            self._emit(part, cut_off=True)

    # -------------------------------------------------------------- inside

    def _whole_command(
        self, context_id: int, data: bytes, pdu_length: int | None, track: Track
    ) -> None:
        """A command set came in one value."""
        meaning = read_command(data)
        dataset_type = meaning.dataset_type
        if dataset_type is None or dataset_type.value != NO_DATA_SET or self._missing:
            part = Part(context_id, track)
            part.command = data
            part.add_fragment(track.last, pdu_length, len(data) + 2, COMMAND | LAST)
            self._command_over(part, meaning)
            return
        # It is the whole message.
        message = message_of(context_id, meaning, self._owner.context(context_id))
        message.packed_fragments = pack_fragment(
            track.last, pdu_length, len(data) + 2, COMMAND | LAST
        )
        message.fragment_count = 1
        self._owner.on_message(self.side, message, True, track, meaning.faults)

    def _command_over(self, part: Part, meaning: Meaning) -> None:
        """The command set is whole: so is the message, or its data set follows."""
        if self._missing and not part.command.startswith(_GROUP_LENGTH):
            part.command_lost += 1
            part.lost += 1
        message = self._message(part, meaning)
        dataset_type = meaning.dataset_type
        if dataset_type is not None and dataset_type.value == NO_DATA_SET:
            self._emit(part)
            return
        if dataset_type is None and part.command_lost == 0 and message.kind == "UNDECODED":
            self._emit(part)
            return
        unfinished = self._datasets.pop(part.context_id, None)
        if unfinished is not None:
            self._emit(unfinished, cut_off=True)
        self._datasets[part.context_id] = part

    def _syntax(self, context_id: int) -> str | None:
        context = self._owner.context(context_id)
        return context.transfer_syntax if context is not None else None

    def _whole_dataset(self, part: Part, data: bytes) -> None:
        """The data set came in one value, and is so small that all of it is held."""
        message = part.message
        assert message is not None
        del self._datasets[part.context_id]
        part.sink = self._owner.open_sink(self.side, message)
        if data:
            message.chunks = ((0, part.track.last),)
            if part.sink is not None:
                part.sink.write(data)
        message.dataset = DataSetBytes(len(data), data)
        self._emit(part)

    def _go_on(self) -> Part:
        """The rest of a value whose message was handed on while it was still under way."""
        part = self._part = Part(self._context_id, Track())
        part.lost = 1
        if self._control & COMMAND:
            part.command_lost = 1
            self._commands[self._context_id] = part
        else:
            self._datasets[self._context_id] = part
            self._open_dataset(part)
        return part

    def _begin_dataset(self, context_id: int) -> Part:
        """A data set fragment on a context where no message expects one."""
        part = self._commands.pop(context_id, None)
        if part is None:
            part = Part(context_id, Track())
        else:
            self._message(part)
            text = "the data set began before the command set ended"
            part.faults = (*part.faults, Fault(text, 0, 0))
        self._datasets[context_id] = part
        return part

    def _message(self, part: Part, meaning: Meaning | None = None) -> Message:
        """The message of a part: what its command set means, as far as that has come."""
        if meaning is None:
            meaning = read_command(bytes(part.command))
        if meaning.faults:
            part.faults += meaning.faults
        context = self._owner.context(part.context_id)
        message = part.message = message_of(part.context_id, meaning, context)
        return message

    def _open_dataset(self, part: Part) -> None:
        context = self._owner.context(part.context_id)
        part.sieve = Sieve(self._syntax(part.context_id))
        if part.message is None:
            part.message = make_message(part.context_id, {}, b"", context)
        part.sink = self._owner.open_sink(self.side, part.message)

    def _emit(self, part: Part, *, cut_off: bool = False) -> None:
        message = part.message
        if message is None:
            context = self._owner.context(part.context_id)
            message = make_message(part.context_id, {}, bytes(part.command), context)
        complete = not (cut_off or part.lost)
        if part.sieve is not None:
            message.dataset = part.sieve.finish(complete)
            message.chunks = held_chunks(message.dataset, part.chunks)
        if part.sink is not None:
            part.sink.close(complete)
        message.packed_fragments = part.fragments
        message.fragment_count = part.fragment_count
        self._owner.on_message(self.side, message, complete, part.track, part.faults)
