"""Rules of statuses, missing, unasked and slow responses."""

from __future__ import annotations

import struct

import pytest

from tests.analysis.findings.building import WORKLIST
from tests.analysis.findings.test_connection import codes, findings
from tests.analysis.findings.wire import (
    Wire,
    abort,
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
    stored,
    value,
)


def started() -> Wire:
    return Wire().associate()


def refused(number: int, status: int, **more: str) -> dict[int, int | str]:
    """A C-ECHO that is refused; no subject has a rule of its own for that."""
    values = echoed(number, status)
    if "comment" in more:
        values[0x0902] = more["comment"]
    if "offending" in more:
        values[0x0901] = more["offending"]
    return values


def test_particulars() -> None:
    wire = started().message(0, echo(1), number=3)
    answer = refused(1, 0x0122, comment="Mueller^Anna not allowed", offending="\x08\0\x60\0")
    found = run(wire.message(1, answer, number=3).release()).only("status-failure")
    assert found.title == "C-ECHO failed: Refused: SOP Class Not Supported (0122H)"
    assert "(0008,0060) Modality" in found.detail
    assert found.severity == "error"
    assert found.evidence == (3, 4)  # the request, too
    # The comment is free text, and somebody's name may stand in it.
    assert "An Error Comment (0000,0902) says more: entry 4" in found.detail
    assert "Mueller" not in repr(found)


def test_error_id_and_warnings() -> None:
    values = refused(1, 0xB123) | {0x0903: 0xA710}
    wire = started().message(0, echo(1), number=3).message(1, values, number=3)
    found = run(wire.release()).only("status-warning")
    assert found.severity == "warning"
    assert "Error ID: A710H" in found.detail


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0x0110, "tells why"),
        (0x0111, "same instance before"),
        (0x0112, "does not know what FLC1270"),
        (0x0120, "lacks an attribute"),
        (0x0124, "has to be allowed"),
        (0x0213, "disk, memory or database"),
        (0xC123, "conformance statement explains"),
        (0x0999, "tells more"),
    ],
)
def test_advice(code: int, said: str) -> None:
    wire = started().message(0, echo(1), number=3).message(1, refused(1, code), number=3)
    assert said in run(wire.release()).only("status-failure").advice


def test_a_refusal_of_what_has_a_finding_of_its_own() -> None:
    find = {0x0002: WORKLIST, 0x0100: 0x0020, 0x0110: 1, 0x0700: 0, 0x0800: 0x0102}
    answer = {0x0002: WORKLIST, 0x0100: 0x8020, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0xA900}
    for date, said in ((b"2026* ", "told under data-value."), (b"20260105", "which element.")):
        step = b"\xfe\xff\0\xe0" + struct.pack("<I", 8 + len(date)) + element(0x00400002, date)
        wire = Wire().associate(requested(context(1, (WORKLIST,))), accepted(answered(1, 0)))
        wire.message(0, find, element(0x00400100, step)).message(1, answer).release()
        assert run(wire).only("status-failure").advice.endswith(said)


def test_the_same_status_many_times_is_one_finding() -> None:
    wire = started()
    for number in range(1, 6):
        wire.message(0, echo(number), number=3).message(1, refused(number, 0x0122), number=3)
    found = run(wire.release()).only("status-failure")
    assert "5 times" in found.title
    assert found.evidence == tuple(range(3, 13))


def test_success_pending_and_cancel_are_no_findings() -> None:
    assert not [c for c in codes("query-cancelled.pcapng") if c.startswith("status-")]


# ---------------------------------------------------------------------------- no answer


def test_no_answer_before_release() -> None:
    ran = run(started().message(0, store(3), image(3)).release())
    found = ran.only("response-missing")
    assert "STORAGE (acceptor) did not answer C-STORE, message ID 3" in found.title
    assert found.severity == "error"


def test_only_pending_answers() -> None:
    wire = started().message(0, echo(3), number=3).message(1, echoed(3, 0xFF00), number=3)
    found = run(wire.release()).only("response-missing")
    assert "After 1 pending response" in found.detail


@pytest.mark.parametrize(("later", "told"), [(3, False), (30, True)])
def test_no_answer_until_the_capture_ended(later: float, told: bool) -> None:
    ran = run(started().message(0, echo(3), number=3), until=later)
    assert ("response-missing" in ran.codes()) is told


def test_an_abort_says_it_alone() -> None:
    ran = run(started().message(0, store(3), image(3)).wait(20).say(0, abort()).close())
    assert ran.codes() == ["association-aborted"]


def test_a_response_that_was_lost_by_the_capture_is_not_missing() -> None:
    wire = started().message(0, store(), image()).message(1, stored())
    wire.message(0, store(2), image(2)).message(1, stored(2)).release()
    answers = [at for at, (_, data) in enumerate(wire.sent) if data[26:30] == wire.addresses[1]]
    first = next(at for at in answers if command(stored()) in wire.sent[at][1])
    del wire.sent[first]
    assert "response-missing" not in run(wire).codes()


def test_unasked() -> None:
    wire = started().message(0, echo(3), number=3).message(1, echoed(4), number=3)
    found = run(wire.message(1, echoed(3), number=3).release()).only("response-unasked")
    assert "C-ECHO, message ID 4" in found.title


def test_answered_twice() -> None:
    wire = started().message(0, echo(3), number=3).message(1, echoed(3), number=3)
    ran = run(wire.message(1, echoed(3), number=3).release())
    assert ran.codes() == ["response-unasked"]


def test_an_answer_before_the_data_set_was_whole_is_allowed() -> None:
    """A server that refuses may do so as soon as it knows."""
    whole = image(1, 400)
    wire = started().say(0, pdu(4, value(command(store()), 3)))
    wire.say(0, pdu(4, value(whole[:100], 0))).message(1, stored(1, 0xA700))
    ran = run(wire.say(0, pdu(4, value(whole[100:], 2))).release())
    assert len(ran.codes()) == 1  # that it failed, and nothing else
    assert "A700H" in ran.findings[0].title + ran.findings[0].detail


# ---------------------------------------------------------------------------- late answers


def test_recorded_slow_server() -> None:
    (found,) = [f for f in findings("worklist-slow.pcapng") if f.code == "response-slow"]
    assert found.severity == "warning"
    assert found.evidence == (3, 4)


def test_where_the_time_went() -> None:
    """The network's share is that of the handshake, the rest is the server's."""
    whole = image(1, 400)
    wire = started().say(0, pdu(4, value(command(store()), 3))).wait(0.5)
    wire.say(0, pdu(4, value(whole, 2))).wait(3)
    half = pdu(4, value(command(stored()), 3))
    found = run(wire.say(1, half[:20]).wait(0.25).say(1, half[20:]).release()).only("response-slow")
    assert "FLC1270 (requestor) took 0.5" in found.detail
    assert "network there and back 0.201 ms" in found.detail
    assert "STORAGE (acceptor) took 3 s to begin its answer" in found.detail
    assert "0.25 s to send C-STORE-RSP" in found.detail


def test_an_answer_after_an_abort_is_not_late_but_useless() -> None:
    wire = started().message(0, echo(3), number=3).wait(3).say(0, abort()).wait(3)
    ran = run(wire.message(1, echoed(3), number=3).close())
    assert ran.codes() == ["association-aborted"]


def test_a_silence_between_answers_counts() -> None:
    wire = started().message(0, echo(3), number=3).message(1, echoed(3, 0xFF00), number=3)
    found = run(wire.wait(5).message(1, echoed(3), number=3).release()).only("response-slow")
    assert "took 5 s" in found.title


def test_slow_people_are_not_slow_servers() -> None:
    wire = started().message(0, echo(1), number=3).message(1, echoed(1), number=3).wait(60)
    wire.message(0, echo(2), number=3).message(1, echoed(2), number=3)
    assert run(wire.release()).findings == []


def test_a_slow_upload_is_not_a_slow_server() -> None:
    wire = started().say(0, pdu(4, value(command(store()), 3)))
    whole = image(1, 4000)
    for at in range(0, len(whole), 400):
        control = 2 if at + 400 >= len(whole) else 0
        wire.wait(1).say(0, pdu(4, value(whole[at : at + 400], control)))
    assert run(wire.message(1, stored()).release()).findings == []


def test_sub_operations_take_their_time() -> None:
    model = "1.2.840.10008.5.1.4.1.2.2.2"
    move = {0x0002: model, 0x0100: 0x0021, 0x0110: 1, 0x0600: "DEST", 0x0700: 0, 0x0800: 0x0102}
    for completed in (0, 500):
        answer = {0x0002: model, 0x0100: 0x8021, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0}
        answer |= {0x1021: completed, 0x1022: 0, 0x1023: 0}
        wire = Wire().associate(requested(context(1, (model,))), accepted(answered(1, 0)))
        study = element(0x00080052, b"STUDY ") + element(0x0020000D, b"1.2.3\0")
        wire.message(0, move, study).wait(40).message(1, answer).release()
        assert ("response-slow" in run(wire).codes()) == (completed == 0)
