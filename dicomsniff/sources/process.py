"""Running tshark through pyshark.

pyshark finds out tshark's parameters, runs it and listens to what it complains of. Its packet
objects are a hundred times too slow for captures of a hundred thousand frames, so here its tshark
writes into a pipe of ours, which is read straight from the descriptor. tshark waits when the pipe
is full: nothing piles up.

pyshark 0.6 cannot run inside a running event loop and sets up a child watcher that Python 3.14
no longer has, both in the main thread only: so it gets a thread and an event loop of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from pyshark.capture.capture import Capture

from dicomsniff.sources import SourceError
from dicomsniff.sources.stream import Descriptor
from dicomsniff.sources.tshark import PATIENCE, find_tshark

PIPE_SIZE: Final = 1 << 20
"""Bytes a pipe from tshark may hold, where the system lets us choose: the largest that Linux
gives an ordinary user. 64 KiB, the default, makes the two processes wait for each other."""

WORDS_KEPT: Final = 20
"""Lines kept of what tshark writes on its standard error; it says the cause first."""

T = TypeVar("T")


class TsharkProcess(Capture):  # type: ignore[misc]
    """A capture of pyshark's whose tshark writes to a pipe of ours what it is asked to."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        source: str,
        arguments: list[str],
        preferences: dict[str, str],
        stdin: int,
    ) -> None:
        super().__init__(
            eventloop=loop,
            tshark_path=tshark_path(),
            override_prefs=preferences,
            custom_parameters=arguments,
        )
        self._source = source
        self._stdin = stdin
        self.words: list[str] = []
        self.returncode: int | None = None
        self.ended = threading.Event()
        descriptor, self._write_end = os.pipe()
        _widen(descriptor)
        self.output = Descriptor(descriptor)

    def get_parameters(self, packet_count: int | None = None) -> list[str]:
        """tshark's parameters: pyshark's, the arguments asked for, and what to read."""
        parameters: list[str] = super().get_parameters(packet_count)
        return [*parameters, "-r", self._source]

    def _get_tshark_path(self) -> str:
        # pyshark also believes a config.ini that happens to lie in the working directory.
        path: str = self.tshark_path
        return path

    async def _get_tshark_process(
        self, packet_count: int | None = None, stdin: int | None = None
    ) -> asyncio.subprocess.Process:
        """Run tshark with its output on the pipe. ``-n``: no names are looked up."""
        parameters = [self._get_tshark_path(), "-n", *self.get_parameters(packet_count)]
        try:
            process = await asyncio.create_subprocess_exec(
                *parameters,
                stdin=self._stdin if stdin is None else stdin,
                stdout=self._write_end,
                stderr=subprocess.PIPE,
                # Ctrl-C is for us to handle: tshark must not end in the middle of a frame.
                start_new_session=True,
            )
        finally:
            os.close(self._write_end)
        self._create_stderr_handling_task(process.stderr)
        self._running_processes.add(process)
        return process

    async def _handle_process_stderr_forever(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            words = line.decode(errors="replace").strip()
            if words and not words.startswith("Running as user") and len(self.words) < WORDS_KEPT:
                self.words.append(words)

    async def start(self) -> None:
        """Run tshark; its end is awaited in the background."""
        try:
            process = await self._get_tshark_process()
        except BaseException:
            self.ended.set()
            raise
        self._waiting = asyncio.ensure_future(self._wait(process))

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        try:
            self.returncode = await process.wait()
            await asyncio.gather(*self._stderr_handling_tasks)
        finally:
            self._running_processes.discard(process)
            self.ended.set()

    def kill(self) -> None:
        """End tshark now. On the event loop's thread."""
        for process in self._running_processes:
            try:
                process.kill()
            except ProcessLookupError:
                pass

    @property
    def complaint(self) -> str | None:
        """What tshark said when it failed, in one line; None where it did not fail.

        Wait for ``ended`` first.
        """
        if not self.returncode:
            return None
        said = [n for n, words in enumerate(self.words) if words.startswith("tshark: ")]
        if not said:
            return " ".join(self.words[-1:]) or _ending(self.returncode)
        first = said[0]
        detail = self.words[first + 1 : first + 2]
        # Damage is explained in a line of its own, in parentheses.
        more = f" {detail[0]}" if detail and detail[0].startswith("(") else ""
        return self.words[first].removeprefix("tshark: ") + more


def _ending(status: int) -> str:
    """How a process ended that said nothing."""
    if status < 0:
        try:
            return f"it was ended by {signal.Signals(-status).name}"
        except ValueError:
            pass
    return f"it ended with status {status}"


class LoopThread:
    """An event loop in a thread of its own, for pyshark."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        # A daemon: a caller who forgets to close must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run, name="dicomsniff-tshark", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def end(self) -> None:
        """Stop the loop and wait for its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        if self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)


def tshark_path() -> str:
    """tshark's path; raises ``SourceError`` where it is not installed."""
    path = find_tshark()
    if path is None:
        raise SourceError(
            "tshark is not installed: install Wireshark's command line (package tshark), "
            "or use --reader scapy"
        )
    return path


def _widen(descriptor: int) -> None:
    """Let a pipe hold more, where the system can and allows it."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    except (ImportError, AttributeError, OSError):
        pass
