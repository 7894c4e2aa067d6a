"""AE titles that read much the same."""

from __future__ import annotations

from dicomsniff.analysis.findings.titles import differs, nearest


def test_nearest_and_in_what_it_differs() -> None:
    known = {"FLC1270", "MOZI"}
    for title, words in (
        ("flc1270", "only upper and lower case differ"),
        ("FLC 1270", "only spaces differ"),
        ("FLC_1270", "only case, spaces, hyphens or underscores differ"),
        ("FLC1271", "one letter differs"),
    ):
        assert nearest(title, known) == "FLC1270"
        assert differs(title, "FLC1270") == words
    assert nearest("ARCHIVE", known) is None
