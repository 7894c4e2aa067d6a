"""Interfaces, live, through scapy's sockets.

scapy opens the socket of an interface: filter, promiscuous mode. Its packets are taken out of a
ring that the kernel writes and this process reads (packet(7), PACKET_RX_RING): a system call for
each packet costs more than all that is done with it, and scapy gives times as floating point
numbers, which cannot hold nanoseconds of this century, and says nothing of packets that the kernel
dropped. The interface ``any`` is a socket of its own that hands over packets without their link
header; they get Linux cooked headers (version 2), as tcpdump writes them.

Linux alone. Elsewhere scapy's own listening socket is used as it is, on one interface.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from dicomsniff.model import Frame, Loss, Skim
from dicomsniff.sources import SourceError
from dicomsniff.sources.interfaces import ANY, THREE_WAYS, Interface, list_interfaces

__all__ = ["ANY", "LiveCapture", "list_interfaces"]

RING: Final = 128 << 20
"""Bytes the kernel may hold for us, all interfaces together: a second at 1 Gbit/s. It is taken
once, and is the larger part of the memory that a capture shows."""

RING_LEAST: Final = 4 << 20
"""The smallest ring that is worth having; where memory is short, smaller ones are tried down to
this."""

FRAME_SIZE: Final = 1 << 19
"""Longest frame: Linux hands over up to 512 KiB at once where offloading is tuned up (BIG TCP)."""

BLOCK: Final = 1 << 20
"""Bytes of one block of the ring, which is handed over as a whole: room for the longest frame."""

BLOCK_TIMEOUT: Final = 40
"""Milliseconds after which a block is handed over though it is not full: how late a packet is
seen. A quiet network fills one block in that time whatever its size, and 128 of them are five
seconds."""

STATISTICS_EVERY: Final = 1.0
"""Seconds between two looks at the kernel's counter of dropped packets, and at most between two
calls of ``idle``."""

LOOK_AGAIN_AFTER: Final = 0.05
"""Seconds before a look at that counter is worth repeating: many associations end in one moment."""

LOSSES_KEPT: Final = 1000
"""Times remembered at which packets were dropped; past that the oldest become one."""

NOTICES_KEPT: Final = 32
"""Notices of one capture: an interface may go up and down for days."""

LINK_TYPES: Final = {
    1: 1,  # ARPHRD_ETHER: Ethernet
    772: 1,  # ARPHRD_LOOPBACK: Ethernet with empty addresses
    65534: 101,  # ARPHRD_NONE (tun, WireGuard): raw IP
    768: 101,  # ARPHRD_TUNNEL (IP in IP)
    769: 101,  # ARPHRD_TUNNEL6
    776: 101,  # ARPHRD_SIT
    778: 101,  # ARPHRD_IPGRE
    801: 105,  # ARPHRD_IEEE80211
    802: 119,  # ARPHRD_IEEE80211_PRISM
    803: 127,  # ARPHRD_IEEE80211_RADIOTAP
}
"""LINKTYPE by the kernel's hardware type (linux/if_arp.h)."""

COOKED: Final = 276
"""LINKTYPE_LINUX_SLL2."""

_ETHERNET: Final = 1
_LOOPBACK: Final = 772
_SOL_PACKET: Final = 263
_PACKET_RX_RING: Final = 5
_PACKET_STATISTICS: Final = 6
_PACKET_VERSION: Final = 10
_PACKET_IGNORE_OUTGOING: Final = 23
_PACKET_OUTGOING: Final = 4
_TPACKET_V3: Final = 2
_SO_ATTACH_FILTER: Final = 26
_BPF_RETURN: Final = 0x06
"""BPF_RET | BPF_K: take so many bytes of the packet, none where that is 0."""
_DLT_RAW: Final = 12
"""What a filter is compiled for where packets begin with their IP header."""
_ALL: Final = 0x0003
"""ETH_P_ALL."""
_VLAN_VALID: Final = 0x10
_VLAN_TPID_VALID: Final = 0x40
_RING_REQUEST: Final = struct.Struct("=7I")
"""struct tpacket_req3: block size, blocks, frame size, frames, timeout, private bytes, features."""
_BLOCK_STATUS: Final = struct.Struct("=I")
_BLOCK_HEAD: Final = struct.Struct("=II")
"""Number of packets, offset of the first; behind version, private offset and status."""
_PACKET: Final = struct.Struct("=IIIIIIH32xB")
"""struct tpacket3_hdr: offset of the next, seconds, nanoseconds, captured, length, status, offset
of the data; and of struct sockaddr_ll, which follows it, the packet type."""
_TAG: Final = struct.Struct("=32xIH")
"""VLAN tag and its Ethernet type, of struct tpacket3_hdr."""
_ADDRESS: Final = struct.Struct("=50xHiHBB8s")
"""The rest of struct sockaddr_ll: protocol, interface, hardware type, packet type, length of the
address, address."""
_COOKED_HEAD: Final = struct.Struct("!HxxIHBB8s")
_FLAGS_OF: Final = 0x8913
"""SIOCGIFFLAGS."""
_FLAGS: Final = struct.Struct("=16sH22x")
"""struct ifreq: name, flags."""
_UP: Final = 1
_SECOND: Final = 1_000_000_000

_Taken = tuple[int, int, bytes, int]
"""Time, index of the link, bytes, length on the wire."""


class Link(NamedTuple):
    """What is captured on, as a file that keeps the packets describes it."""

    name: str
    type: int
    """LINKTYPE_… value."""
    snaplen: int


class LiveCapture:
    """Frames from interfaces, until it is closed. A ``model.Source``."""

    reader = "live"

    def __init__(
        self,
        *interfaces: str,
        capture_filter: str | None = None,
        promiscuous: bool = True,
        snaplen: int | None = None,
        duration: float | None = None,
        count: int | None = None,
    ) -> None:
        """Open ``interfaces``; packets are kept by the kernel from now on. ``duration`` (seconds)
        and ``count`` (packets) end the capture by themselves.

        Raises ``SourceError`` where one is missing or down, where the user may not capture, or
        where the filter is refused.
        """
        self.name = ",".join(interfaces)
        self.truncated = False
        self.dropped: int | None = None
        self.losses: list[Loss] = []
        """When packets were dropped, the oldest first."""
        self._looked = (0.0, time.time_ns())
        """When the counter was looked at: on the monotonic clock, and on that of the packets."""
        self.notices: list[str] = []
        self.hear: Callable[[str], None] | None = None
        """Told of what would be a notice, when it happens."""
        self.idle: Callable[[int], None] | None = None
        """Called about once a second, between frames, with a time up to which no frame is missing
        (nanoseconds since the epoch): time passes on a silent network too, and where packets are
        only counted."""
        self.skim: Skim | None = None
        """Shown each packet where it lies, where there is one interface: what it takes note of is
        not handed over."""
        self.keep: Callable[[Frame, bool], None] | None = None
        """Gets those as well, and whether they are of interest, where somebody keeps packets."""
        self.at = 0
        """Index in ``links`` of the link that the latest frame came from."""
        self._snaplen = snaplen
        self._duration = duration
        self._count = count
        self._lock = threading.Lock()
        self._closed = False
        self._stopped = 0.0
        """When it was stopped, on a clock that nobody sets back."""
        self._until: int | None = None
        """Packets up to this time are handed over yet, and then no more."""
        self._iterating = False
        self._gone: SourceError | None = None
        """Why nothing can come any more."""
        names = list(dict.fromkeys(interfaces))
        for name in names:
            _check(name, snaplen)
        if sys.platform != "linux" and len(names) > 1:
            raise SourceError(f"{self.name}: several interfaces at once are for Linux; name one")
        self._sockets: list[Any] = []
        self._rings: list[_Ring] = []
        self._wake = (-1, -1)
        try:
            for name in names:
                opened = _open(name, capture_filter, promiscuous, snaplen)
                self._sockets.append(opened)
                if sys.platform == "linux":
                    self._rings.append(_Ring(name, opened, snaplen, len(self._rings), len(names)))
            self._wake = os.pipe()
            self._count_drops()
        except BaseException:
            self._release()
            raise
        snaplen = snaplen or FRAME_SIZE
        self.links = [Link(ring.name, ring.link_type, snaplen) for ring in self._rings] or [
            Link(self.name, self._link_type_elsewhere(), snaplen)
        ]
        """What is captured on."""

    def __iter__(self) -> Iterator[Frame]:
        """Every frame as it comes, until ``close``."""
        with self._lock:
            if self._closed:
                return
            self._iterating = True
        try:
            # What is called from in there may fail as well, and then it is not an interface.
            yield from self._linux() if sys.platform == "linux" else self._elsewhere()
            if self._gone is not None:
                raise self._gone
        finally:
            self._count_drops()
            with self._lock:
                self._iterating = False
                self._release()

    def _linux(self) -> Iterator[Frame]:
        """Frames from the rings."""
        rings = self._rings
        types = [ring.link_type for ring in rings]
        new = tuple.__new__
        alone = rings[0] if len(rings) == 1 else None
        number = 0
        most = self._count or sys.maxsize
        end = time.monotonic() + (self._duration if self._duration is not None else 1e12)
        look = time.monotonic() + STATISTICS_EVERY
        while not self._closed:
            taken: Iterable[_Taken]
            last = 0
            if alone is not None:
                # What is counted where it lies cannot be counted exactly to its end.
                exactly = self._count is not None or self._until is not None
                busy = alone.ready
                taken = alone.sift(None if exactly else self.skim, self.keep)
            else:
                taken = []
                for ring in rings:
                    ring.take(taken)
                taken.sort(key=_time_of)
                busy = bool(taken)
                last = taken[-1][0] if busy else 0
            for when, at, data, length in taken:
                if self._until is not None and when > self._until:
                    return
                number = alone.seen if alone is not None else number + 1
                self.at = at
                # As Frame(…) does, without a call of Python's.
                yield new(Frame, (number, when, types[at], data, length))
                if number >= most or self._closed:
                    return
            if alone is not None:
                last = alone.last
            now = time.monotonic()
            if now >= look:
                look = now + STATISTICS_EVERY
                self._count_drops()
                for ring in rings:
                    if ring.down:
                        self._down(ring)
                if self.idle is not None:
                    # What came within the block's time may still be on its way to us.
                    upto = last if busy else time.time_ns()
                    self.idle(upto - 2_000_000 * BLOCK_TIMEOUT)
            if now >= end and self._until is None:
                self.stop()
            if busy:
                continue
            if self._until is not None:
                if now > self._stopped + 2 * BLOCK_TIMEOUT / 1000:
                    return
                time.sleep(BLOCK_TIMEOUT / 4000)
            elif not self._wait(min(look, end)):
                return

    def _wait(self, until: float) -> bool:
        """Wait for a block, or until a time; False where nothing can come any more."""
        poll = select.poll()
        for ring in self._rings:
            if not ring.gone:
                poll.register(ring.descriptor, select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        try:
            events = poll.poll(max(0.0, until - time.monotonic()) * 1000)
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from None
        for descriptor, event in events:
            if event & (select.POLLERR | select.POLLHUP):
                self._down(next(each for each in self._rings if each.descriptor == descriptor))
        return not self._closed

    def _down(self, ring: _Ring) -> None:
        """An interface is down: it may come back, or be gone, and there may be others. Where there
        are none the capture ends, with what has come before."""
        ring.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # reading it clears it
        now = ring.now_called()
        if now is not None:
            up = ring.up(now)
            called = f"{ring.name}: " if now == ring.name else f"{ring.name}, which is {now} now, "
            if not up and not ring.down:
                self._notice(f"{called}went down; the capture goes on when it is up again")
            elif up and ring.down:
                self._notice(f"{called}is up again")
            ring.down = not up
            return
        ring.gone, ring.down = True, False
        if not all(each.gone for each in self._rings):
            self._notice(f"{ring.name}: is gone; the capture goes on without it")
            return
        self._gone = SourceError(f"{ring.name}: is gone; the capture ended there")
        self.stop()

    def _notice(self, text: str) -> None:
        if self.hear is not None:
            self.hear(text)
        elif len(self.notices) < NOTICES_KEPT:
            self.notices.append(text)

    def _link_type_elsewhere(self) -> int:
        from scapy.config import conf

        return int(conf.l2types.layer2num.get(self._sockets[0].LL, 1))

    def _elsewhere(self) -> Iterator[Frame]:
        """Frames from scapy's listening socket of this system."""
        listening = self._sockets[0]
        link_type = self._link_type_elsewhere()
        number = 0
        most = self._count or sys.maxsize
        end = time.monotonic() + (self._duration if self._duration is not None else 1e12)
        while not self._closed and self._until is None and number < most and time.monotonic() < end:
            # Asks often whether to end: not every one of these sockets can be waited for.
            try:
                ready = listening.select([listening], 0.2)
                _, data, when = listening.recv_raw(FRAME_SIZE) if ready else (None, b"", None)
            except OSError as error:
                raise SourceError(f"{self.name}: {error.strerror or error}") from None
            if not ready:
                if self.idle is not None:
                    self.idle(time.time_ns() - _SECOND)
                continue
            if not data:
                continue
            length = len(data)
            if self._snaplen is not None:
                data = data[: self._snaplen]
            number += 1
            moment = int(when * _SECOND) if when else time.time_ns()
            yield Frame(number, moment, link_type, data, length)

    def count_drops(self) -> None:
        """Have ``dropped`` and ``losses`` up to date. In the thread that iterates."""
        if time.monotonic() - self._looked[0] >= LOOK_AGAIN_AFTER:
            self._count_drops()

    def _count_drops(self) -> None:
        """Add what the kernel dropped since the last look."""
        dropped = 0
        for ring in self._rings:
            dropped += ring.dropped()
        if self._rings:
            self.dropped = (self.dropped or 0) + dropped
        before = self._looked[1]
        self._looked = time.monotonic(), time.time_ns()
        if dropped:
            losses = self.losses
            losses.append(Loss(before, self._looked[1], dropped))
            if len(losses) > LOSSES_KEPT:
                first, second = losses[:2]
                losses[:2] = [Loss(first.first, second.last, first.packets + second.packets)]

    def stop(self) -> None:
        """End the capture, but hand over what came before now. From any thread, and from a signal
        handler of the thread that iterates."""
        if self._until is not None or self._closed:
            return
        self._stopped = time.monotonic()
        self._until = time.time_ns()
        os.write(self._wake[1], b"\0")

    def close(self) -> None:
        """End the capture; an iteration ends at once. From any thread, and from a signal handler
        of the thread that iterates."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            if self._iterating:
                # The iterating thread closes the socket: closing it under a call is a race.
                os.write(self._wake[1], b"\0")
            else:
                self._count_drops()
                self._release()

    def _release(self) -> None:
        self._closed = True
        for ring in self._rings:
            ring.close()
        self._rings = []
        opened, self._sockets = self._sockets, []
        for each in opened:
            each.close()
        wake, self._wake = self._wake, (-1, -1)
        if wake[0] >= 0:
            for descriptor in wake:
                os.close(descriptor)


def _time_of(taken: _Taken) -> int:
    return taken[0]


class _Ring:
    """Packets of one socket, as the kernel puts them into memory that both can see."""

    def __init__(
        self, name: str, opened: Any, snaplen: int | None, index: int, sharing: int
    ) -> None:
        self.name = name
        self.socket: socket.socket = opened.ins
        self.descriptor = self.socket.fileno()
        self._cooked = name == ANY
        self._snaplen = snaplen
        self._index = index
        self._number = 0 if self._cooked else socket.if_nametoindex(name)
        kind = 0 if self._cooked else self.socket.getsockname()[3]
        link_type = COOKED if self._cooked else LINK_TYPES.get(kind)
        if link_type is None:
            raise SourceError(f"{name}: links of hardware type {kind} are not known here")
        self.link_type = link_type
        self._loopback = kind == _LOOPBACK
        if self._loopback:
            # Each packet passes twice there, and what has passed is counted, and may be dropped.
            try:
                self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            except OSError:
                pass  # Linux before 4.20: those on their way out are left out below
        self.seen = 0
        """Packets so far: the number of the latest."""
        self.last = 0
        """When the last packet of the latest block came."""
        self.down = False
        """Known to be down; the kernel tells only once."""
        self.gone = False
        self._blocks = self._map(max(RING // sharing, RING_LEAST) // BLOCK)
        self._next = 0

    def _map(self, blocks: int) -> int:
        """Have the kernel set up the ring; what came before it is forgotten."""
        request = self.socket.setsockopt
        try:
            request(_SOL_PACKET, _PACKET_VERSION, struct.pack("=I", _TPACKET_V3))
            while True:
                try:
                    frames = blocks * (BLOCK // 2048)
                    ring = _RING_REQUEST.pack(BLOCK, blocks, 2048, frames, BLOCK_TIMEOUT, 0, 0)
                    request(_SOL_PACKET, _PACKET_RX_RING, ring)
                    break
                except OSError:
                    blocks //= 2
                    if blocks * BLOCK < RING_LEAST:
                        raise
            self._memory = mmap.mmap(self.descriptor, blocks * BLOCK)
        except OSError as error:
            raise SourceError(
                f"{self.name}: the kernel gives no memory for packets ({error.strerror}); capture "
                "with another program: tcpdump -U -w - | dicomsniff open -"
            ) from None
        return blocks

    @property
    def ready(self) -> bool:
        """Whether the next block is full, or its time has passed."""
        return bool(_BLOCK_STATUS.unpack_from(self._memory, self._next * BLOCK + 8)[0] & 1)

    def take(self, out: list[_Taken]) -> None:
        """Take the next block's packets, where there is one."""
        out.extend(self.sift())

    def sift(
        self, skim: Skim | None = None, keep: Callable[[Frame, bool], None] | None = None
    ) -> Iterator[_Taken]:
        """The next block's packets, where there is one, but for those that ``skim`` takes note
        of, which ``keep`` gets."""
        if not self.ready:
            return
        memory = self._memory
        base = self._next * BLOCK
        packets, at = _BLOCK_HEAD.unpack_from(memory, base + 12)
        at += base
        plain = not self._cooked and self._snaplen is None
        ethernet = self.link_type == _ETHERNET and plain
        index = self._index
        unpack = _PACKET.unpack_from
        for _ in range(packets):
            following, seconds, nanoseconds, captured, length, status, start, direction = unpack(
                memory, at
            )
            when = seconds * _SECOND + nanoseconds
            begin = at + start
            noted = 0
            if ethernet and (direction != _PACKET_OUTGOING or not self._loopback):
                tagged = status & _VLAN_VALID
                if skim is not None and captured == length:
                    wire = length + 4 if tagged else length
                    end = begin + captured
                    noted = skim(memory, begin + 12, end, wire, when, self.seen + 1)
                    if noted and keep is None:
                        self.seen += 1
                        at += following
                        continue
                dressed = None if tagged else memory[begin : begin + captured]
            else:
                dressed = None
            if dressed is None:
                data = memory[begin : begin + captured]
                dressed = self._dress(data, at, status, direction)
                if dressed is None:
                    at += following
                    continue
                length += len(dressed) - captured
                if self._snaplen is not None:
                    dressed = dressed[: self._snaplen]
            self.seen += 1
            if noted and keep is not None:
                keep(Frame(self.seen, when, self.link_type, dressed, length), noted == 1)
            else:
                yield when, index, dressed, length
            at += following
        if packets:
            self.last = when
        _BLOCK_STATUS.pack_into(memory, base + 8, 0)
        self._next = (self._next + 1) % self._blocks

    def _dress(self, data: bytes, at: int, status: int, direction: int) -> bytes | None:
        """A packet with what the kernel tells beside it; None where it came before."""
        protocol, number, kind, _, size, address = _ADDRESS.unpack_from(self._memory, at)
        # On loopback every packet passes twice: on its way out and on its way in.
        if direction == _PACKET_OUTGOING and kind == _LOOPBACK:
            return None
        tag = b""
        tpid = 0
        if status & _VLAN_VALID:
            # The card took the tag out; mirror ports are read with their tags on.
            tci, tpid = _TAG.unpack_from(self._memory, at)
            if not status & _VLAN_TPID_VALID:
                tpid = 0x8100
            if not self._cooked:
                return data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
            tag = struct.pack("!HH", tci, socket.ntohs(protocol))
        if not self._cooked:
            return data
        head = _COOKED_HEAD.pack(
            tpid or socket.ntohs(protocol), number, kind, direction, size, address
        )
        return head + tag + data

    def dropped(self) -> int:
        """Packets the kernel had no room for since the last time; reading its counter clears it."""
        try:
            counts = self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 12)
        except OSError:
            return 0
        return int(struct.unpack("=III", counts)[1])

    def now_called(self) -> str | None:
        """The name of the interface, which may be another one by now; None where it is gone."""
        if self._cooked:
            return self.name
        try:
            return socket.if_indextoname(self._number)
        except OSError:
            return None

    def up(self, name: str) -> bool:
        """Whether the interface that is called so by now is up."""
        if self._cooked:
            return True
        import fcntl  # not on every system

        try:
            told = fcntl.ioctl(self.descriptor, _FLAGS_OF, _FLAGS.pack(os.fsencode(name), 0))
        except OSError:
            return False
        return bool(_FLAGS.unpack(told)[1] & _UP)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


class _Cooked:
    """A socket that hears every interface, without link headers."""

    def __init__(self) -> None:
        self.ins = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))

    def close(self) -> None:
        """Close it."""
        self.ins.close()


def _check(name: str, snaplen: int | None) -> None:
    """Raise ``SourceError`` where the interface cannot be captured on by anyone."""
    if snaplen is not None and snaplen < 1:
        raise SourceError(f"{name}: a snap length of {snaplen} bytes keeps nothing")
    if name == ANY and sys.platform == "linux":
        return
    interfaces: dict[str, Interface] = {i.name: i for i in list_interfaces()}
    known = interfaces.get(name)
    if known is None:
        names = ", ".join(interfaces) or "none"
        raise SourceError(f"{name}: no such interface; there are: {names}")
    if not known.up:
        raise SourceError(f"{name}: the interface is down; as root: ip link set {name} up")


def _open(name: str, capture_filter: str | None, promiscuous: bool, snaplen: int | None) -> Any:
    """scapy's listening socket on an interface."""
    import logging

    # What it warns of is raised or noticed here.
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    from scapy.config import conf
    from scapy.error import Scapy_Exception

    try:
        if sys.platform == "linux":
            from scapy.arch.linux import L2ListenSocket

            opened: Any = (
                _Cooked() if name == ANY else L2ListenSocket(iface=name, promisc=promiscuous)
            )
            try:
                _attach_filter(opened, name, capture_filter, snaplen)
            except BaseException:
                opened.close()
                raise
        else:
            opened = conf.L2listen(iface=name, promisc=promiscuous, filter=capture_filter)
    except PermissionError:
        raise SourceError(f"{name}: no permission to capture; {THREE_WAYS}") from None
    except (Scapy_Exception, ImportError, ValueError) as error:
        if capture_filter is None:
            raise SourceError(f"{name}: cannot be captured on: {error}") from None
        raise SourceError(_filter_refused(capture_filter, str(error))) from None
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror or error}; {THREE_WAYS}") from None
    return opened


def _attach_filter(opened: Any, name: str, capture_filter: str | None, snaplen: int | None) -> None:
    """Have the kernel filter and cut packets. Those that came before are forgotten when the ring
    is set up.

    scapy attaches filters by itself, but cuts to 65,535 bytes what passes them.
    """
    import ctypes

    from scapy.arch.common import compile_filter, free_filter
    from scapy.libs.structures import bpf_insn, sock_fprog

    size = min(snaplen or FRAME_SIZE, FRAME_SIZE)
    if capture_filter is None:
        if snaplen is None:
            return
        everything = (bpf_insn * 1)(bpf_insn(_BPF_RETURN, 0, 0, size))
        program = sock_fprog(1, ctypes.cast(everything, ctypes.POINTER(bpf_insn)))
        opened.ins.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    else:
        # On ``any`` a filter sees packets from their network header on.
        compiled = (
            compile_filter(capture_filter, linktype=_DLT_RAW)
            if name == ANY
            else compile_filter(capture_filter, name)
        )
        try:
            for instruction in compiled.bf_insns[: compiled.bf_len]:
                if instruction.code == _BPF_RETURN and instruction.k:
                    instruction.k = size
            program = sock_fprog(compiled.bf_len, compiled.bf_insns)
            opened.ins.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        finally:
            free_filter(compiled)


def _filter_refused(capture_filter: str, why: str) -> str:
    """What to say of a filter that was not taken."""
    if "libpcap" in why:
        return (
            f"capture filter {capture_filter!r} needs libpcap, which is not installed "
            "(package libpcap0.8): leave the filter out, or install it"
        )
    return f"capture filter {capture_filter!r}: {why}"
