"""Rules of what breaks PS3.7 and PS3.8 on the wire."""

from __future__ import annotations

import struct

import pytest

from tests.analysis.findings.test_connection import codes
from tests.analysis.findings.wire import (
    ACK,
    CT,
    ECHO,
    PSH,
    TRIP,
    Wire,
    abort,
    accepted,
    answered,
    command,
    context,
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


def started() -> Wire:
    return Wire().associate()


def stores(wire: Wire, number: int = 1) -> Wire:
    return wire.message(0, store(number), image(number)).message(1, stored(number))


def test_data_before_the_answer() -> None:
    wire = Wire().open().say(0, requested()).message(0, store(), image())
    ran = run(wire.say(1, accepted()).message(1, stored()).release())
    found = ran.only("protocol-violation")
    assert "P-DATA-TF from the requestor before the association was accepted" in found.title
    assert found.severity == "error"


def test_an_acceptance_that_nobody_asked_for() -> None:
    ran = run(stores(started().say(1, accepted())).release())
    assert "A-ASSOCIATE-AC from the acceptor" in ran.only("protocol-violation").title


def test_data_after_asking_for_release() -> None:
    wire = stores(started()).say(0, pdu(5, bytes(4))).message(0, echo(9), number=3)
    found = run(wire.say(1, pdu(6, bytes(4))).close()).only("protocol-violation")
    assert "after the requestor asked for release" in found.title


def test_what_was_under_way_when_the_other_side_aborted_is_no_violation() -> None:
    assert "protocol-violation" not in codes("worklist-timeout.pcapng")
    wire = started().message(0, store(), image()).say(0, abort()).message(1, stored()).close()
    assert "protocol-violation" not in run(wire).codes()


def test_even_context() -> None:
    request = requested(context(1, (CT,)), context(2, (ECHO,)))
    answer = accepted(answered(1, 0), answered(2, 3))
    ran = run(stores(Wire().associate(request, answer)).release())
    assert ran.only("context-id-even").evidence == (1,)
    assert ran.codes("error") == ["context-id-even"]


def test_odd_fragments() -> None:
    whole = image()
    wire = started().say(0, pdu(4, value(command(store()), 3)))
    wire.say(0, pdu(4, value(whole[:31], 0)) + pdu(4, value(whole[31:], 2)))
    ran = run(wire.message(1, stored()).release())
    assert ran.codes() == ["odd-length"]
    assert ran.findings[0].evidence == (3,)


def test_group_length() -> None:
    broken = bytearray(command(store()))
    struct.pack_into("<I", broken, 8, 99)
    wire = started().say(0, pdu(4, value(bytes(broken), 3))).say(0, pdu(4, value(image(), 2)))
    found = run(wire.message(1, stored()).release()).only("group-length-wrong")
    assert "99" in found.detail
    missing = started().say(0, pdu(4, value(command(store())[12:], 3)))
    missing.say(0, pdu(4, value(image(), 2)))
    assert run(missing.message(1, stored()).release()).codes() == ["group-length-wrong"]


def test_malformed_pdu() -> None:
    broken = requested().replace(b"FLC1270".ljust(16), b"FLC1270".ljust(16, b"\0"))
    found = run(stores(Wire().associate(broken)).release()).only("pdu-malformed")
    assert "NUL" in found.detail
    assert found.evidence == (1,)
    assert found.severity == "warning"


def test_malformed_command() -> None:
    odd = command(store()) + struct.pack("<HHI", 0x0008, 0x0018, 2) + b"1\0"
    wire = started().say(0, pdu(4, value(odd, 3))).say(0, pdu(4, value(image(), 2)))
    found = run(wire.message(1, stored()).release()).only("message-malformed")
    assert "(0008,0018) does not belong into a command set" in found.title


def test_a_resent_segment_with_other_bytes() -> None:
    wire = started()
    at = wire.seq[0]
    whole = pdu(4, value(command(store()), 3)) + pdu(4, value(image(), 2))
    wire.segment(0, ACK | PSH, whole).segment(0, ACK | PSH, whole[:-2] + b"xx", seq=at)
    wire.wait(TRIP / 1e9).segment(1, ACK).message(1, stored())
    assert "bytes-conflict" in run(wire.release()).codes("warning")


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", pdu(0x2A, b"abcdef")])
def test_not_understood(junk: bytes) -> None:
    wire = stores(started()).say(0, junk)
    found = run(wire.close()).only("not-understood")
    assert "FLC1270 (requestor)" in found.title


def test_a_data_set_that_does_not_come() -> None:
    wire = started().message(0, store(1)).message(0, echo(2)).message(1, echoed(2))
    found = run(wire.release()).only("dataset-flag-wrong")
    assert "announces a data set that does not come" in found.title
    assert found.frames == (8,)


def test_a_data_set_that_was_not_announced() -> None:
    wire = started().message(0, store(1, flag=0x0101), image()).message(1, stored())
    found = run(wire.release()).only("dataset-flag-wrong")
    assert "not announced" in found.title
    assert set(found.evidence) == {3, 4}


def test_repeated_message_id() -> None:
    wire = started().message(0, store(1), image()).message(0, echo(1), number=3)
    wire.message(1, stored(1)).message(1, echoed(1), number=3)
    found = run(wire.release()).only("message-id-repeated")
    assert set(found.evidence) == {3, 4}


def test_an_id_used_again_after_its_answer_is_allowed() -> None:
    wire = started()
    for _ in range(3):
        wire.message(0, echo(1), number=3).message(1, echoed(1), number=3)
    assert run(wire.release()).findings == []
