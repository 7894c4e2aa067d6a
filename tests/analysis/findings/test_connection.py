"""Rules of the connection: each with a session that breaks it, and one like it that does not."""

from __future__ import annotations

import pytest

from dicomsniff.model import Finding, Loss
from tests.analysis.findings.wire import (
    ACK,
    BEGAN,
    FIN,
    PSH,
    RELEASE,
    RST,
    SYN,
    TRIP,
    Wire,
    abort,
    accepted,
    answered,
    command,
    echo,
    echoed,
    image,
    pdu,
    requested,
    run,
    store,
    stored,
    value,
)
from tests.output.build import Kept
from tests.output.build import run as read
from tests.support import capture

HELLO = b"\x16\x03\x01\x00\x05hello"


def findings(name: str) -> list[Finding]:
    kept = Kept()
    pipeline = read(capture(name), kept)
    return [each for a in kept.associations for each in a.findings] + pipeline.findings


def codes(name: str) -> list[str]:
    return [each.code for each in findings(name)]


def healthy() -> Wire:
    wire = Wire().associate()
    wire.message(0, echo(), number=3).message(1, echoed(), number=3)
    return wire.release()


def test_a_healthy_session_is_left_in_peace() -> None:
    ran = run(healthy())
    assert [a.outcome for a in ran.associations] == ["released"]
    assert ran.findings == []


# ---------------------------------------------------------------------------- not made


def test_port_closed() -> None:
    (found,) = findings("port-closed.pcapng")
    assert found.code == "connection-refused"
    assert found.severity == "error"
    assert found.frames == (2,)
    assert "port 11112" in found.title


def test_ports_of_others_are_not_our_business() -> None:
    wire = Wire(port=8080).segment(0, SYN).segment(1, RST | ACK)
    assert run(wire).findings == []


def test_a_port_is_dicom_that_spoke_it_before() -> None:
    spoke = Wire(port=4242).associate().message(0, echo(), number=3)
    spoke.message(1, echoed(), number=3).release()
    closed = Wire(port=4242, client_port=40001, begin=60).segment(0, SYN).segment(1, RST | ACK)
    assert run(spoke, closed).codes() == ["connection-refused"]


def test_syn_unanswered() -> None:
    wire = Wire().segment(0, SYN)
    for pause in (1, 2, 4):
        wire.wait(pause).segment(0, SYN, seq=1000)
    found = run(wire).only("connection-unanswered")
    assert found.frames == (1, 2, 3, 4)
    assert "4 SYNs" in found.detail


def test_one_syn_at_the_end_of_a_capture_proves_nothing() -> None:
    assert run(Wire().segment(0, SYN), until=1).findings == []
    assert run(Wire().segment(0, SYN), until=5).codes() == ["connection-unanswered"]


def test_half_a_connection_captured_is_not_one_unanswered() -> None:
    wire = Wire().segment(0, SYN).segment(0, ACK, ack=77)
    wire.segment(0, ACK | PSH, requested(), ack=77)
    assert "connection-unanswered" not in run(wire, until=60).codes()


@pytest.mark.parametrize(
    ("code", "by", "title", "called"),
    [
        (10, "192.0.2.2", "A firewall rejects connections to 192.0.2.2 port 11112", "itself"),
        (3, "192.0.2.2", "A firewall rejects connections to 192.0.2.2 port 11112", "firewalld"),
        (13, "192.0.2.9", "A firewall rejects connections to 192.0.2.2 port 11112", "on the way"),
        (1, "192.0.2.9", "There is no way to 192.0.2.2 port 11112", "has it a route"),
        (77, "192.0.2.9", "There is no way to 192.0.2.2 port 11112", "has it a route"),
    ],
)
def test_a_syn_that_was_not_delivered(code: int, by: str, title: str, called: str) -> None:
    wire = Wire().segment(0, SYN).icmp(code, by=by).wait(1).segment(0, SYN, seq=1000)
    ran = run(wire.icmp(code, by=by), until=60)
    found = ran.only("connection-unreachable")
    assert ran.codes() == ["connection-unreachable"]
    assert found.severity == "error"
    assert found.title == title
    assert f"{by} answered by ICMP: destination unreachable" in found.detail
    assert called in found.advice
    assert found.frames == (1, 2, 3)


def test_an_icmp_message_is_believed_of_a_syn_alone() -> None:
    wire = Wire().segment(0, SYN).icmp(13, by="192.0.2.9", seq=4711)
    assert run(wire, until=60).codes() == ["connection-unanswered"], "of another one"
    wire = Wire().associate().icmp(13, by="192.0.2.9").message(0, echo(), number=3)
    wire.icmp(13, by="192.0.2.9", seq=wire.seq[0] - 20).message(1, echoed(), number=3)
    assert run(wire.release()).findings == [], "what was said came"
    wire = Wire().icmp(13, by="192.0.2.9", seq=999).segment(0, SYN)
    assert run(wire, until=60).codes() == ["connection-unanswered"], "before it"


def test_a_real_firewall_that_rejects() -> None:
    (found,) = findings("port-rejected.pcapng")
    assert found.code == "connection-unreachable"
    assert "host administratively prohibited" in found.detail
    assert found.frames == (1, 2)


# ---------------------------------------------------------------------------- TLS


def test_tls_that_works_is_only_noted() -> None:
    assert codes("tls.pcapng") == ["tls-encrypted"]


def test_tls_to_a_port_that_cannot() -> None:
    found = run(Wire().open().say(0, HELLO).say(1, abort(2, 1)).close()).only("tls-on-plain-port")
    assert "in plain" in found.detail
    assert found.frames


@pytest.mark.parametrize("answer", [abort(2, 1), abort(0, 0), pdu(3, b"\0\1\2\2")])
def test_dicom_in_plain_tells_what_port_it_is(answer: bytes) -> None:
    """No port of DICOM, and no association ever: what refuses TLS says what it is itself."""
    wire = Wire(port=4242).open().say(0, HELLO).say(1, answer).close()
    found = run(wire).only("tls-on-plain-port")
    assert "was answered by DICOM in plain" in found.detail
    assert "port 4242" in found.title


def test_another_protocol_in_plain_is_not_our_business() -> None:
    for answer in (b"HTTP/1.1 400 Bad Request\r\n", b"\7\0\0\0\0\5" + bytes(5), b"\7\0\0\0\0\4\0"):
        assert run(Wire(port=4242).open().say(0, HELLO).say(1, answer).close()).findings == []


def test_an_alert_is_an_answer_in_tls() -> None:
    ran = run(Wire().open().say(0, HELLO).say(1, b"\x15\x03\x03\0\x02\x02\x28").close())
    found = ran.only("tls-handshake-refused")
    assert "acceptor" in found.title
    assert "handshake_failure" in found.title
    assert ran.codes() == ["tls-handshake-refused"]


@pytest.mark.parametrize("flags", [FIN | ACK, RST | ACK])
def test_tls_to_a_port_that_hangs_up(flags: int) -> None:
    wire = Wire().open().say(0, HELLO).segment(1, flags)
    assert "closing" in run(wire).only("tls-on-plain-port").detail


def test_tls_elsewhere_is_not_our_business() -> None:
    assert run(Wire(port=443).open().say(0, HELLO).say(1, HELLO).close()).findings == []


def test_plain_dicom_to_a_tls_port() -> None:
    wire = Wire(port=2762).open().say(0, requested())
    wire.say(1, b"\x15\x03\x03\x00\x02\x02\x0a").close()
    ran = run(wire)
    assert ran.only("plain-on-tls-port").severity == "error"
    assert ran.codes("error") == ["plain-on-tls-port"]


def test_plain_dicom_on_the_port_of_tls() -> None:
    wire = Wire(port=2762).associate().message(0, echo(), number=3)
    ran = run(wire.message(1, echoed(), number=3).release())
    assert ran.codes() == ["plain-on-tls-port"]
    assert ran.only("plain-on-tls-port").severity == "warning"


# ---------------------------------------------------------------------------- how it ended


def test_reset_in_the_middle_of_a_pdu() -> None:
    found = [f for f in findings("lost-reset.pcapng") if f.severity == "error"]
    assert [f.code for f in found] == ["connection-cut"]
    assert "FLC1270 (requestor)" in found[0].title
    assert found[0].evidence == (3, 4)


def test_fin_between_messages_and_in_the_middle_of_one() -> None:
    found = findings("lost-fin.pcapng")
    assert [(f.code, f.severity) for f in found] == [
        ("connection-lost", "warning"),
        ("connection-cut", "error"),
    ]
    assert "A-ABORT" in found[1].detail


def test_a_receiver_that_hangs_up_is_the_one_to_ask() -> None:
    wire = Wire().associate().say(0, pdu(4, value(command(store()), 3)))
    wire.say(0, pdu(4, value(image(1, 400), 2))[:100]).segment(1, RST | ACK)
    found = run(wire).only("connection-cut")
    assert "while FLC1270 (requestor) was sending" in found.title
    assert found.advice.startswith("STORAGE (acceptor) gave up")


@pytest.mark.parametrize(("pause", "timer"), [(60.1, "60 s"), (41.0, "41 s")])
def test_time_out(pause: float, timer: str) -> None:
    wire = Wire().associate().message(0, echo(), number=3).message(1, echoed(), number=3)
    found = run(wire.wait(pause).segment(1, RST | ACK)).only("connection-timeout")
    assert found.severity == "warning"
    assert f"time-out of {timer}" in found.advice
    assert ("usual time-out" in found.detail) == (timer == "60 s")
    assert "STORAGE (acceptor) reset the connection (RST)" in found.detail


def test_time_out_with_something_unanswered_is_an_error() -> None:
    wire = Wire().associate().message(0, store(7), image(7)).wait(30).segment(1, FIN | ACK)
    found = run(wire.segment(0, FIN | ACK))
    assert found.codes("error") == ["connection-timeout"]
    assert "C-STORE, message ID 7" in found.only("connection-timeout").detail


def test_loss_with_something_unanswered_is_an_error() -> None:
    wire = Wire().associate().message(0, store(7), image(7)).wait(1).segment(1, RST | ACK)
    assert run(wire).only("connection-lost").severity == "error"


def test_a_release_that_was_not_answered_loses_nothing() -> None:
    wire = Wire().associate().message(0, echo(), number=3).message(1, echoed(), number=3)
    found = run(wire.say(0, RELEASE).segment(1, FIN | ACK).segment(0, FIN | ACK))
    assert found.only("connection-lost").severity == "note"
    wire = Wire().associate().message(0, echo(), number=3).say(0, RELEASE)
    found = run(wire.segment(1, FIN | ACK).segment(0, FIN | ACK))
    assert found.only("connection-lost").severity == "error"


def test_closing_where_nothing_was_accepted_is_not_what_is_wrong() -> None:
    refused = accepted(answered(1, 3), answered(3, 3))
    found = run(Wire().associate(answer=refused).close())
    assert found.codes("error", "warning") == ["no-common-context"]
    lost = found.only("connection-lost")
    assert lost.severity == "note"
    assert "there was nothing to use it for" in lost.title
    half = accepted(answered(1, 3), answered(3, 0))
    assert run(Wire().associate(answer=half).close()).only("connection-lost").severity == "warning"


def test_an_open_connection_is_not_a_lost_one() -> None:
    assert run(Wire().associate(), until=100).findings == []


# ---------------------------------------------------------------------------- what it cost


def test_stalls_of_dcmtk_are_counted() -> None:
    """40 ms for each message and direction: Linux' delayed acknowledgement, as recorded."""
    kept = Kept()
    read(capture("get.pcapng"), kept)
    (association,) = kept.associations
    (found,) = [f for f in association.findings if f.code == "delayed-acknowledgement"]
    assert found.severity == "warning"
    assert "10 stalls of 4" in found.title
    assert (
        "That happened to FLC1270 (requestor) 5 times and to ARCHIVE (acceptor) 5 times, and took"
        in found.detail
    )
    transport = association.acceptor.transport
    assert transport is not None
    assert transport.stalls == 5
    # Nearly all of the time; never more than there was.
    both = transport.stall_time + (association.requestor.transport or transport).stall_time
    assert 0.9 * association.duration < both < association.duration


def stalling(pause: float, *, trip: float = TRIP / 1e9, late: float = 0.0, images: int = 4) -> Wire:
    """C-STOREs, whose header waits for its acknowledgement."""
    wire = Wire()
    wire.segment(0, SYN).wait(trip).segment(1, SYN | ACK).segment(0, ACK)
    wire.say(0, requested()).say(1, accepted())
    for number in range(1, images + 1):
        whole = pdu(4, value(command(store(number)), 3)) + pdu(4, value(image(number, 500), 2))
        wire.segment(0, ACK | PSH, whole[:12])
        wire.wait(pause).segment(1, ACK).wait(late).say(0, whole[12:]).wait(0.001)
        wire.message(1, stored(number)).wait(0.001)
    return wire.release()


def test_stalls() -> None:
    found = run(stalling(0.04)).only("delayed-acknowledgement")
    assert found.title.startswith("4 stalls of 39.8 ms cost 0.159 s")
    assert len(found.frames) == 4


@pytest.mark.parametrize(
    ("images", "pause", "severity"),
    [(4, 0.04, "note"), (9, 0.04, "note"), (10, 0.04, "warning"), (3, 0.4, "warning")],
)
def test_a_few_stalls_are_nothing_to_call_somebody_for(
    images: int, pause: float, severity: str
) -> None:
    found = run(stalling(pause, images=images)).only("delayed-acknowledgement")
    assert found.severity == severity


def test_a_long_way_is_no_stall() -> None:
    assert run(stalling(0.04, trip=0.04)).findings == []


def test_a_sender_that_thinks_is_no_stall() -> None:
    assert run(stalling(0.04, late=0.02)).findings == []


def test_acknowledgements_in_time_are_no_stall() -> None:
    assert run(stalling(0.005)).findings == []


def test_without_the_handshake_nothing_is_claimed() -> None:
    wire = stalling(0.04)
    del wire.sent[:3]
    assert "delayed-acknowledgement" not in run(wire).codes()


def test_retransmissions() -> None:
    wire = Wire().associate()
    for number in range(1, 5):
        at = wire.seq[0]
        whole = pdu(4, value(command(store(number)), 3)) + pdu(4, value(image(number, 500), 2))
        wire.segment(0, ACK | PSH, whole).wait(0.5)
        wire.segment(0, ACK | PSH, whole, seq=at).wait(TRIP / 1e9).segment(1, ACK)
        wire.message(1, stored(number))
    found = run(wire.release()).only("retransmissions")
    assert found.severity == "warning"
    assert found.title.startswith("4 TCP segments of FLC1270 (requestor)")
    assert "after 2 s of silence" in found.detail


def test_a_hole_that_is_filled_late_was_a_retransmission_too() -> None:
    wire = Wire().associate()
    for number in range(1, 5):
        at = wire.seq[0]
        whole = pdu(4, value(command(store(number)), 3)) + pdu(4, value(image(number, 500), 2))
        wire.seq[0] = at + 100  # the first part is lost before it is captured
        wire.segment(0, ACK | PSH, whole[100:]).wait(0.25)
        wire.segment(0, ACK | PSH, whole[:100], seq=at).wait(TRIP / 1e9).segment(1, ACK)
        wire.message(1, stored(number))
    ran = run(wire.release())
    assert ran.codes() == ["retransmissions"]
    assert len(ran.associations[0].operations) == 4


def test_disorder_is_no_retransmission() -> None:
    wire = Wire().associate()
    for number in range(1, 5):
        whole = pdu(4, value(command(store(number)), 3)) + pdu(4, value(image(number, 500), 2))
        at = wire.seq[0]
        wire.seq[0] = at + 100
        wire.segment(0, ACK | PSH, whole[100:]).segment(0, ACK | PSH, whole[:100], seq=at)
        wire.wait(TRIP / 1e9).segment(1, ACK).message(1, stored(number))
    assert run(wire.release()).findings == []


def test_keep_alives_are_no_retransmissions() -> None:
    wire = Wire().associate()
    for _ in range(6):
        wire.wait(30).segment(0, ACK, b"\0", seq=wire.seq[0] - 1).segment(1, ACK)
    wire.message(0, echo(), number=3).message(1, echoed(), number=3)
    assert run(wire.release()).findings == []


@pytest.mark.parametrize(("pause", "severity"), [(0.05, "note"), (1.5, "warning"), (0.002, None)])
def test_zero_windows(pause: float, severity: str | None) -> None:
    wire = Wire().associate().wait(4)
    wire.say(0, pdu(4, value(command(store()), 3)) + pdu(4, value(image(1, 500)[:-10], 0)))
    wire.segment(1, ACK, window=0).wait(pause).segment(1, ACK, window=30000)
    ran = run(wire.say(0, pdu(4, value(image(1, 500)[-10:], 2))).message(1, stored()).release())
    assert ran.codes() == ([] if severity is None else ["receiver-full"])
    if severity is not None:
        found = ran.only("receiver-full")
        assert found.severity == severity
        assert "STORAGE (acceptor)" in found.title
        assert "1 time" in found.detail


def test_a_reset_has_no_window_and_is_no_full_receiver() -> None:
    wire = Wire().associate().message(0, echo(), number=3).message(1, echoed(), number=3)
    ran = run(wire.say(0, abort()).segment(1, RST, window=0))
    assert "receiver-full" not in ran.codes()


def test_lost_packets_of_the_capture() -> None:
    wire = Wire().associate()
    wire.message(0, store(), image()).message(1, stored())
    del wire.sent[9]  # the data set
    found = run(wire.release()).only("capture-incomplete")
    assert "gap" in found.detail
    assert "dropped" not in found.detail
    assert found.evidence


def test_packets_dropped_are_told_where_they_may_be_missed() -> None:
    second = 10**9
    gone = Wire().associate()
    gone.message(0, store(), image()).message(1, stored())
    del gone.sent[9]
    whole = Wire(client_port=40001, begin=0.2)
    whole.associate().message(0, echo(), number=3).message(1, echoed(), number=3).release()
    later = Wire(client_port=40002, begin=60)
    later.associate().message(0, echo(), number=3).message(1, echoed(), number=3).release()
    losses = [Loss(BEGAN - second, BEGAN + second, 1), Loss(BEGAN + second, BEGAN + 2 * second, 41)]
    ran = run(gone.release(), whole, later, losses=losses)
    found = {a.requestor.port: a.findings for a in ran.associations}
    (affected,) = found[40000]
    assert affected.severity == "warning"
    assert "dropped 1 packet " in affected.detail
    assert "gap" in affected.detail
    assert "filter" in affected.advice
    (open_then,) = found[40001]
    assert open_then.code == "capture-incomplete"
    assert open_then.severity == "note"
    assert found[40002] == []
