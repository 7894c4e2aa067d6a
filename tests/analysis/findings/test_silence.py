"""Connections that fell silent: who gave up, after how long, and where the time-out may be."""

from __future__ import annotations

import pytest

from tests.analysis.findings.building import WORKLIST
from tests.analysis.findings.wire import (
    ACK,
    FIN,
    PSH,
    RST,
    Wire,
    accepted,
    answered,
    command,
    context,
    echo,
    echoed,
    element,
    image,
    pdu,
    requested,
    run,
    store,
    value,
)

ECHO = pdu(4, value(command(echo(2)), 3, 3))


def idle(seconds: float) -> Wire:
    """An association on which nothing is said for so long after a C-ECHO."""
    wire = Wire().associate()
    wire.message(0, echo(), number=3).message(1, echoed(), number=3)
    return wire.wait(seconds)


def retry(wire: Wire, data: bytes, times: int, seq: int) -> Wire:
    """Send the same segment again and again, each time after twice as long."""
    for attempt in range(times):
        wire.wait(0.2 * 2**attempt).segment(0, ACK | PSH, data, seq=seq)
    return wire


def test_a_request_after_silence_that_is_answered_by_a_reset() -> None:
    """A firewall that forgot the connection, and says so."""
    ran = run(idle(1800).segment(0, ACK | PSH, ECHO).wait(0.001).segment(1, RST))
    found = ran.only("connection-timeout")
    assert ran.codes() == ["connection-timeout"]
    assert found.severity == "error"
    assert "gone after 1800 s" in found.title
    assert "C-ECHO-RQ (entry 5) after 1800 s (30 min) of silence" in found.detail
    assert "close to 1800 s, a usual time-out" in found.detail
    assert "idle time-out of 1800 s" in found.advice
    assert found.evidence == (5, 6)


def test_an_object_after_silence_that_is_cut_off_in_its_middle() -> None:
    """The same where what was said was too long to be whole by then."""
    start = pdu(4, value(command(store()), 3) + value(image(size=9000), 2))[:1400]
    ran = run(idle(420).segment(0, ACK | PSH, start).wait(0.001).segment(1, RST))
    assert ran.codes() == ["connection-timeout"]
    assert "up to 420 s" in ran.only("connection-timeout").advice


def test_an_answer_after_silence_is_no_trouble() -> None:
    wire = idle(1800).message(0, echo(2), number=3).message(1, echoed(2), number=3)
    assert run(wire.release()).findings == []


def test_a_reset_at_once_is_no_time_out() -> None:
    ran = run(idle(1).segment(0, ACK | PSH, ECHO).wait(0.001).segment(1, RST))
    assert ran.codes() == ["connection-lost"]


@pytest.mark.parametrize("silence", [900, 0.5])
def test_a_segment_that_nobody_acknowledges(silence: float) -> None:
    """A firewall that forgot the connection, and says nothing; or a link that went down."""
    wire = idle(silence)
    seq = wire.seq[0]
    retry(wire.segment(0, ACK | PSH, ECHO), ECHO, 4, seq)
    ran = run(wire, until=silence + 60)
    found = ran.only("connection-swallowed")
    assert ran.codes() == ["connection-swallowed"]
    assert "FLC1270 (requestor) sent C-ECHO-RQ 5 times" in found.title
    assert len(found.frames) == 5
    if silence > 1:
        assert "after 900 s (15 min) of silence" in found.detail
        assert "idle time-out of 900 s" in found.advice
    else:
        assert "silence" not in found.detail
        assert "MTU" in found.advice


def test_a_segment_that_nobody_acknowledges_until_the_sender_closes() -> None:
    wire = idle(60)
    seq = wire.seq[0]
    retry(wire.segment(0, ACK | PSH, ECHO), ECHO, 4, seq)
    assert run(wire.wait(5).segment(0, FIN | ACK)).codes() == ["connection-swallowed"]


def test_the_first_of_many_segments_is_the_one_repeated() -> None:
    """Of what fills the window only the beginning is sent again."""
    data = pdu(4, value(command(store()), 3) + value(image(size=30000), 2))
    wire = idle(60)
    seq = wire.seq[0]
    for at in range(0, 7000, 1400):
        wire.segment(0, ACK | PSH, data[at : at + 1400])
    retry(wire, data[:1400], 5, seq)
    ran = run(wire, until=120)
    assert "C-STORE-RQ 6 times" in ran.only("connection-swallowed").title
    assert "retransmissions" not in ran.codes()


def test_an_association_request_too_large_for_the_path() -> None:
    wire = Wire().open()
    seq, request = wire.seq[0], requested()
    retry(wire.segment(0, ACK | PSH, request), request, 4, seq)
    assert run(wire, until=60).codes() == ["connection-swallowed"]


def test_a_segment_that_is_acknowledged_in_the_end_was_only_late() -> None:
    wire = idle(1)
    seq = wire.seq[0]
    retry(wire.segment(0, ACK | PSH, ECHO), ECHO, 4, seq)
    wire.segment(1, ACK).message(1, echoed(2), number=3).release()
    ran = run(wire)
    assert sorted(ran.codes()) == ["response-slow", "retransmissions"]
    slow = ran.only("response-slow")
    assert "3 s of it were silence before TCP segments that were sent again" in slow.detail
    assert slow.advice.startswith("The network between the two")


def test_acknowledged_and_never_answered_is_the_machine_not_the_way() -> None:
    wire = idle(1)
    seq = wire.seq[0]
    retry(wire.segment(0, ACK | PSH, ECHO), ECHO, 4, seq).segment(1, ACK)
    assert "connection-swallowed" not in run(wire, until=60).codes()


def test_a_capture_of_one_direction_proves_nothing() -> None:
    wire = idle(1)
    seq = wire.seq[0]
    retry(wire.segment(0, ACK | PSH, ECHO), ECHO, 4, seq)
    mine = wire.addresses[0]
    wire.sent = [(time, data) for time, data in wire.sent if data[26:30] == mine]
    assert "connection-swallowed" not in run(wire, until=60).codes()


FIND = {0x0002: WORKLIST, 0x0100: 0x0020, 0x0110: 1, 0x0700: 0, 0x0800: 0x0102}
NO_MATCH = {0x0002: WORKLIST, 0x0100: 0x8020, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0}


def asking() -> Wire:
    """A worklist query, not answered so far."""
    wire = Wire().associate(requested(context(1, (WORKLIST,))), accepted(answered(1, 0)))
    return wire.message(0, FIND, element(0x00100010, b""))


def test_closed_before_the_answer_came() -> None:
    """The time-out is that of the side that closed, not one on the way."""
    wire = Wire().associate().message(0, echo(), number=3).wait(30).segment(0, FIN | ACK)
    ran = run(wire.wait(5).message(1, echoed(), number=3).segment(0, RST))
    found = ran.only("connection-timeout")
    assert found.severity == "error"
    assert "FLC1270 (requestor) closed the connection after 30 s without an answer" in found.title
    assert "came 5 s too late. It is close to 30 s" in found.detail
    assert "firewall" not in found.advice
    assert "connection-lost" not in ran.codes()


def test_a_query_whose_answer_was_not_waited_for_is_told_once() -> None:
    """In the words of the query, which know more."""
    wire = asking().wait(30).segment(0, FIN | ACK).wait(5).message(1, NO_MATCH)
    ran = run(wire.segment(0, RST))
    found = ran.only("query-given-up")
    assert found.title == "FLC1270 gave up 30 s after asking STORAGE"
    assert "came after 35 s, 5 s too late" in found.detail
    assert not {"connection-timeout", "connection-lost"} & set(ran.codes())
    ran = run(asking().wait(3).segment(0, FIN | ACK).segment(1, FIN | ACK))
    assert ran.only("query-given-up").title == "FLC1270 gave up 3 s after asking STORAGE"
    assert not {"connection-timeout", "connection-lost"} & set(ran.codes())


def test_a_query_that_a_reset_ends_after_silence_may_be_cut_on_the_way() -> None:
    ran = run(asking().wait(300).segment(0, RST | ACK))
    found = ran.only("connection-timeout")
    assert found.severity == "error"
    assert "Unanswered: C-FIND, message ID 1" in found.detail
    assert "firewall" in found.advice
    assert not {"query-given-up", "connection-lost"} & set(ran.codes())
    # What comes soon is of the side that it comes from.
    assert run(asking().wait(3).segment(0, RST | ACK)).codes("error") == ["query-given-up"]
