"""Rules of associations: rejected, unanswered, aborted, released."""

from __future__ import annotations

import pytest

from dicomsniff.analysis.findings.titles import differs, distance, nearest
from tests.analysis.findings.building import STUDY_FIND
from tests.analysis.findings.test_connection import codes, findings
from tests.analysis.findings.wire import (
    ACK,
    FIN,
    RELEASE,
    RELEASED,
    RST,
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
    rejected,
    requested,
    run,
    store,
    stored,
    value,
)

# ---------------------------------------------------------------------------- rejected


def test_rejected_without_a_hint() -> None:
    (found,) = findings("worklist-refused.pcapng")
    assert found.code == "association-rejected"
    assert "MOZZI" in found.detail
    assert "Reject Permanent, User: Called AE title not recognized" in found.detail
    assert "accepted elsewhere" not in found.detail
    assert found.evidence == (1, 2)


@pytest.mark.parametrize(
    ("numbers", "said", "advice"),
    [
        ((1, 1, 1), "No reason given", "log"),
        ((1, 1, 2), "Application context", "requestor's side"),
        ((1, 1, 3), "Calling AE title", "enter FLC1270"),
        ((1, 1, 7), "Called AE title", "is STORAGE the AE title"),
        ((1, 2, 1), "No reason given", "network layer"),
        ((1, 2, 2), "Protocol version", "version"),
        ((2, 3, 1), "Temporary congestion", "another try may succeed"),
        ((2, 3, 2), "Local limit exceeded", "raise its limit"),
        ((1, 1, 9), "Reserved (9)", "does not know"),
        ((9, 9, 9), "Undefined (9)", "does not know"),
    ],
)
def test_each_reason(numbers: tuple[int, int, int], said: str, advice: str) -> None:
    wire = Wire().open().say(0, requested()).say(1, rejected(*numbers)).close()
    found = run(wire).only("association-rejected")
    assert said in found.title
    assert advice in found.advice
    assert found.severity == "error"


def session(called: str, begin: float, *, calling: str = "FLC1270", answer: bytes = b"") -> Wire:
    wire = Wire(begin=begin, client_port=40000 + round(begin)).open()
    wire.say(0, requested(called=called, calling=calling))
    if answer:
        return wire.say(1, answer).close()
    wire.say(1, accepted()).message(0, echo(), number=3).message(1, echoed(), number=3)
    return wire.release()


@pytest.mark.parametrize(
    ("wrong", "how"),
    [
        ("ArchIve", "only upper and lower case differ"),
        ("ARCH IVE", "only spaces differ"),
        ("ARCH_IVE", "only case, spaces, hyphens or underscores differ"),
        ("ARCIVE", "one letter differs"),
        ("ARHCIVE", "2 letters differ"),
    ],
)
def test_the_title_that_was_meant(wrong: str, how: str) -> None:
    before = session("ARCHIVE", 0)
    after = session(wrong, 10, answer=rejected(1, 1, 7))
    found = run(before, after).only("association-rejected")
    assert f"ARCHIVE was accepted elsewhere in this capture: {how}" in found.detail
    assert found.ae_titles == ("ARCHIVE",)


def test_the_title_that_was_meant_comes_later() -> None:
    ran = run(session("ARCIVE", 0, answer=rejected(1, 1, 7)), session("ARCHIVE", 10))
    found = ran.only("ae-title-similar")
    assert found.severity == "note"
    assert "ARCIVE was rejected, ARCHIVE was accepted" in found.title
    assert found.ae_titles == ("ARCIVE", "ARCHIVE")


def test_a_title_unlike_any_on_the_same_port() -> None:
    ran = run(session("PACS1", 0), session("WORKLIST", 10, answer=rejected(1, 1, 7)))
    assert "same port accepted PACS1" in ran.only("association-rejected").detail


def test_the_calling_title_that_was_meant() -> None:
    before = session("ARCHIVE", 0, calling="CT_ROOM1")
    after = session("ARCHIVE", 10, calling="CT-ROOM1", answer=rejected(1, 1, 3))
    assert "CT_ROOM1 was accepted" in run(before, after).only("association-rejected").detail


def test_without_a_reason_the_classes_are_named() -> None:
    found = run(session("PACS1", 0, answer=rejected(1, 1, 1))).only("association-rejected")
    assert "(here CT Image Storage and Verification SOP Class)" in found.advice


def test_no_likeness_no_hint() -> None:
    before = session("ARCHIVE", 0, calling="CT1")
    after = session("ARCHIVE", 10, calling="WARD7", answer=rejected(1, 1, 3))
    ran = run(before, after)
    assert "accepted" not in ran.only("association-rejected").detail
    assert ran.codes() == ["association-rejected"]


def test_titles_compared() -> None:
    assert distance("", "ABC") == 3
    assert distance("MOZI", "MOZZI") == 1
    assert distance("KITTEN", "SITTING") == 3
    assert nearest("CT1", {"CT2", "MR1"}) == "CT2"
    assert nearest("CT1", {"MR2"}) is None  # two letters of three are another device
    assert nearest("CT1", {"CT1"}) is None
    assert differs("A B", "AB") == "only spaces differ"


# ---------------------------------------------------------------------------- unanswered


@pytest.mark.parametrize("flags", [FIN | ACK, RST | ACK])
def test_request_not_answered(flags: int) -> None:
    wire = Wire().open().say(0, requested()).wait(30).segment(1, flags)
    ran = run(wire)
    assert ran.codes() == ["association-unanswered"]
    assert "30 s" in ran.findings[0].detail


def test_request_not_answered_and_aborted() -> None:
    wire = Wire().open().say(0, requested()).wait(30).say(0, abort()).close()
    assert run(wire).codes() == ["association-unanswered"]


def test_a_request_at_the_end_of_a_capture_may_yet_be_answered() -> None:
    wire = Wire().open().say(0, requested())
    assert run(wire, until=2).findings == []
    assert run(wire, until=20).codes() == ["association-unanswered"]


def test_half_a_connection_is_not_an_unanswered_one() -> None:
    wire = Wire().associate().release()
    wire.sent = [each for each in wire.sent if each[1][26:30] == wire.addresses[0]]
    assert "association-unanswered" not in run(wire, until=60).codes()


# ---------------------------------------------------------------------------- aborted


def test_abort_by_the_acceptor() -> None:
    found = findings("store-aborted-by-scp.pcapng")
    assert [(f.code, f.severity) for f in found] == [("association-aborted", "error")] * 2
    for each in found:
        assert "STORAGE (acceptor) sent A-ABORT (source User)" in each.detail
        assert "after the C-STORE-RQ (entry 3) of the requestor" in each.detail
        assert "Unanswered: C-STORE, message ID 1" in each.detail
        assert "it cannot take" in each.advice


def test_abort_while_it_is_being_sent_to() -> None:
    wire = Wire().associate().say(0, pdu(4, value(command(store()), 3)))
    wire.say(0, pdu(4, value(image(), 0))).say(1, abort()).segment(1, FIN | ACK)
    found = run(wire.segment(0, RST | ACK)).only("association-aborted")
    assert "after the unfinished C-STORE-RQ" in found.detail
    assert "gave up while it was being sent to" in found.advice


def test_abort_with_nothing_open_is_a_warning() -> None:
    (found,) = findings("store-aborted-by-scu.pcapng")
    assert (found.code, found.severity) == ("association-aborted", "warning")
    assert "FLC1270 (requestor)" in found.title


def test_abort_after_waiting_is_a_time_out() -> None:
    wire = Wire().associate().message(0, echo(5), number=3).wait(30).say(0, abort()).close()
    found = run(wire).only("association-aborted")
    assert "waited 30 s for an answer" in found.advice
    assert "C-ECHO, message ID 5" in found.detail


def test_an_answer_behind_the_abort_came_too_late() -> None:
    wire = Wire().associate().message(0, echo(5), number=3).wait(30).say(0, abort())
    wire.wait(12).message(1, echoed(5), number=3)
    found = run(wire.close()).only("association-aborted")
    assert found.severity == "error"
    assert "Unanswered: C-ECHO, message ID 5. C-ECHO-RSP (entry 5) came 12 s too late" in (
        found.detail
    )
    assert "waited 30 s for an answer" in found.advice


@pytest.mark.parametrize("reason", [1, 2, 4, 5, 6])
def test_abort_by_the_provider(reason: int) -> None:
    wire = Wire().associate().message(0, echo(), number=3).say(1, abort(2, reason)).close()
    found = run(wire).only("association-aborted")
    assert found.severity == "error"
    assert "Provider" in found.detail
    assert "look at the entry before the abort" in found.advice


def test_abort_after_the_negotiation() -> None:
    found = run(Wire().associate().say(0, abort()).close()).only("association-aborted")
    assert "negotiation" in found.advice


def test_abort_on_what_a_response_held() -> None:
    wire = Wire().associate().message(0, echo(), number=3)
    wire.message(1, echoed(status=0xFF00), number=3).say(0, abort()).close()
    found = run(wire).only("association-aborted")
    assert "C-ECHO-RSP (entry 4)" in found.advice


@pytest.mark.parametrize("name", [b"Ceshi^Jia ", b"Ceshi=\xb2\xe2\xca\xd4"])
def test_abort_right_after_the_answers_to_a_query(name: bytes) -> None:
    """All of them had crossed the wire before the device came to the one that it cannot take."""
    answer = {0x0002: STUDY_FIND, 0x0100: 0x8020, 0x0120: 1}
    wire = Wire().associate(requested(context(1, (STUDY_FIND,))), accepted(answered(1, 0)))
    level = element(0x00080052, b"STUDY ")
    question = level + element(0x00100010, b"") + element(0x0020000D, b"")
    find = {0x0002: STUDY_FIND, 0x0100: 0x0020, 0x0110: 1, 0x0700: 0, 0x0800: 0x0102}
    wire.message(0, find, question)
    held = level + element(0x00100010, name) + element(0x0020000D, b"1.2.3\0")
    wire.message(1, {**answer, 0x0800: 0x0102, 0x0900: 0xFF00}, held)
    wire.message(1, {**answer, 0x0800: 0x0101, 0x0900: 0}).say(0, abort()).close()
    found = run(wire).only("association-aborted")
    assert found.severity == "warning"
    if name.isascii():
        assert "just received 1 answer to its query" in found.advice
    else:
        assert "stopped after 1 answer to its query" in found.advice
        assert "told under charset-undeclared" in found.advice


def test_abort_in_the_middle_of_ones_own_message() -> None:
    wire = Wire().associate().say(0, pdu(4, value(command(store()), 3)))
    found = run(wire.say(0, abort()).close()).only("association-aborted")
    assert "stopped in the middle of what it was sending" in found.advice


def test_two_aborts_are_one() -> None:
    wire = Wire().associate().say(0, abort()).say(1, abort()).close()
    assert run(wire).codes() == ["association-aborted"]


# ---------------------------------------------------------------------------- released


def test_release_collision() -> None:
    wire = Wire().associate().message(0, store(), image()).message(1, stored())
    wire.say(0, RELEASE, acknowledged=False).say(1, RELEASE)
    ran = run(wire.say(0, RELEASED).say(1, RELEASED).close())
    assert ran.codes() == ["release-collision"]
    assert ran.findings[0].severity == "note"


def test_release_and_its_response_are_no_collision() -> None:
    wire = Wire().associate().message(0, store(), image()).message(1, stored())
    assert run(wire.release()).findings == []


def test_another_association_before_the_first_has_ended() -> None:
    wire = Wire().associate().message(0, store(), image()).message(1, stored())
    wire.say(0, requested()).say(1, accepted())
    wire.message(0, store(2), image(2)).message(1, stored(2)).release()
    assert run(wire).codes("error", "warning") == ["association-replaced"]


def test_one_after_the_other_is_fine() -> None:
    assert codes("two-associations-one-connection.pcapng") == []


def test_unused() -> None:
    ran = run(Wire().associate().release())
    assert [(f.code, f.severity) for f in ran.findings] == [("association-unused", "note")]
    assert "refused" not in ran.findings[0].advice
