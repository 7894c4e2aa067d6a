"""Decryption of what has no end yet: pipes and interfaces.

The frames of another source are handed to a tshark as they come, and from there on wait until it
has told what was inside of them (see :mod:`dicomsniff.sources.decryption`). They are handed over in
their order, a few milliseconds later than without; no frame waits for the next one.

tshark tells a line for every frame, except for large ones that hold no TLS, which would only be
written out in hexadecimal; an empty frame behind each of those has a line instead. It remembers
what it has seen of every connection, and so takes more memory the longer it runs.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicomsniff.model import Frame, Source
from dicomsniff.sources import SourceError
from dicomsniff.sources.blocks import DECRYPTION_SECRETS, block, interface, packet, section
from dicomsniff.sources.decryption import PREFERENCES, Plaintexts, Secrets, Told, arguments
from dicomsniff.sources.tshark import PATIENCE

if TYPE_CHECKING:
    from dicomsniff.sources.process import LoopThread

LARGE: Final = 400
"""Bytes from which on it is cheaper to write an empty frame than to read one in hexadecimal."""

TOLD: Final = f"tls or not data or frame.len < {LARGE}"
"""The frames that tshark tells a line of, as a display filter."""

_ETHERNET: Final = 1


class _Waiting(NamedTuple):
    """A frame that was handed to tshark."""

    number: int
    """tshark's own."""
    frame: Frame
    at: int


class _Idle(NamedTuple):
    """Nothing came up to this time."""

    time: int


class _Silence(NamedTuple):
    """Nothing has come through a pipe for so many seconds."""

    seconds: float


class _End(NamedTuple):
    """One of the two threads is done, or somebody closed this."""

    who: str
    error: BaseException | None = None


class Decrypting:
    """Another source, decrypted. A ``model.Source``.

    The other source is iterated by a thread of this one's; whatever it calls (``idle``,
    ``silent``) is called from the thread that iterates this. Without a key log and keys, tshark is
    run only where the capture brings secrets along.
    """

    def __init__(self, inner: Source, secrets: Secrets) -> None:
        """Raises ``SourceError`` where tshark is not installed or cannot be run."""
        self._inner: Any = inner
        self._secrets = secrets
        self.name = inner.name
        self.idle: Callable[[int], None] | None = None
        self.silent: Callable[[float], None] | None = None
        self.at = 0
        """As the other source's: which of its links the latest frame came from."""
        self._lock = threading.Lock()
        self._closed = False
        self._links: dict[int, int] = {}
        """Number of an interface by its link type, in what is written to tshark."""
        self._written = 0
        self._gone = False
        """tshark reads no more."""
        self._notice: str | None = None
        self._events: queue.SimpleQueue[_Waiting | _Idle | _Silence | Told | _End] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []
        self._thread: LoopThread | None = None
        if secrets.given:
            self._start()

    def _start(self) -> None:
        """Run tshark."""
        # Late: of pipes, those with TLS in them alone need it.
        from dicomsniff.sources.process import LoopThread, TsharkProcess, tshark_path

        tshark_path()
        self._inner.decrypted = True
        read_end, self._write_end = os.pipe()
        self._thread = LoopThread()
        words = ["-l", *arguments(self._secrets, TOLD)]
        preferences = {**PREFERENCES, **self._secrets.preferences}
        self._process = TsharkProcess(self._thread.loop, "-", words, preferences, read_end)
        try:
            self._thread.call(self._process.start())
        except OSError as error:
            os.close(self._write_end)
            self._thread.end()
            self._thread = None
            raise SourceError(
                f"{self.name}: tshark cannot be run: {error.strerror or error}"
            ) from None
        finally:
            os.close(read_end)
        self._plaintexts = Plaintexts(self._process.output)

    def __getattr__(self, name: str) -> Any:
        # What only some sources have: interfaces their links, files how far they are.
        if name in ("links", "losses", "progress"):
            return getattr(self._inner, name)
        raise AttributeError(name)

    @property
    def count_drops(self) -> Callable[[], None] | None:
        """As an interface has it; that one counts by itself, in the thread that iterates it."""
        return (lambda: None) if hasattr(self._inner, "count_drops") else None

    @property
    def truncated(self) -> bool:
        """As the other source says."""
        found: bool = self._inner.truncated
        return found

    @property
    def dropped(self) -> int | None:
        """As the other source says."""
        found: int | None = self._inner.dropped
        return found

    @property
    def reader(self) -> str:
        """As the other source says."""
        found: str = self._inner.reader
        return found

    @property
    def notices(self) -> list[str]:
        """Those of the other source, and what was not decrypted."""
        found: list[str] = self._inner.notices
        return found if self._notice is None else [*found, self._notice]

    # ------------------------------------------------------------ frames

    def __iter__(self) -> Iterator[Frame]:
        """Every frame of the other source. Once."""
        frames = iter(self._inner)
        try:
            if self._thread is None:
                if hasattr(self._inner, "silent"):
                    self._inner.silent = self.silent
                first = next(frames, None)
                if first is None:
                    return
                if not self._inner.secrets:
                    yield first
                    yield from frames
                    return
                frames = chain((first,), frames)
                self._start()
            if hasattr(self._inner, "idle"):
                self._inner.idle = lambda time: self._events.put(_Idle(time))
            if hasattr(self._inner, "silent"):
                self._inner.silent = lambda seconds: self._events.put(_Silence(seconds))
            self._begin("frames", lambda: self._feed(frames))
            self._begin("inside", self._listen)
            yield from self._in_step()
        finally:
            self.close()

    def _begin(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=f"dicomsniff-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _in_step(self) -> Iterator[Frame]:
        """The frames, each when tshark has passed it."""
        waiting: deque[_Waiting] = deque()
        over: dict[str, BaseException | None] = {}
        while len(over) < 2 and not self._closed:
            event = self._events.get()
            if isinstance(event, _Waiting):
                waiting.append(event)
                if "inside" in over:
                    self.at = event.at
                    yield waiting.popleft().frame
            elif isinstance(event, Told):
                while waiting and waiting[0].number <= event.number:
                    number, frame, self.at = waiting.popleft()
                    yield event.of(frame) if number == event.number else frame
            elif isinstance(event, _Idle):
                if self.idle is not None:
                    # What is still waiting may be older.
                    self.idle(min(event.time, waiting[0].frame.time) if waiting else event.time)
            elif isinstance(event, _Silence):
                if self.silent is not None and not waiting:
                    self.silent(event.seconds)
            else:
                over[event.who] = event.error
                while event.who == "inside" and waiting:
                    _, frame, self.at = waiting.popleft()
                    yield frame
        error = over.get("frames")
        if error is not None:
            raise error
        if not self._closed:
            self._conclude()

    def _conclude(self) -> None:
        """Tell what was not decrypted."""
        complaint = None
        if self._process.ended.wait(PATIENCE):
            complaint = self._process.complaint
        notice = self._plaintexts.notice(self._secrets, complaint)
        if notice is not None:
            self._notice = f"{self.name}: {notice}"

    # ------------------------------------------------------------ threads

    def _feed(self, frames: Iterator[Frame]) -> None:
        """Hand the frames to tshark, and remember them."""
        error: BaseException | None = None
        put = self._events.put
        inner = self._inner
        brought = 0
        try:
            with os.fdopen(self._write_end, "wb", buffering=0) as pipe:
                self._send(pipe, section() + self._described(_ETHERNET))
                for frame in frames:
                    for body in getattr(inner, "secrets", ())[brought:]:
                        self._send(pipe, block(DECRYPTION_SECRETS, body))
                        brought += 1
                    data = self._record(frame)
                    # Remembered first: tshark's line may be quicker than we.
                    put(_Waiting(self._written, frame, getattr(inner, "at", 0)))
                    if len(frame.data) >= LARGE:
                        data += self._record(Frame(0, frame.time, _ETHERNET, b"", 0))
                    self._send(pipe, data)
        except BaseException as raised:
            error = raised
        finally:
            put(_End("frames", error))

    def _described(self, link_type: int) -> bytes:
        """The description of one more interface."""
        self._links[link_type] = len(self._links)
        return interface(link_type)

    def _record(self, frame: Frame) -> bytes:
        """A frame as a packet block."""
        described = b"" if frame.link_type in self._links else self._described(frame.link_type)
        self._written += 1
        _, pieces = packet(frame, self._links[frame.link_type])
        return b"".join((described, *pieces))

    def _send(self, pipe: Any, data: bytes) -> None:
        """Write to tshark; one that has ended is told of at the end, and done without."""
        if self._gone:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[pipe.write(view) :]
        except OSError:
            self._gone = True

    def _listen(self) -> None:
        """Take what tshark tells."""
        try:
            for told in self._plaintexts:
                self._events.put(told)
        finally:
            self._events.put(_End("inside"))

    # ------------------------------------------------------------ the end

    def stop(self) -> None:
        """End the capture, but hand over what came before now. From any thread."""
        stop = getattr(self._inner, "stop", self._inner.close)
        stop()

    def close(self) -> None:
        """End everything. From any thread, and from a signal handler."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._inner.close()
        if self._thread is not None:
            self._thread.loop.call_soon_threadsafe(self._process.kill)
            self._process.ended.wait(PATIENCE)
            if not self._threads:
                os.close(self._write_end)
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(PATIENCE)
            self._process.output.close()
            self._thread.end()
        # An iteration in another thread may be waiting.
        self._events.put(_End("closed"))

    def __del__(self) -> None:
        if "_closed" in self.__dict__ and not self._closed:
            self.close()
