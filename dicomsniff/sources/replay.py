"""Saved captures through pyshark: frames as tshark reads them.

tshark is told to write raw frames (``-w -``) instead of text (see
:mod:`dicomsniff.sources.process`). A display filter takes a second tshark beside the first, which
writes the numbers of the frames that pass (``tshark -w`` would number the passing ones anew), and
so does what is inside of TLS (see :mod:`dicomsniff.sources.decryption`). They are walked in step.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator
from typing import IO, Final

from dicomsniff.model import Frame, Stretch, one_by_one
from dicomsniff.sources import STDIN, SourceError, label, source_name
from dicomsniff.sources.decryption import PREFERENCES, Plaintexts, Secrets, arguments
from dicomsniff.sources.process import LoopThread, TsharkProcess, tshark_path
from dicomsniff.sources.stream import CHUNK, GZIP_MAGIC, PEEK, Descriptor, Stream
from dicomsniff.sources.tshark import PATIENCE

PCAPNG: Final = "pcapng"
NANOSECOND_PCAP: Final = "nsecpcap"
"""Forms of output, as tshark calls them."""

PCAPNG_BEGINS: Final = b"\x0a\x0d"
"""The first two bytes of every pcapng file."""

CANNOT_WRITE: Final = "can't be written"
READ_FAILED: Final = "while reading"
DAMAGE: Final = ("cut short", "corrupt", READ_FAILED)
"""Words by which tshark's messages are told apart; it does not translate them."""

DO_WITHOUT: Final = "dicomsniff doctor looks at tshark; --reader scapy does without it"
"""What to do where tshark itself fails."""

NO_SECRETS: Final = Secrets()


class Replay:
    """A saved capture, replayed through pyshark. A ``model.Source``."""

    reader = "pyshark"

    def __init__(
        self,
        path: str,
        *,
        display_filter: str | None = None,
        secrets: Secrets = NO_SECRETS,
        stream: Descriptor | None = None,
        head: bytes = b"",
        spool: IO[bytes] | None = None,
        name: str | None = None,
    ) -> None:
        """Begin to read ``path`` (``-``: the standard input), or ``stream``, of which ``head``
        was read already. ``spool`` is a temporary file that is closed with this, ``name`` another
        one for ``path``. Raises ``SourceError`` where tshark cannot be run."""
        self.name = name or source_name(path)
        self.truncated = False
        self.dropped: int | None = None
        self.notices: list[str] = []
        self._path = name or label(path)
        self._file: str | None = None
        self._size: int | None = None
        self._filter = display_filter
        self._secrets = secrets
        self._lock = threading.Lock()
        self._closed = False
        self._thread: LoopThread | None = None
        self._processes: list[TsharkProcess] = []
        self._frames_from: TsharkProcess | None = None
        self._numbers_from: TsharkProcess | None = None
        self._inside_from: TsharkProcess | None = None
        self._iterated = False
        self._stream = stream
        self._head = head
        self._spool = spool
        self._feeder: threading.Thread | None = None
        tshark_path()
        if stream is None:
            if path == STDIN:
                self._stream = Descriptor(os.dup(0))
            elif os.path.isfile(real := os.path.realpath(path)):
                # The real path: a name may look like an option or like the standard input, or be
                # one of our descriptors, which tshark does not have.
                self._file = real
                self._begin(real)
            else:
                self._stream = _open(path)

    @property
    def progress(self) -> float | None:
        """Share of the file that was read, 0 to 1, by what tshark has handed over of it; None
        where the file is compressed, or a stream, and that says nothing."""
        process, file = self._frames_from, self._file
        if process is None or file is None:
            return None
        if self._size is None:
            self._size = _plain_size(file)
        return min(1.0, process.output.taken / self._size) if self._size else None

    # ------------------------------------------------------------ processes

    def _begin(self, source: str, stdin: int = subprocess.DEVNULL) -> None:
        """Run tshark on ``source``, twice where there is a display filter."""
        # What comes in from a pipe is not to be had again where tshark cannot write it.
        head = self._head if self._file is None else _head(self._file, PEEK)
        form = _suitable_form(head) if self._file or head.startswith(PCAPNG_BEGINS) else PCAPNG
        self._frames_from = self._run(source, ["-F", form, "-w", "-"], stdin)
        if self._filter is not None:
            numbers = ["-Y", self._filter, "-T", "fields", "-e", "frame.number"]
            numbers[:0] = self._secrets.arguments
            self._numbers_from = self._run(
                source, numbers, subprocess.DEVNULL, self._secrets.preferences
            )
        if self._secrets:
            self._inside_from = self._run(
                source,
                arguments(self._secrets),
                subprocess.DEVNULL,
                {**PREFERENCES, **self._secrets.preferences},
            )

    def _run(
        self,
        source: str,
        words: list[str],
        stdin: int,
        preferences: dict[str, str] | None = None,
    ) -> TsharkProcess | None:
        """Run one tshark; None where the source was closed meanwhile."""
        with self._lock:
            if self._closed:
                return None
            if self._thread is None:
                self._thread = LoopThread()
            thread = self._thread
            process = TsharkProcess(thread.loop, source, words, preferences or {}, stdin)
            self._processes.append(process)
            try:
                thread.call(process.start())
            except OSError as error:
                raise SourceError(
                    f"{self._path}: tshark cannot be run: {error.strerror or error}"
                ) from None
            return process

    def _begin_stream(self, stream: Descriptor) -> None:
        """Give tshark what comes in from a pipe; a display filter and TLS need all of it first."""
        if self._filter is not None or self._secrets:
            # Several processes have to read the same bytes.
            try:
                self._spool = tempfile.NamedTemporaryFile(  # noqa: SIM115
                    prefix="dicomsniff-", buffering=0
                )
                data = self._head
                while data or (data := stream.read(CHUNK)):
                    data = data[self._spool.write(data) :]
            except OSError as error:
                raise SourceError(
                    f"{tempfile.gettempdir()}: {error.strerror or error}; {self._path} has to be "
                    "kept there for tshark: set TMPDIR to a folder with room, or read a file"
                ) from None
            self._begin(self._spool.name)
            return
        read_end, write_end = os.pipe()
        try:
            self._begin("-", read_end)
        finally:
            os.close(read_end)
        self._feeder = threading.Thread(
            target=_feed, args=(stream, self._head, write_end), name="dicomsniff-feed", daemon=True
        )
        self._feeder.start()

    # ------------------------------------------------------------ frames

    def __iter__(self) -> Iterator[Frame]:
        """Every frame of the capture, or those that pass the display filter. Once."""
        return one_by_one(self.stretches())

    def stretches(self) -> Iterator[Stretch | Frame]:
        """The same, as many at once as are at hand."""
        try:
            if self._stream is not None:
                if self._iterated:
                    return
                self._iterated = True
                self._head = self._head or self._stream.read(CHUNK)
                if not self._head and not self._closed:
                    raise SourceError(f"{self._path}: empty, not a capture")
                self._begin_stream(self._stream)
            if self._filter is None and not self._secrets:
                yield from self._frames()
                return
            frames = one_by_one(self._frames())
            if self._secrets:
                frames = self._decrypted(frames)
            yield from frames if self._filter is None else self._passing(frames)
        finally:
            self.close()

    def _frames(self) -> Iterator[Stretch | Frame]:
        """Every frame that tshark hands over."""
        # Imported while tshark gets ready, which takes as long.
        from dicomsniff.sources.losses import lost_packets
        from dicomsniff.sources.pcap import Damage
        from dicomsniff.sources.pcapfile import read_frames

        process = self._frames_from
        if process is None:
            return
        stream = Stream(process.output)
        if not stream.peek(4):
            again = self._other_form(process)
            if again is not None:
                process, stream = again, Stream(again.output)
            if not stream.peek(4):
                yield from self._nothing_of(process)
                return
        try:
            reader = read_frames(stream)
        except Damage:
            complaint = self._end_of(process)
            if self._closed:
                return
            told = f": {complaint}" if complaint else ""
            raise SourceError(
                f"{self._path}: what tshark wrote is no capture{told}; {DO_WITHOUT}"
            ) from None
        try:
            yield from reader.stretches()
        except Damage:
            # tshark writes whole records, unless it is killed or crashes: told below.
            pass
        complaint = self._end_of(process)
        if self._closed:
            return
        self.dropped = reader.dropped
        if self._file is not None:
            counted = lost_packets(self._file)
            self.dropped = self.dropped if counted is None else counted
        if complaint is None:
            if not reader.count and self._file is not None:
                self._tell_of_unpacking(self._file)
            return
        if self._file is not None and not any(words in complaint for words in DAMAGE):
            yield from self._read_on(self._file, reader.count, complaint)
            return
        if not reader.count and CANNOT_WRITE in complaint:
            raise SourceError(
                f"{self._path}: of a kind that can be read from a file alone: save it and name it"
            )
        self.truncated = True
        if READ_FAILED in complaint:
            # Not what is in the file, but a disk or a mount that fails.
            raise SourceError(
                f"{self._path}: cannot be read on, the frames before that are shown; "
                f"tshark: {complaint}"
            )
        self.notices.append(
            f"{self._path}: the frames before the damage are shown; tshark: {complaint}"
        )

    def _tell_of_unpacking(self, path: str) -> None:
        """Of a compressed file that ends in its first block tshark says that it is empty."""
        from dicomsniff.sources.pcapfile import DECOMPRESSORS

        program = DECOMPRESSORS.get(_head(path))
        if program is not None:
            self.notices.append(
                f"{self._path}: nothing came of unpacking it, perhaps because it was cut off; this "
                f"tells: {program} -t {self._path}"
            )

    def _read_on(self, path: str, count: int, complaint: str) -> Iterator[Frame]:
        """The frames behind number ``count``, which tshark read and could not write.

        It loses its way in files of several sections whose interfaces differ, for one; or somebody
        has killed it.
        """
        from dicomsniff.sources.pcapfile import CaptureFile

        if not count and CANNOT_WRITE in complaint and (yield from self._by_editcap(path)):
            return
        rest = CaptureFile(path)
        begun = False
        try:
            for frame in rest:
                if not begun:
                    begun = True
                    self.notices.append(f"{self._path}: read on with scapy; tshark: {complaint}")
                if frame.number > count:
                    yield frame
        except SourceError as error:
            self.truncated = True
            if begun:
                raise
            # scapy does not know the format.
            raise SourceError(
                f"{self._path}: tshark ended too early, the frames before that are shown: "
                f"{complaint}"
            ) from error
        finally:
            rest.close()
        self.truncated = rest.truncated
        self.dropped = rest.dropped
        self.notices.extend(rest.notices)

    def _by_editcap(self, path: str) -> Generator[Frame, None, bool]:
        """The frames of a format that tshark does not write; whether editcap does."""
        from dicomsniff.sources.convert import converted
        from dicomsniff.sources.pcapfile import CaptureFile

        spool = converted(path)
        if spool is None:
            return False
        with spool:
            yield from CaptureFile(spool.name)
        return True

    def _passing(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames whose numbers the second tshark writes."""
        process = self._numbers_from
        if process is None:
            return
        numbers = _lines(process.output)
        first = next(numbers, None)
        wanted = first
        for frame in frames:
            if wanted is not None and frame.number == wanted:
                yield frame
                wanted = next(numbers, None)
        complaint = self._end_of(process)
        if complaint is None or self._closed:
            return
        # A damaged file makes both fail alike; a wrong filter makes one of them fail.
        if self._frames_from is not None and complaint != self._end_of(self._frames_from):
            if first is None:
                raise SourceError(f"display filter {self._filter!r}: {complaint}")
            self.truncated = True
            raise SourceError(
                f"{self._path}: the tshark that filters ended too early, the frames before that "
                f"are shown: {complaint}"
            )

    def _decrypted(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames, with what was said inside of TLS in those that complete it."""
        process = self._inside_from
        if process is None:
            return
        plaintexts = Plaintexts(process.output)
        yield from plaintexts.join(frames)
        if self._closed:
            return
        notice = plaintexts.notice(self._secrets, self._end_of(process))
        if notice is not None:
            self.notices.append(f"{self._path}: {notice}")

    def _other_form(self, process: TsharkProcess) -> TsharkProcess | None:
        """tshark wrote nothing: run it once more where another form of output may do."""
        complaint = self._end_of(process)
        if self._file is None or complaint is None or CANNOT_WRITE not in complaint:
            return None
        # Links of several kinds go into pcapng alone.
        again = self._run(self._file, ["-F", PCAPNG, "-w", "-"], subprocess.DEVNULL)
        self._frames_from = again
        return again

    def _end_of(self, process: TsharkProcess) -> str | None:
        """What tshark complained of; waits for its end."""
        if not process.ended.wait(PATIENCE):
            return "tshark closed its output and does not end"
        return process.complaint

    def _nothing_of(self, process: TsharkProcess) -> Iterator[Frame]:
        """tshark wrote nothing: raise what it says, unless it was ended by ``close``."""
        from dicomsniff.sources.pcapfile import CaptureFile

        complaint = self._end_of(process)
        if self._closed:
            return
        if complaint is None:
            raise SourceError(f"{self._path}: empty, not a capture")
        if self._file is not None and CANNOT_WRITE in complaint:
            done = yield from self._by_editcap(self._file)
            if done:
                return
        if CANNOT_WRITE in complaint or "isn't a capture file" in complaint:
            raise SourceError(f"{self._path}: not a packet capture; tshark: {complaint}")
        # What is wrong with the file is said of the file; the rest is wrong with tshark.
        of_file = complaint.startswith("The file") or READ_FAILED in complaint
        mend = "" if of_file else f"; {DO_WITHOUT}"
        refusal = SourceError(f"{self._path}: tshark: {complaint}{mend}")
        if self._file is None or not any(words in complaint for words in DAMAGE):
            raise refusal
        # A file that is cut off in front of its first packet: a capture all the same.
        rest = CaptureFile(self._file)
        try:
            yield from rest
        except SourceError:
            raise refusal from None
        self.truncated = True
        self.notices.append(f"{self._path}: damaged in front of the first frame; {complaint}")

    def close(self) -> None:
        """End tshark, its thread and its pipes; an iteration ends. From any thread, any time."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._stream is not None:
            self._stream.close()
        if self._thread is not None:
            for process in self._processes:
                self._thread.loop.call_soon_threadsafe(process.kill)
            for process in self._processes:
                process.ended.wait(PATIENCE)
                process.output.close()
            self._thread.end()
        if self._feeder is not None:
            self._feeder.join(PATIENCE)
        if self._spool is not None:
            self._spool.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()


def _open(path: str) -> Descriptor:
    """A FIFO or a device, opened as a stream."""
    try:
        return Descriptor(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from None


def _suitable_form(head: bytes) -> str:
    """The form in which tshark is to write the frames of a file that begins with these bytes.

    pcap takes both sides less time, but has one link type for a file; and what tshark writes as
    pcapng does not have the time stamps of every interface as they are.
    """
    if not head.startswith((PCAPNG_BEGINS, GZIP_MAGIC)):
        return NANOSECOND_PCAP
    # Only here: what this imports takes as long as tshark does to get ready.
    from dicomsniff.sources.pcapfile import is_plain_pcapng

    return NANOSECOND_PCAP if is_plain_pcapng(head) is False else PCAPNG


def _plain_size(path: str) -> int:
    """Bytes of a file, 0 of one that tshark does not copy byte for byte."""
    from dicomsniff.sources.pcapfile import READABLE

    try:
        return os.stat(path).st_size if _head(path) in READABLE else 0
    except OSError:
        return 0


def _head(path: str, size: int = 4) -> bytes:
    """The first bytes of a file, none of one that cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _feed(stream: Descriptor, head: bytes, write_end: int) -> None:
    """Copy a stream into tshark's standard input, until either of them ends."""
    try:
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            data = head
            while data or (data := stream.read(CHUNK)):
                # An unbuffered write may take a part only.
                data = data[pipe.write(data) or 0 :]
    except OSError:
        pass


def _lines(output: Descriptor) -> Iterator[int]:
    """The numbers a tshark writes, one a line."""
    rest = b""
    while data := output.read(CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            # A frame inside which the field occurs twice is written as "7,7".
            number = line.split(b",", 1)[0]
            if number.isdigit():
                yield int(number)
