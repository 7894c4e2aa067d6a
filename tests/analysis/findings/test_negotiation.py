"""Rules of what was negotiated."""

from __future__ import annotations

import struct

import pytest

from tests.analysis.findings.test_connection import codes, findings
from tests.analysis.findings.wire import (
    CT,
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
    item,
    pdu,
    requested,
    run,
    store,
    stored,
    value,
)

MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
JPEG = "1.2.840.10008.1.2.4.50"
J2K = "1.2.840.10008.1.2.4.90"
IMPLICIT = "1.2.840.10008.1.2"


def stores(wire: Wire, count: int = 1, size: int = 1) -> Wire:
    for number in range(1, count + 1):
        wire.message(0, store(number), image(number, size)).message(1, stored(number))
    return wire


# ---------------------------------------------------------------------------- contexts


def test_nothing_in_common() -> None:
    found = [f for f in findings("no-context.pcapng") if f.severity == "error"]
    assert [f.code for f in found] == ["no-common-context"]
    assert "abstract-syntax-not-supported: CT Image Storage" in found[0].detail


@pytest.mark.parametrize(("result", "said"), [(1, "user-rejection"), (3, "abstract-syntax-not")])
def test_a_class_refused_beside_others(result: int, said: str) -> None:
    request = requested(context(1, (CT,)), context(3, (MR,)))
    answer = accepted(answered(1, 0), answered(3, result))
    ran = run(stores(Wire().associate(request, answer)).release())
    found = ran.only("context-refused")
    assert found.severity == "note"
    assert f"{said}" in found.detail
    assert "MR Image Storage" in found.detail
    assert "CT Image Storage" not in found.detail
    unused = run(Wire().associate(request, answer).release())
    assert unused.only("context-refused").severity == "warning"


@pytest.mark.parametrize(
    ("result", "offered", "said"),
    [
        (3, (IMPLICIT,), "FLC1270 (requestor): is 192.0.2.2 port 11112 the server for this?"),
        (4, (IMPLICIT,), "STORAGE (acceptor): take Implicit VR Little Endian"),
        (4, (JPEG,), "FLC1270 (requestor): offer Implicit VR Little Endian as well"),
        (1, (IMPLICIT,), "does its configuration allow this to FLC1270?"),
    ],
)
def test_who_has_to_mend_a_refusal(result: int, offered: tuple[str, ...], said: str) -> None:
    request, answer = requested(context(1, (CT,), offered)), accepted(answered(1, result))
    wire = Wire().associate(request, answer).say(0, abort()).close()
    ran = run(wire)
    assert said in ran.only("no-common-context").advice
    # That it is ended where nothing can be said is no second error.
    assert ran.codes("error") == ["no-common-context"]


def test_who_offers_what() -> None:
    request = requested(context(1, (CT,), (IMPLICIT,)), context(3, (MR,), (JPEG, J2K)))
    answer = accepted(answered(1, 0), answered(3, 4))
    found = run(stores(Wire().associate(request, answer)).release()).only("context-refused")
    assert "transfer-syntaxes-not-supported: MR Image Storage" in found.detail
    assert "JPEG Baseline" in found.detail
    assert "JPEG 2000" in found.detail


def test_one_context_for_each_syntax_is_usual() -> None:
    """storescu proposes a class twice; refusing one of the two refuses nothing."""
    request = requested(context(1, (CT,), (JPEG,)), context(3, (CT,), (IMPLICIT,)))
    answer = accepted(answered(1, 4), answered(3, 0))
    wire = Wire().associate(request, answer)
    wire.message(0, store(), image(), number=3).message(1, stored(), number=3)
    assert run(wire.release()).findings == []


def test_left_out() -> None:
    answer = accepted(answered(1, 0))
    found = run(stores(Wire().associate(None, answer)).release()).only("context-unanswered")
    assert "3 (Verification SOP Class)" in found.detail


def test_only_compressed() -> None:
    request = requested(context(1, (CT,)), context(3, (MR,), (JPEG, J2K)))
    refused = run(
        stores(Wire().associate(request, accepted(answered(1, 0), answered(3, 4)))).release()
    )
    assert refused.only("only-compressed-offered").severity == "warning"
    taken = accepted(answered(1, 0), answered(3, 0, (J2K,)))
    assert (
        run(stores(Wire().associate(request, taken)).release())
        .only("only-compressed-offered")
        .severity
        == "note"
    )
    assert codes("private-syntax.pcapng") == []  # it may be uncompressed, and is


@pytest.mark.parametrize(("number", "said"), [(3, "no-reason"), (9, "never proposed")])
def test_a_context_that_was_not_accepted(number: int, said: str) -> None:
    answer = accepted(answered(1, 0), answered(3, 2))
    wire = stores(Wire().associate(None, answer))
    found = run(wire.message(0, echo(), number=number).release()).only("context-not-accepted")
    assert said in found.detail
    assert found.severity == "error"


# ---------------------------------------------------------------------------- limits


def test_too_long() -> None:
    wire = Wire().associate(None, accepted(maximum=4096))
    wire.say(0, pdu(4, value(command(store()), 3)))
    wire.say(0, pdu(4, value(image(1, 4100), 2)))
    found = run(wire.message(1, stored()).release()).only("maximum-length-exceeded")
    assert "4,096 bytes at most" in found.detail
    assert f"{len(image(1, 4100)) + 6:,} bytes" in found.title


def test_as_long_as_allowed() -> None:
    wire = Wire().associate(None, accepted(maximum=len(image(1, 4000)) + 6))
    wire.say(0, pdu(4, value(command(store()), 3)))
    wire.say(0, pdu(4, value(image(1, 4000), 2)))
    assert "maximum-length-exceeded" not in run(wire.message(1, stored()).release()).codes()
    assert codes("store-small-pdu.pcapng").count("maximum-length-exceeded") == 0
    free = Wire().associate(None, accepted(maximum=0)).say(0, pdu(4, value(command(store()), 3)))
    free.say(0, pdu(4, value(image(1, 40000), 2)))
    assert run(free.message(1, stored()).release()).findings == []


def test_needlessly_small() -> None:
    (found,) = [f for f in findings("store-small-pdu.pcapng") if "maximum" in f.code]
    assert (found.code, found.severity) == ("maximum-length-small", "note")
    wire = Wire().associate(None, accepted(maximum=4096))
    for number in range(1, 80):
        wire.message(0, store(number))
        whole = image(number, 14000)
        for at in (0, 4000, 8000):
            wire.say(0, pdu(4, value(whole[at : at + 4000], 0)))
        wire.say(0, pdu(4, value(whole[12000:], 2))).message(1, stored(number))
    assert run(wire.release()).only("maximum-length-small").severity == "warning"


def window(invoked: int, performed: int) -> bytes:
    return item(0x53, struct.pack(">HH", invoked, performed))


def outstanding(wire: Wire, number: int) -> Wire:
    for each in range(1, number + 1):
        wire.message(0, store(each), image(each))
    for each in range(1, number + 1):
        wire.message(1, stored(each))
    return wire.release()


@pytest.mark.parametrize(
    ("users", "number", "code"),
    [
        (b"", 2, "asynchronous-window-exceeded"),
        (b"", 1, None),
        (window(3, 3), 3, None),
        (window(3, 3), 4, "asynchronous-window-exceeded"),
        (window(0, 0), 9, None),
    ],
)
def test_window(users: bytes, number: int, code: str | None) -> None:
    asked = requested(users=window(9, 9)) if users else requested()
    ran = run(outstanding(Wire().associate(asked, accepted(users=users)), number))
    assert ran.codes() == ([] if code is None else [code])
    if code is not None:
        assert f"had {number} operations outstanding" in ran.only(code).title


def test_recorded_asynchronous_operations_are_within_their_window() -> None:
    assert codes("async.pcapng") == []


# ---------------------------------------------------------------------------- roles, identity


def role(uid: str, scu: int, scp: int) -> bytes:
    return item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes((scu, scp)))


def get(request: bytes, answer: bytes) -> Wire:
    requests = requested(context(1, (STUDY_GET,)), context(3, (CT,)), users=request)
    wire = Wire().associate(requests, accepted(users=answer))
    values: dict[int, int | str] = {
        0x0002: STUDY_GET,
        0x0100: 0x0010,
        0x0110: 1,
        0x0700: 0,
        0x0800: 0x0102,
    }
    identifier = element(0x00080052, b"STUDY ") + element(0x0020000D, b"1.2.3.44")
    wire.message(0, values, identifier)
    final: dict[int, int | str] = {
        0x0002: STUDY_GET,
        0x0100: 0x8010,
        0x0120: 1,
        0x0800: 0x0101,
        0x0900: 0,
    }
    return wire.message(1, final).release()


@pytest.mark.parametrize(
    ("request_", "answer", "said"),
    [
        (b"", b"", "did not ask"),
        (role(CT, 1, 0), role(CT, 1, 0), "did not ask"),
        (role(MR, 0, 1), role(MR, 0, 1), "did not ask"),
        (role(CT, 0, 1), b"", "refused"),
        (role(CT, 0, 1), role(CT, 1, 0), "refused"),
        (role(CT, 1, 1), role(CT, 0, 1), None),
    ],
)
def test_roles(request_: bytes, answer: bytes, said: str | None) -> None:
    ran = run(get(request_, answer))
    if said is None:
        assert "role-selection-missing" not in ran.codes()
    else:
        assert said in ran.only("role-selection-missing").title


def test_recorded_get_has_its_roles() -> None:
    assert "role-selection-missing" not in codes("get.pcapng")


SECRET = b"hunter2-not-a-secret"


@pytest.mark.parametrize(("kind", "severity"), [(1, "note"), (2, "warning"), (5, "warning")])
def test_identity(kind: int, severity: str) -> None:
    primary = b"mueller" if kind < 3 else SECRET
    secondary = SECRET if kind == 2 else b""
    content = bytes((kind, 0)) + struct.pack(">H", len(primary)) + primary
    content += struct.pack(">H", len(secondary)) + secondary
    wire = Wire().associate(requested(users=item(0x58, content)))
    wire.message(0, echo(), number=3).message(1, echoed(), number=3)
    ran = run(wire.release())
    found = ran.only("user-identity-clear")
    assert found.severity == severity
    assert "hunter2" not in repr(ran.findings)
    assert "mueller" not in repr(ran.findings)


@pytest.mark.parametrize(
    "name", ["negotiation.pcapng", "negotiation-answered.pcapng", "identity-token.pcapng"]
)
def test_recorded_identities(name: str) -> None:
    assert codes(name).count("user-identity-clear") == 1
