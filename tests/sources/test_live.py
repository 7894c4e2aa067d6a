"""Capturing on loopback: what was sent is what is seen, once."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dicomsniff.model import Frame
from dicomsniff.sources import SourceError, live, open_live
from dicomsniff.sources.interfaces import list_interfaces, may_capture
from dicomsniff.tcp.frames import Dissector

needs_permission = pytest.mark.skipif(not may_capture(), reason="may not capture here")


@contextlib.contextmanager
def receiving() -> Iterator[int]:
    """The port of a UDP socket on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield receiver.getsockname()[1]


def send(payloads: list[bytes], port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for payload in payloads:
            sender.sendto(payload, ("127.0.0.1", port))


@needs_permission
@pytest.mark.parametrize("snaplen", [None, 60])
def test_each_packet_on_loopback_once(snaplen: int | None) -> None:
    payloads = [bytes([n]) * (100 + n) for n in range(20)]
    got: list[Frame] = []
    with receiving() as port:
        source = open_live("lo", capture_filter=f"udp port {port}", snaplen=snaplen)
        send(payloads, port)
        timer = threading.Timer(1.0, source.close)
        timer.start()
        got.extend(source)
        timer.join()
    assert [f.length for f in got] == [42 + len(p) for p in payloads]
    assert [f.data[42:] for f in got] == [p if snaplen is None else p[:18] for p in payloads]
    assert [f.number for f in got] == list(range(1, 21))
    assert {f.link_type for f in got} == {1}
    assert all(abs(f.time - time.time_ns()) < 60 * 10**9 for f in got)
    assert any(f.time % 1000 for f in got), "kernel time stamps have nanoseconds"
    assert source.reader == "live"
    assert source.dropped == 0


@needs_permission
def test_a_tcp_connection_with_offloading() -> None:
    data = bytes(range(256)) * 2048
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = open_live("lo", capture_filter=f"tcp port {port}")

        def talk() -> None:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(data)
            assert over.wait(20)
            source.stop()  # and not close: what came before now is handed over

        def receive() -> None:
            while peer.recv(1 << 20):
                pass
            over.set()

        over = threading.Event()
        thread = threading.Thread(target=talk)
        thread.start()
        peer, _ = server.accept()
        dissector = Dissector()
        received = threading.Thread(target=receive)
        received.start()
        sent: dict[int, bytes] = {}
        for frame in source:
            segment = dissector.segment(frame)
            assert segment is not None
            assert len(segment.payload) == segment.length
            if segment.payload:
                sent.setdefault(segment.seq, segment.payload)
        thread.join()
        received.join()
        peer.close()
    first = min(sent)
    assert b"".join(sent[seq] for seq in sorted(sent)) == data
    assert first in sent
    assert source.dropped == 0


@needs_permission
def test_closing_ends_the_capture_at_once() -> None:
    source = open_live("lo", capture_filter="udp port 9 and udp port 10")
    timer = threading.Timer(0.2, source.close)
    timer.start()
    began = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - began < 2
    source.close()
    assert list(source) == []


@needs_permission
def test_a_filter_that_libpcap_refuses() -> None:
    with pytest.raises(SourceError, match="capture filter 'tcp prt 104'"):
        open_live("lo", capture_filter="tcp prt 104")


def test_an_interface_that_is_missing() -> None:
    with pytest.raises(SourceError, match=r"nosuch0: no such interface; there are: .*lo"):
        open_live("nosuch0")


def test_permission_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("scapy.arch.linux.L2ListenSocket", refuse)
    with pytest.raises(SourceError, match=r"root.*setcap.*tcpdump") as caught:
        open_live("lo")
    assert "\n" not in str(caught.value)


def test_interfaces_are_listed() -> None:
    found = {interface.name: interface for interface in list_interfaces()}
    assert set(found) == {name for _, name in socket.if_nameindex()}
    lo = found["lo"]
    assert lo.description == "loopback"
    assert lo.up
    assert "127.0.0.1" in lo.addresses
    assert lo.may_capture is may_capture()
    assert "127.0.0.1" in str(lo)


@needs_permission
def test_what_the_kernel_had_no_room_for_is_counted_and_dated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "RING", live.RING_LEAST)
    with receiving() as port:
        began = time.time_ns()
        source = open_live("lo", capture_filter=f"udp port {port}")
        send([bytes(30_000)] * 400, port)  # three times what there is room for
        source.stop()
        got = list(source)
        ended = time.time_ns()
    assert source.dropped
    assert len(got) + source.dropped == 400
    assert sum(loss.packets for loss in source.losses) == source.dropped
    assert began <= source.losses[0].first <= source.losses[0].last <= ended


@needs_permission
def test_losses_are_remembered_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOSSES_KEPT", 3)
    source = open_live("lo")

    class Loses:
        def dropped(self) -> int:
            return 2

        def close(self) -> None:
            pass

    source._rings.append(Loses())  # type: ignore[arg-type]
    for _ in range(10):
        source._count_drops()
    source.close()
    assert len(source.losses) == 3
    assert source.dropped == sum(loss.packets for loss in source.losses) >= 22
    for one, other in zip(source.losses, source.losses[1:], strict=False):
        assert one.last == other.first


@needs_permission
def test_a_clock_set_back_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before ``stop`` is waited for by a clock of another kind."""
    source = open_live("lo")
    source.stop()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    began = time.monotonic()
    for _ in source:
        pass
    assert time.monotonic() - began < 10
