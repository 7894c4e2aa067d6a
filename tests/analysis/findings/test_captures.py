"""What the rules say of recorded captures: what they must, and nothing else."""

from __future__ import annotations

import pytest

from dicomsniff.dicom.dataset import decode
from dicomsniff.model import Finding
from tests.analysis.findings.building import codes, of_capture
from tests.output.build import Kept, run
from tests.support import CAPTURES, capture

SAID: dict[str, list[str]] = {
    "commitment": ["error commitment-failed"],
    "commitment-same-association": ["error commitment-failed"],
    "get-no-context": ["error get-no-storage-context", "error retrieve-sub-operations-failed"],
    "get-no-role": ["error retrieve-sub-operations-failed"],
    "move-aborted": ["error move-sub-association-broken", "error retrieve-sub-operations-failed"],
    "move-no-context": [
        "error move-sub-association-no-context",
        "error retrieve-sub-operations-failed",
    ],
    "move-refused": ["error move-sub-association-refused", "error retrieve-sub-operations-failed"],
    "move-rejected": [
        "error move-sub-association-rejected",
        "error retrieve-sub-operations-failed",
    ],
    "move-store-failed": ["error retrieve-sub-operations-failed", "error store-failed"],
    "move-unknown-destination": ["error move-destination-unknown"],
    "mpps": ["error mpps-illegal-change"],
    "mpps-faulty": [
        "error mpps-illegal-change",
        "error mpps-illegal-change",
        "error mpps-required-attribute",
        "note mpps-not-completed",
        "warning mpps-illegal-change",
        "warning mpps-not-completed",
    ],
    "orthanc-query": ["warning text-lost"],
    "print": ["warning print-warning"],
    "query-cancelled": ["note query-cancelled", "note query-key-not-answered"],
    "query-levels": ["error query-level", "error query-level", "error query-unique-key-missing"],
    "query-study": ["note query-key-not-answered", "note query-key-not-answered"],
    "store-contradicts": ["error data-not-as-negotiated", "error store-uid-contradicts"],
    "store-failed": [
        "error store-failed",
        "error store-failed",
        "error store-failed",
        "warning store-coerced",
    ],
    "store-one-by-one": ["note store-duplicate", "note store-one-association-each"],
    "worklist-abandoned": ["error query-abandoned", "error worklist-empty-required-key"],
    "worklist-asked-wrong-level": ["error worklist-key-wrong-level"],
    "worklist-faulty": [
        "error worklist-empty-required-key",
        "note query-key-not-asked",
        "warning data-value",
        "warning query-key-ignored",
        "warning worklist-empty-required-key",
        "warning worklist-step-sequence",
    ],
    "worklist-gbk-as-latin": ["warning charset-doubtful"],
    "worklist-gbk-undeclared": ["error charset-undeclared"],
    "worklist-no-match": ["warning query-no-match"],
    "worklist-not-understood": ["warning data-value"],
    "worklist-patient-inside": ["error worklist-key-wrong-level"],
    "worklist-station-title": ["note query-no-match", "warning query-no-match"],
    "worklist-timeout": ["error query-given-up"],
    "worklist-too-deep": ["error worklist-key-wrong-level", "note query-key-not-asked"],
    "worklist-undefined-length": ["note data-unusual"],
    "worklist-wrong-level": ["error worklist-key-wrong-level"],
}
"""Captures in which something is wrong with queries, retrievals, storage, procedures or print. All
others are healthy as far as that goes."""

EVERY = sorted(path.stem for path in CAPTURES.glob("*.pcapng"))


def test_the_table_names_captures_that_are_there() -> None:
    assert set(SAID) <= set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_what_must_be_said_and_no_more(name: str) -> None:
    _, findings = of_capture(f"{name}.pcapng")
    assert codes(findings) == sorted(SAID.get(name, []))
    for each in findings:
        assert each.title
        assert each.detail.endswith(".")
        assert each.advice
        assert each.frames
        assert each.reference


@pytest.mark.parametrize("name", sorted(SAID))
def test_no_text_holds_a_value_of_anybody(name: str) -> None:
    """Findings and reasons of links go where values of people may not."""
    associations, findings = of_capture(f"{name}.pcapng")
    texts = [text for each in findings for text in (each.title, each.detail, each.advice)]
    texts += [link.why for a in associations for o in a.operations for link in o.linked]
    told = "\n".join(texts)
    values = set()
    for association in associations:
        for entry in association.timeline:
            if entry.message is None or entry.message.dataset is None:
                continue
            for _, element in decode(entry.message.dataset, entry.message.transfer_syntax).walk():
                if element.vr in ("PN", "LO", "SH", "UI", "DA", "TM", "LT", "ST"):
                    values |= {str(v) for v in element.values if len(str(v)) > 3}
    assert values
    well_known = {value for value in values if value.startswith("1.2.840.10008.")}
    assert not [value for value in values - well_known if value in told]


def test_the_seed_case_can_be_read_over_the_telephone() -> None:
    _, (found,) = of_capture("worklist-wrong-level.pcapng")
    assert found.title == (
        "MOZI puts Modality and Scheduled Station AE Title at the top level instead of inside "
        "Scheduled Procedure Step Sequence"
    )
    assert found.evidence == (3, 4, 5, 6)
    for words in (
        "worklist server (RIS or broker) MOZI (acceptor, 127.0.0.1 port 104, implementation "
        "PYNETDICOM_304)",
        "Modality (0008,0060) and Scheduled Station AE Title (0040,0001)",
        "inside an item of Scheduled Procedure Step Sequence (0040,0100)",
        "PS3.4 K.6.1.2.2",
    ):
        assert words in found.advice
    assert "comes back empty: without any item" in found.detail
    assert "All 3 answers" in found.detail
    assert found.reference == "PS3.4 K.6.1.2.2, table K.6-1"


def test_undeclared_bytes_name_the_set_and_who_has_to_declare_it() -> None:
    _, (found,) = of_capture("worklist-gbk-undeclared.pcapng")
    assert "GB18030 would decode it" in found.title
    assert found.advice.startswith("On MOZI (acceptor, ")
    assert "Specific Character Set (0008,0005) = GB18030" in found.advice


def test_a_server_that_was_too_slow_is_timed() -> None:
    _, (found,) = of_capture("worklist-timeout.pcapng")
    assert "FLC1270 gave up" in found.title
    assert "The first answer came after 4 s" in found.detail
    assert "above 4 s" in found.advice


def test_an_abandoned_query_names_what_was_special_in_the_last_answer() -> None:
    _, findings = of_capture("worklist-abandoned.pcapng")
    (found,) = [each for each in findings if each.code == "query-abandoned"]
    assert "after answer 3" in found.title
    assert "names with 3 component groups" in found.detail
    assert "Scheduled Procedure Step ID (0040,0009)" in found.detail


def test_keys_that_narrowed_are_named_without_their_values() -> None:
    _, (found,) = of_capture("worklist-no-match.pcapng")
    assert "Modality (0008,0060) = RF" in found.detail
    assert "Scheduled Station AE Title (0040,0001) = FLC1270" in found.detail
    assert "Scheduled Procedure Step Start Date (0040,0002) (one date)" in found.detail
    assert "20260214" not in found.detail


def said_of(name: str, code: str) -> Finding:
    """The first of a code in a capture, from any rule."""
    kept = Kept()
    run(capture(f"{name}.pcapng"), kept)
    return next(f for a in kept.associations for f in a.findings if f.code == code)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        (
            "silence-reset",
            "connection-timeout",
            ["gone after 8 s", "reset the connection (RST)", "C-ECHO, message ID 2", "keep-alive"],
        ),
        (
            "silence-swallowed",
            "connection-swallowed",
            ["C-ECHO-RQ 6 times", "after 8", "of silence", "firewall or load balancer"],
        ),
        ("retransmissions", "retransmissions", ["14 TCP segments", "about 9 % of all"]),
        ("receiver-full", "receiver-full", ["could take no more data for 2.9", "98 %"]),
        ("http-port", "not-understood", ["speaks HTTP, not DICOM", "port 11112 the right one"]),
        ("no-answer", "association-unanswered", ["for 4", "nothing came back", "hangs"]),
        (
            "worklist-patient-inside",
            "worklist-key-wrong-level",
            ["Patient ID (0010,0020)", "Please move them to the top level", "PS3.4 K.6.1.2.2"],
        ),
        (
            "worklist-too-deep",
            "worklist-key-wrong-level",
            ["Scheduled Protocol Code Sequence", "Scheduled Station AE Title (0040,0001)"],
        ),
        (
            "worklist-asked-wrong-level",
            "worklist-key-wrong-level",
            ["Call the vendor of the device FLC1270", "everybody's entries"],
        ),
        (
            "worklist-station-title",
            "query-no-match",
            ["= FLC 1270", "only spaces differ", "(FLC1270 there)", "association 1"],
        ),
        (
            "worklist-not-understood",
            "status-failure",
            ["A900H", "(0040,0002)", "Error Comment (0000,0902) says more", "Mend or leave out"],
        ),
        ("worklist-gbk-as-latin", "charset-doubtful", ["GB18030", "Patient's Name (0010,0010)"]),
        ("get-no-role", "role-selection-missing", ["SCP role 1", "On the side of FLC1270"]),
        ("move-store-failed", "retrieve-sub-operations-failed", ["1 of 3", "A700H"]),
        ("move-aborted", "move-sub-association-broken", ["Association 2", "aborted"]),
        ("query-levels", "query-level", ["none of STUDY, SERIES and IMAGE"]),
        ("mpps-faulty", "mpps-illegal-change", ["COMPLETED"]),
        ("violations", "group-length-wrong", ["says 1, 56 bytes follow"]),
        ("violations", "odd-length", ["C-ECHO-RQ (entry 3)"]),
        ("violations", "maximum-length-exceeded", ["4,096 bytes at most"]),
        (
            "violations",
            "association-aborted",
            ["What is wrong with that, and who has to mend it, is told under odd-length"],
        ),
        ("store-contradicts", "store-uid-contradicts", ["SOP Instance UID (0008,0018)"]),
    ],
)
def test_faults_of_real_tools_are_told_in_words(name: str, code: str, words: list[str]) -> None:
    found = said_of(name, code)
    text = " ".join((found.title, found.detail, found.advice))
    for each in words:
        assert each in text
