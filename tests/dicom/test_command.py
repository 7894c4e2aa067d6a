"""A command set read from its bytes says what the decoded one says."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dicomsniff
from dicomsniff.dicom.command import CommandSet, decode_command
from tests.support import CAPTURES

TAGS = (0x0000, 0x0002, 0x0100, 0x0110, 0x0120, 0x0800, 0x0900, 0x1020, 0x00080005, -1, 1 << 40)


def _element(tag: int, value: bytes) -> bytes:
    return (
        (tag >> 16).to_bytes(2, "little")
        + (tag & 0xFFFF).to_bytes(2, "little")
        + len(value).to_bytes(4, "little")
        + value
    )


def _agrees(data: bytes) -> None:
    decoded, _ = decode_command(data)
    command = CommandSet(data)
    assert command == decoded
    assert list(command) == list(decoded)
    assert list(command.items()) == list(decoded.items())
    assert list(command.values()) == list(decoded.values())
    assert len(command) == len(decoded)
    assert bool(command) == bool(decoded)
    for tag in (*decoded, *TAGS):
        assert command.get(tag) == decoded.get(tag)
        assert (tag in command) == (tag in decoded)


@pytest.mark.parametrize("name", ["move.pcapng", "mpps.pcapng", "worklist-faulty.pcapng"])
def test_on_real_messages(name: str) -> None:
    seen = 0
    for association in dicomsniff.read(str(CAPTURES / name), reader="scapy"):
        for entry in association.timeline:
            if entry.message is not None:
                assert isinstance(entry.message.command, CommandSet)
                _agrees(entry.message.command_bytes)
                seen += 1
    assert seen


ELEMENTS = st.builds(_element, st.sampled_from(TAGS[:9]), st.binary(max_size=12))


@given(st.one_of(st.lists(ELEMENTS, max_size=9).map(b"".join), st.binary(max_size=64)))
def test_on_any_bytes(data: bytes) -> None:
    _agrees(data)
    _agrees(data[: len(data) // 2])


def test_what_is_not_there() -> None:
    command = CommandSet(_element(0x0900, b"\0\0"))
    assert command[0x0900].value == 0
    with pytest.raises(KeyError):
        command[0x0110]
    assert command.get(0x0110, "none") == "none"
    assert "00000110" not in command


def test_a_value_that_looks_like_an_element_is_none() -> None:
    inside = _element(0x0900, b"\xff\x00")
    command = CommandSet(_element(0x0902, inside) + _element(0x0110, b"\1\0"))
    assert command.get(0x0900) is None
    assert command[0x0110].value == 1


def test_it_can_go_to_another_process() -> None:
    command = CommandSet(_element(0x0900, b"\0\0"))
    assert pickle.loads(pickle.dumps(command)) == command
