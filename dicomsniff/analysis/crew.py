"""Processes that share the work on a capture.

The process that reads it hands out batches of packets, and what it is told comes back, a batch for
a batch. Packets lie in memory that all of them see; what else there is to say of them goes through
a pipe to each process, and answers come through another one.

They are forked, and before anything else is begun: where threads run already a copy of a process
is in danger. One is made, gets ready while the process that reads does, too, and makes the others.
"""

from __future__ import annotations

import marshal
import mmap
import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from time import monotonic, sleep
from typing import Any, BinaryIO, Final

SLOT: Final = 1 << 19
"""Bytes of packets in a batch, at most; a longer piece goes through the pipes."""

SLOTS: Final = 6
"""Batches under way."""

CHUNK: Final = 1 << 20
"""Bytes read from a pipe at once, and that a pipe may hold where the system lets us choose."""

PATIENCE: Final = 200
"""Milliseconds to wait for the others before it is seen whether somebody has interrupted."""

_FORM: Final = 2
"""Of what is written: the last one that does not look for what is the same twice, which takes
longer than to write it twice."""

_HEAD: Final = 4
"""Bytes that tell the length of what follows."""

_SIGNALS: Final = frozenset(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

LOST: Final = "a process that shared the work ended too early"

ENDING: Final = 5.0
"""Seconds that they have to end; a batch takes a tenth of one."""

Work = Callable[["Crew", Callable[[], Any], Callable[[Any], None]], None]
"""What a process does: asks for the next batch, None at the end, and answers it."""


class Lost(Exception):
    """A process ended before its work was done."""


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def possible() -> bool:
    """Whether processes can be forked here and now."""
    return hasattr(os, "fork") and hasattr(select, "poll") and threading.active_count() == 1


class _Worker:
    """One of the processes, from outside."""

    def __init__(self, inbox: int, outbox: int) -> None:
        self.inbox = inbox
        self.outbox = outbox
        self.unsent = bytearray()
        self.unread = bytearray()
        self.answers: deque[Any] = deque()
        self.answered = 0
        for descriptor in (inbox, outbox):
            os.set_blocking(descriptor, False)
            _widen(descriptor)


class Crew:
    """Processes that do the same work on parts of the same thing."""

    def __init__(self, count: int, prepare: Callable[[], Work]) -> None:
        """Begin ``count`` of them; see :func:`possible`. The first one prepares the work, and is
        then copied, while this process does something else. Raises ``OSError`` where the system
        allows no more processes."""
        self._memory = mmap.mmap(-1, SLOT * SLOTS)
        self._sent = self._answered = 0
        self._workers: list[_Worker] = []
        self._process = 0
        ends = [(*os.pipe(), *os.pipe()) for _ in range(count)]
        try:
            with undisturbed():
                self._process = os.fork()
                if not self._process:
                    self._be_all(prepare, ends)
        except OSError:
            for descriptor in chain.from_iterable(ends):
                os.close(descriptor)
            raise
        for asked, ask, answer, answered in ends:
            os.close(asked)
            os.close(answered)
            self._workers.append(_Worker(ask, answer))

    def __len__(self) -> int:
        return len(self._workers)

    def _be_all(self, prepare: Callable[[], Work], ends: list[tuple[int, int, int, int]]) -> None:
        """Do the work, in a new process, and end it."""
        status = 1
        copies: list[int] = []
        try:
            # Whoever interrupts means the process that reads: it tells when the work is over.
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_IGN)
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 0)
            os.dup2(nowhere, 1)
            # What stays open here would not end where it should.
            for _, ask, answer, _ in ends:
                os.close(ask)
                os.close(answer)
            work = prepare()
            mine = ends[0]
            for each_end in ends[1:]:
                process = os.fork()
                if not process:
                    mine = each_end
                    copies = []
                    break
                copies.append(process)
            for each_end in ends:
                if each_end is not mine:
                    os.close(each_end[0])
                    os.close(each_end[3])
            with open(mine[0], "rb", buffering=CHUNK) as inbox, open(mine[3], "wb") as outbox:
                work(self, lambda: _receive(inbox), lambda what: _send(outbox, what))
            status = 0
        except BaseException:
            # One process does all of it anew, and shows what is wrong; here it may be no more than
            # that nobody asks any more.
            if sys.flags.dev_mode:
                sys.excepthook(*sys.exc_info())
        finally:
            for process in copies:
                _wait(process, 0)
            os._exit(status)

    # ------------------------------------------------------------ in the process that reads

    def put(self, pieces: list[bytes]) -> tuple[int, bytes]:
        """Where the bytes of the next batch lie; the bytes, where they have to go along."""
        while self._sent - self._answered >= SLOTS:
            self._exchange(wait=True)
        if sum(map(len, pieces)) > SLOT:
            return 0, b"".join(pieces)
        begin = at = self._sent % SLOTS * SLOT
        for piece in pieces:
            self._memory[at : at + len(piece)] = piece
            at += len(piece)
        return begin, b""

    def get(self, begin: int, end: int) -> bytes:
        """The bytes there. In a process that works."""
        return self._memory[begin:end]

    def ask(self, questions: list[Any]) -> None:
        """Hand out a batch: to each its own."""
        with undisturbed():
            for worker, question in zip(self._workers, questions, strict=True):
                told = marshal.dumps(question, _FORM)
                worker.unsent += len(told).to_bytes(_HEAD, "little")
                worker.unsent += told
            self._sent += 1
        self._exchange(wait=False)

    def answers(self, take: Callable[[list[Any]], None], *, wait: bool = False) -> bool:
        """Have the answers to the next batch taken, where all have answered; whether there may be
        more. ``wait``: for as long as something was asked that is not answered."""
        while not all(worker.answers for worker in self._workers):
            if not wait or self._answered == self._sent:
                return False
            self._exchange(wait=True)
        with undisturbed():
            take([worker.answers.popleft() for worker in self._workers])
        return True

    def _exchange(self, *, wait: bool) -> None:
        """Send and receive what can be; ``wait`` a while until something can."""
        with undisturbed():
            poll = select.poll()
            ends = {}
            for worker in self._workers:
                if worker.answered < self._sent:
                    ends[worker.outbox] = worker
                    poll.register(worker.outbox, select.POLLIN)
                if worker.unsent and not self._write(worker):
                    ends[worker.inbox] = worker
                    poll.register(worker.inbox, select.POLLOUT)
            for descriptor, _ in poll.poll(PATIENCE if wait else 0):
                worker = ends[descriptor]
                if descriptor == worker.inbox:
                    self._write(worker)
                else:
                    self._read(worker)
            self._answered = min(worker.answered for worker in self._workers)

    def _write(self, worker: _Worker) -> bool:
        """Send what the pipe takes; whether that was all."""
        try:
            while worker.unsent:
                del worker.unsent[: os.write(worker.inbox, worker.unsent)]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            raise Lost(LOST) from None
        return True

    def _read(self, worker: _Worker) -> None:
        """Take what has come."""
        data = os.read(worker.outbox, CHUNK)
        if not data:
            raise Lost(LOST)
        unread = worker.unread
        unread += data
        at = 0
        while len(unread) - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(unread[at : at + _HEAD], "little")
            if end > len(unread):
                break
            worker.answers.append(marshal.loads(memoryview(unread)[at + _HEAD : end]))
            worker.answered += 1
            at = end
        del unread[:at]

    def close(self) -> None:
        """End them. They end by themselves when nobody asks any more."""
        workers, self._workers = self._workers, []
        for worker in workers:
            os.close(worker.inbox)
            os.close(worker.outbox)
        until = monotonic() + ENDING
        while self._process:
            if _wait(self._process, os.WNOHANG):
                self._process = 0
            elif monotonic() > until:
                os.kill(self._process, signal.SIGKILL)
                until += ENDING
            else:
                sleep(0.002)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without an interruption, which would leave half of a message sent: it comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # not on every system
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(process: int, how: int) -> bool:
    """Whether a process has ended."""
    try:
        return os.waitpid(process, how)[0] == process
    except ChildProcessError:
        return True  # whoever began us wants nobody to be waited for (SIGCHLD is ignored)


def _widen(descriptor: int) -> None:
    """Let a pipe hold more, where the system can and allows it."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, CHUNK)
    except (ImportError, AttributeError, OSError):
        pass


def _receive(inbox: BinaryIO) -> Any:
    """What is asked next; the end of the pipe is the end of the work."""
    head = inbox.read(_HEAD)
    return marshal.loads(inbox.read(int.from_bytes(head, "little"))) if head else None


def _send(outbox: BinaryIO, answer: Any) -> None:
    told = marshal.dumps(answer, _FORM)
    outbox.write(len(told).to_bytes(_HEAD, "little") + told)
    outbox.flush()
