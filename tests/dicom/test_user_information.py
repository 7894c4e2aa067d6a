"""Secrets of a user identity: measured, never kept, however crooked the lengths are."""

from __future__ import annotations

import struct

import pytest

from dicomsniff.dicom.pdu import decode, layout, secret_spans
from dicomsniff.model import UserIdentity
from tests.dicom.building import (
    APPLICATION,
    CLASS,
    MAXIMUM,
    SECRET,
    associate,
    context,
    counted,
    decoded,
    item,
    named,
    request,
    texts,
    walk,
)


def identity(kind: int, primary: bytes, secondary: bytes) -> bytes:
    return item(0x58, bytes((kind, 1)) + counted(primary) + counted(secondary))


def leaks(data: bytes, secret: bytes = SECRET) -> list[str]:
    """Where four bytes in a row of a secret come out of a decoded PDU."""
    out = [repr(decode(data))] + [repr((n.name, n.value)) for n in walk(layout(data))]
    parts = [secret[n : n + 4] for n in range(len(secret) - 3)]
    forms = [form for part in parts for form in (part.decode(), part.hex(), part.hex(" "))]
    return [text for text in out if any(form in text for form in forms)]


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (identity(1, b"user", b""), UserIdentity(1, True, "user", 4, 0)),
        (identity(2, b"user", SECRET), UserIdentity(2, True, "user", 4, 20)),
        (identity(2, b"\xff", SECRET), UserIdentity(2, True, "\ufffd", 1, 20)),
        (identity(3, SECRET, b""), UserIdentity(3, True, None, 20, 0)),
        (identity(4, SECRET, b""), UserIdentity(4, True, None, 20, 0)),
        (identity(5, SECRET, SECRET), UserIdentity(5, True, None, 20, 20)),
        (identity(0, SECRET, SECRET), UserIdentity(0, True, None, 20, 20)),
        (identity(9, SECRET, b""), UserIdentity(9, True, None, 20, 0)),
    ],
)
def test_only_a_user_name_is_kept(users: bytes, expected: UserIdentity) -> None:
    data = request(users=users)
    assert decoded(data).user_information.user_identity == expected
    assert leaks(data) == []
    (shown,) = {n.value for n in walk(layout(data)) if n.sensitive and n.value} or {"none"}
    assert shown == ("20 bytes, not shown" if SECRET in users else "none")
    hidden = bytearray(data)
    for start, end in secret_spans(data):
        hidden[start:end] = bytes(end - start)
    assert SECRET not in hidden


def test_a_user_name_is_shown_as_one() -> None:
    (node,) = named(request(users=identity(2, b"user", SECRET)), "Primary field (user name)")
    assert (node.value, node.sensitive) == ("user", False)


MISFITS = {
    "item too short": item(0x58, b"\2\0" + counted(b"u") + counted(SECRET), 9),
    "item too long": item(0x58, b"\2\0" + counted(b"u") + counted(SECRET), 99),
    "secondary too short": item(0x58, b"\2\0" + counted(b"u") + b"\0\2" + SECRET),
    "secondary too long": item(0x58, b"\2\0" + counted(b"u") + b"\0\xff" + SECRET),
    "primary too long": item(0x58, b"\2\0\0\xff" + b"u" + counted(SECRET)),
    "no secondary length": item(0x58, b"\2\0" + counted(b"u") + SECRET),
}


@pytest.mark.parametrize("users", MISFITS.values(), ids=MISFITS)
@pytest.mark.parametrize("behind", [b"", item(0x55, b"VERSION"), item(0x7D, b"tail")])
def test_a_misfit_user_identity_spills_nothing(users: bytes, behind: bytes) -> None:
    assert leaks(request(users=users + behind)) == []
    assert leaks(request(users=behind + users)) == []
    for missing in range(1, 24):
        content = MAXIMUM + CLASS + users
        short = item(0x50, content, len(content) - missing)
        assert leaks(associate(APPLICATION + context() + short + behind)) == []
    whole = associate(APPLICATION + item(0x50, MAXIMUM + users))
    assert leaks(whole[:2] + struct.pack(">I", len(whole) - 15) + whole[6:]) == []


@pytest.mark.parametrize(
    "disguise", [b"\x55\0\0\x40", b"\x55\0\0\x08", b"\x50\0\0\x40", b"\x77\0\0\x08"]
)
def test_a_passcode_that_looks_like_an_item_is_none(disguise: bytes) -> None:
    passcode = disguise + SECRET
    fields = b"\2\0" + counted(b"u") + counted(passcode)
    inner = item(0x58, fields, len(fields) - len(passcode))
    assert leaks(request(users=inner)) == []
    outer = item(0x50, MAXIMUM + CLASS + inner, len(MAXIMUM + CLASS + inner) - len(passcode))
    assert leaks(associate(APPLICATION + context() + outer)) == []


def test_a_user_identity_out_of_place_spills_nothing() -> None:
    assert leaks(request(items=identity(2, b"user", SECRET))) == []
    assert leaks(request(items=item(0x59, counted(SECRET)))) == []


def test_lengths_that_agree_on_too_little_spill_nothing() -> None:
    users = item(0x58, b"\2\0" + counted(b"u") + counted(SECRET[:2])) + SECRET[2:]
    for behind in (b"", item(0x55, b"VERSION")):
        data = request(users=users + behind)
        assert leaks(data) == []
        assert any("what follows is not decoded" in text for text in texts(data))


def test_items_behind_a_user_identity_are_decoded() -> None:
    data = request(users=identity(2, b"user", SECRET) + item(0x55, b"VERSION") + item(0x5A, b"x"))
    user = decoded(data).user_information
    assert user.implementation_version_name == "VERSION"
    assert user.unknown_items == ((0x5A, b"x"),)
    cut = decoded(data[:-3]).user_information
    assert cut.implementation_version_name == "VERSION"


def test_a_misfit_that_is_well_enclosed_costs_nothing_else() -> None:
    users = MISFITS["secondary too long"] + item(0x55, b"VERSION")
    user = decoded(request(users=users)).user_information
    assert user.implementation_version_name == "VERSION"
    assert user.user_identity == UserIdentity(2, False, "u", 1, 255)


def test_secrets_do_not_come_out_of_any_cut() -> None:
    data = request(users=identity(2, b"user", SECRET) + item(0x55, b"VERSION"))
    for size in range(len(data)):
        assert leaks(data[:size]) == []
