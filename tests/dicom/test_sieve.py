"""The sieve: the same whatever the split, nothing lost from the count, bulk never held."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import generate_fragments

from dicomsniff.dicom import sieve as module
from dicomsniff.dicom.dataset import decode
from dicomsniff.dicom.places import held_chunks
from dicomsniff.dicom.sieve import (
    BINARY_LIMIT,
    HELD_LIMIT,
    RAW_LIMIT,
    TEXT_LIMIT,
    Sieve,
)
from dicomsniff.model import DataSetBytes
from tests.dicom.datasets import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    SEQUENCE_END,
    UNDEFINED,
    explicit,
    implicit,
    item,
    open_item,
    pydicom_files,
    random_cuts,
    read,
    sieved,
)

HEAD = explicit(0x00080005, "CS", b"ISO_IR 100") + explicit(0x00080060, "CS", b"CT")
TAIL = explicit(0xFFFCFFFC, "OB", b"\0" * 10)
FILLER = explicit(0x00081030, "LO", b"x" * 64) * ((RAW_LIMIT // 72) + 1)
"""Enough to make a sieve walk. (A tag again and again: a sieve does not mind.)"""


def whole(data: DataSetBytes) -> int:
    """Bytes that are accounted for."""
    return len(data.held) + sum(skip.length for skip in data.skips)


@pytest.mark.parametrize("count", [False, True])
def test_every_split_of_every_file_gives_the_same(count: bool) -> None:
    seen = 0
    for path, syntax, body in pydicom_files():
        once = sieved(body, syntax)
        if not once.inflated:
            assert whole(once) == once.length == len(body), path
        for seed in range(3):
            cuts = random_cuts(len(body), seed) + list(range(min(300, len(body))))
            assert sieved(body, syntax, cuts, count=count) == once, path
        seen += 1
    assert seen > 100


def test_pixel_data_is_measured_as_pydicom_finds_it() -> None:
    plain = encapsulated = 0
    for path, syntax, body in pydicom_files():
        data = sieved(body, syntax)
        theirs = read(path).get("PixelData")
        ours = decode(data, syntax).get(0x7FE00010)
        if theirs is None or ours is None or ours.bulk_length is None or ours.faults:
            continue
        if ours.length is None:
            fragments = list(generate_fragments(theirs))
            assert ours.fragments == len(fragments), path
            # Their items with headers, and the sequence delimiter.
            assert ours.bulk_length == sum(len(part) + 8 for part in fragments) + 8, path
            encapsulated += 1
        else:
            assert ours.bulk_length == len(theirs), path
            plain += 1
    assert plain > 15
    assert encapsulated > 10


def test_what_is_kept_decodes_as_if_nothing_had_been_taken_out() -> None:
    compared = 0
    for path, syntax, body in pydicom_files():
        data = sieved(body, syntax)
        if not data.skips or data.inflated:
            continue
        full = decode(DataSetBytes(len(body), body), syntax)
        kept = decode(data, syntax)
        ours = [(where, one.vr, one.length, one.values) for where, one in kept.walk()]
        theirs = [
            (where, one.vr, one.length, () if one.bulk_length else one.values)
            for where, one in full.walk()
        ]
        for mine, other in zip(ours, theirs, strict=True):
            if mine[3] or not other[3] or len(str(other[3])) < BINARY_LIMIT:
                assert mine == other, path
        compared += 1
    assert compared > 20


@given(
    st.lists(st.sampled_from(range(12)), max_size=25),
    st.binary(max_size=60),
    st.lists(st.integers(0, 30_000), max_size=30),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_any_split(
    pieces: list[int], noise: bytes, cuts: list[int], count: bool
) -> None:
    bricks = [
        HEAD,
        FILLER,
        explicit(0x7FE00010, "OW", b"\1\2" * 4000),
        explicit(0x7FE00010, "OB", b"", UNDEFINED) + item(b"") + item(b"\7" * 5000) + SEQUENCE_END,
        explicit(0x00081140, "SQ", b"", UNDEFINED)
        + open_item(explicit(0x7FE00010, "OB", b"z" * 2000))
        + SEQUENCE_END,
        explicit(0x00091010, "UN", b"", UNDEFINED)
        + open_item(implicit(0x00100010, b"A^B ") + implicit(0x7FE00010, b"p" * 3000))
        + SEQUENCE_END,
        explicit(0x00400100, "SQ", item(explicit(0x0040A160, "UT", b"t" * 20_000))),
        explicit(0x00420011, "OB", b"%PDF" * 1000, 0x7FFFFFFF),
        explicit(0x00091001, "ZZ", b"\0\0\4\0\0\0abcd"),
        noise,
        SEQUENCE_END,
        implicit(0x00100010, b"A^B "),
    ]
    body = b"".join(bricks[piece] for piece in pieces)
    once = sieved(body, EXPLICIT)
    assert whole(once) == len(body)
    cuts = [cut for cut in cuts if cut < len(body)]
    assert sieved(body, EXPLICIT, cuts, count=count) == once


@given(
    st.binary(max_size=20_000), st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED, None, "1.9"])
)
@settings(max_examples=100, deadline=None)
def test_noise_is_counted_whole(body: bytes, syntax: str | None) -> None:
    once = sieved(body, syntax)
    assert once.length == len(body)
    if not once.inflated:
        assert whole(once) == len(body)
    assert len(once.held) <= HELD_LIMIT + TEXT_LIMIT
    decode(once, syntax)


def test_two_gigabytes_cost_what_their_header_costs() -> None:
    tracemalloc.start()
    sieve = Sieve(EXPLICIT)
    sieve.feed(HEAD + FILLER + explicit(0x7FE00010, "OW", b"", 2_000_000_000))
    fed = 0
    while fed < 2_000_000_000:
        assert sieve.skip == 2_000_000_000 - fed
        sieve.skip -= 50_000_000
        sieve.length += 50_000_000
        fed += 50_000_000
    sieve.feed(TAIL)
    data = sieve.finish(True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
    assert data.length == len(HEAD + FILLER) + 12 + 2_000_000_000 + len(TAIL)
    assert [skip.length for skip in data.skips] == [2_000_000_000]
    assert data.held == HEAD + FILLER + explicit(0x7FE00010, "OW", b"", 2_000_000_000) + TAIL


def test_fed_without_counting_pixel_data_is_not_held_either() -> None:
    sieve = Sieve(EXPLICIT)
    sieve.feed(HEAD + FILLER + explicit(0x7FE00010, "OB", b"", UNDEFINED) + item(b""))
    block = bytes(1_000_000)
    tracemalloc.start()
    for _ in range(50):
        sieve.feed(implicit(0xFFFEE000, b"", len(block)))
        sieve.feed(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    sieve.feed(SEQUENCE_END + TAIL)
    data = sieve.finish(True)
    assert peak < 100_000
    assert data.skips[0].fragments == 51
    assert data.skips[0].length == 50 * 1_000_008 + 8 + 8
    assert data.held.endswith(TAIL)


def test_small_data_sets_are_held_as_they_came() -> None:
    body = HEAD + explicit(0x7FE00010, "OW", b"\0" * (RAW_LIMIT - len(HEAD) - 12))
    assert len(body) == RAW_LIMIT
    assert sieved(body).held == body
    assert (
        sieved(body + explicit(0x7FE10010, "LO", b"A")).skips[0].length
        == len(body) - len(HEAD) - 12
    )


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression: frames, not the data set
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.201",
        "1.2.840.10008.1.2.5",
        "1.3.6.1.4.1.9590.100.1.9",
        None,
    ],
)
def test_encapsulated_whatever_the_transfer_syntax(syntax: str | None) -> None:
    frames = item(b"") + item(b"f" * 9000) + item(b"g" * 700)
    pixels = explicit(0x7FE00010, "OB", b"", UNDEFINED)
    data = sieved(HEAD + pixels + frames + SEQUENCE_END + TAIL, syntax)
    assert data.held == HEAD + pixels + TAIL
    assert data.skips == ((len(HEAD + pixels), len(frames) + 8, 3),)
    decoded = decode(data, syntax)
    assert decoded.guessed == (syntax is None or syntax.startswith("1.3"))
    assert [element.bulk_length for element in decoded.elements] == [None, None, 9732, None]


def test_an_icon_inside_a_sequence_is_bulk_too() -> None:
    icon = explicit(0x00280010, "US", b"\x40\0") + explicit(0x7FE00010, "OB", b"i" * 16384)
    for sequence in (
        explicit(0x00880200, "SQ", item(icon)),
        explicit(0x00880200, "SQ", b"", UNDEFINED) + open_item(icon) + SEQUENCE_END,
    ):
        body = HEAD + sequence + explicit(0x7FE00010, "OW", b"\0" * 9000)
        data = sieved(body)
        assert [skip.length for skip in data.skips] == [16384, 9000]
        decoded = decode(data, EXPLICIT)
        assert not any(one.faults for _, one in decoded.walk())
        assert [one.bulk_length for _, one in decoded.walk() if one.bulk_length] == [16384, 9000]


def test_implicit_vr_knows_text_and_sequences_from_the_dictionary() -> None:
    report = implicit(0x0040A160, b"t" * (TEXT_LIMIT - 10))
    body = (
        implicit(0x00080060, b"SR")
        + implicit(0x00091010, b"p" * 2000)
        + implicit(0x0040A730, item(report))
        + implicit(0x7FE00010, b"\0" * 5000)
    )
    data = sieved(body, IMPLICIT)
    assert [skip.length for skip in data.skips] == [2000, 5000]
    assert report in data.held


def test_a_text_of_a_book_is_bulk() -> None:
    body = HEAD + explicit(0x0040A160, "UT", b"t" * (TEXT_LIMIT + 2))
    assert [skip.length for skip in sieved(body).skips] == [TEXT_LIMIT + 2]


def test_behind_un_of_undefined_length_explicit_vr_goes_on() -> None:
    inner = implicit(0x00091130, open_item(implicit(0x00100010, b"A^B ")), UNDEFINED) + SEQUENCE_END
    unknown = explicit(0x00091110, "UN", b"", UNDEFINED) + open_item(inner) + SEQUENCE_END
    body = HEAD + FILLER + unknown + explicit(0x7FE00010, "OW", b"\0" * 5000) + TAIL
    data = sieved(body)
    assert [skip.length for skip in data.skips] == [5000]
    assert data.held.endswith(TAIL)


def test_past_the_limit_the_rest_is_only_measured() -> None:
    one = explicit(0x00081030, "LO", b"x" * 1000)
    body = HEAD + one * 2000
    data = sieved(body)
    assert HELD_LIMIT - 2000 < len(data.held) <= HELD_LIMIT + TEXT_LIMIT
    assert whole(data) == len(body)
    assert "only measured" in data.faults[0].text
    assert decode(data, EXPLICIT).get(0x00080060) is not None
    small = sieved(body, held_limit=20_000)
    assert len(small.held) <= 20_000 + 1008
    assert small == sieved(body, cuts=random_cuts(len(body), 1), count=True, held_limit=20_000)


# ---------------------------------------------------------------------------- gaps


def test_a_gap_inside_pixel_data_costs_nothing_else() -> None:
    sieve = Sieve(EXPLICIT)
    pixels = explicit(0x7FE00010, "OW", b"", 100_000)
    sieve.feed(HEAD + FILLER + pixels + bytes(10_000))
    sieve.lost(50_000)
    sieve.feed(bytes(40_000) + TAIL)
    data = sieve.finish(True)
    assert not data.complete
    assert data.missing_at == len(HEAD + FILLER + pixels)
    assert [skip.length for skip in data.skips] == [100_000]
    assert data.held == HEAD + FILLER + pixels + TAIL
    assert data.length == whole(data)


def test_a_gap_in_a_small_data_set_inside_its_pixel_data() -> None:
    sieve = Sieve(EXPLICIT)
    sieve.feed(HEAD + explicit(0x7FE00010, "OB", b"", 4000) + bytes(100))
    sieve.lost(3000)
    sieve.feed(bytes(900) + TAIL)
    data = sieve.finish(True)
    assert [skip.length for skip in data.skips] == [4000]
    assert data.held.endswith(TAIL)


def test_a_gap_in_an_encapsulated_fragment() -> None:
    sieve = Sieve(EXPLICIT)
    sieve.feed(HEAD + explicit(0x7FE00010, "OB", b"", UNDEFINED) + item(b""))
    sieve.feed(implicit(0xFFFEE000, b"", 9000) + bytes(500))
    sieve.lost(8000)
    sieve.feed(bytes(500) + item(b"ab") + SEQUENCE_END + TAIL)
    data = sieve.finish(True)
    assert data.skips[0].fragments == 3
    assert data.held.endswith(TAIL)
    assert not data.complete


@pytest.mark.parametrize("length", [None, 700])
def test_behind_a_gap_among_attributes_nothing_is_trusted(length: int | None) -> None:
    sieve = Sieve(EXPLICIT)
    sieve.feed(HEAD + explicit(0x00100010, "PN", b"DOE^JOHN")[:10])
    sieve.lost(length)
    sieve.feed(FILLER)
    assert sieve.skip > 0
    data = sieve.finish(True)
    assert data.held == HEAD + explicit(0x00100010, "PN", b"DOE^JOHN")[:10]
    assert data.missing_at == len(data.held)
    assert whole(data) == data.length == len(data.held) + (length or 0) + len(FILLER)
    decoded = decode(data, EXPLICIT)
    name = decoded.get(0x00100010)
    assert name is not None
    assert name.values == ("DO",)
    assert name.faults


def test_a_gap_longer_than_the_pixel_data() -> None:
    sieve = Sieve(EXPLICIT)
    sieve.feed(HEAD + FILLER + explicit(0x7FE00010, "OW", b"", 1500) + bytes(1000))
    sieve.lost(900)
    sieve.feed(TAIL)
    data = sieve.finish(True)
    assert whole(data) == data.length
    assert data.skips[-1].length == 1900 + len(TAIL)


def test_the_end_may_be_missing() -> None:
    body = HEAD + FILLER + explicit(0x7FE00010, "OW", b"\0" * 9000, 20_000)
    data = sieved(body, complete=False)
    assert not data.complete
    assert data.missing_at == len(data.held)
    assert data.skips[-1].length == 9000


# ---------------------------------------------------------------------------- deflated


def deflate(body: bytes, wbits: int = -15) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return squeezer.compress(body) + squeezer.flush()


LARGE = HEAD + FILLER + explicit(0x7FE00010, "OW", bytes(range(256)) * 400) + TAIL


@pytest.mark.parametrize("wbits", [-15, 15])
@pytest.mark.parametrize("body", [HEAD, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("syntax", [DEFLATED, "1.2.840.10008.1.2.4.95", None, "1.3.6.1.4.1.9.9"])
def test_deflated(wbits: int, body: bytes, syntax: str | None) -> None:
    squeezed = deflate(body, wbits)
    data = sieved(squeezed, syntax)
    plain = sieved(body)
    assert data.inflated
    assert (data.held, data.skips) == (plain.held, plain.skips)
    assert data.length == len(squeezed)
    assert data.complete
    assert not data.faults
    for seed in range(3):
        assert sieved(squeezed, syntax, random_cuts(len(squeezed), seed)) == data


def test_a_zero_byte_of_padding_behind_a_deflated_data_set() -> None:
    data = sieved(deflate(LARGE) + b"\0", DEFLATED)
    assert data.held == sieved(LARGE).held
    assert not data.faults


def test_a_deflated_data_set_that_ends_early() -> None:
    squeezed = deflate(LARGE)
    data = sieved(squeezed[: len(squeezed) // 2], DEFLATED)
    assert data.held.startswith(HEAD)
    assert "ends early" in data.faults[0].text


def test_a_deflated_data_set_with_a_bad_byte() -> None:
    squeezed = bytearray(deflate(HEAD + bytes(range(256)) * 100))
    squeezed[len(squeezed) // 2] ^= 0xFF
    data = sieved(bytes(squeezed), DEFLATED)
    assert data.held.startswith(HEAD)
    assert data.length == len(squeezed)
    for seed in range(3):
        assert sieved(bytes(squeezed), DEFLATED, random_cuts(len(squeezed), seed)) == data


def test_plain_bytes_where_deflated_ones_were_negotiated() -> None:
    data = sieved(LARGE, DEFLATED)
    assert not data.inflated
    assert data == sieved(LARGE)
    assert "not deflated" in decode(data, DEFLATED).notes[0]


def test_a_bomb_is_defused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INFLATED_LIMIT", 4 * 1024 * 1024)
    bomb = deflate(HEAD + explicit(0x7FE00010, "OW", b"", 0x7FFFFFFE) + bytes(64 * 1024 * 1024))
    tracemalloc.start()
    data = sieved(bomb, DEFLATED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    assert data.length == len(bomb)
    assert "not inflated" in data.faults[0].text


def test_a_gap_in_a_deflated_data_set() -> None:
    squeezed = deflate(LARGE)
    sieve = Sieve(DEFLATED)
    sieve.feed(squeezed[:-100])
    sieve.lost(50)
    sieve.feed(squeezed[-50:])
    data = sieve.finish(True)
    assert data.length == len(squeezed)
    assert not data.complete
    assert data.held.startswith(HEAD)


# ---------------------------------------------------------------------------- provenance


def held_offset(data: DataSetBytes, offset: int) -> int:
    """Where in ``data.held`` the byte stands that crossed the wire at ``offset``.

    For a byte that was not kept, the place of its skip. Means nothing where inflated.
    """
    skipped = 0
    for skip in data.skips:
        start = skip.at + skipped
        if offset < start:
            break
        if offset < start + skip.length:
            return skip.at
        skipped += skip.length
    return min(offset - skipped, len(data.held))


def test_places_on_the_wire_and_in_what_was_held() -> None:
    body = HEAD + FILLER + explicit(0x7FE00010, "OW", b"\0" * 5000) + TAIL
    data = sieved(body)
    bulk = len(HEAD + FILLER) + 12
    assert held_offset(data, 0) == 0
    assert held_offset(data, bulk - 1) == bulk - 1
    assert held_offset(data, bulk + 2500) == bulk
    assert held_offset(data, bulk + 5000) == bulk
    assert held_offset(data, bulk + 5003) == bulk + 3
    for offset in (*range(0, bulk, 97), *range(bulk + 5000, len(body))):
        assert data.held[held_offset(data, offset)] == body[offset]


def test_frames_of_what_was_held() -> None:
    body = HEAD + FILLER + explicit(0x7FE00010, "OW", b"\0" * 5000) + TAIL
    data = sieved(body)
    chunks = [(offset, 1 + offset // 1000) for offset in range(0, len(body), 1000)]
    found = held_chunks(data, chunks)
    assert list(found) == sorted(found)
    for offset in (*range(0, len(HEAD + FILLER), 41), len(body) - 1):
        at = held_offset(data, offset)
        frame = [frame for start, frame in found if start <= at][-1]
        assert frame == 1 + offset // 1000
