"""Operations that belong together: in recorded captures, and where the evidence is thin."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from dicomsniff.analysis import links
from dicomsniff.analysis.links import LINKS_KEPT, Linker
from dicomsniff.model import Association, Operation
from tests.analysis.findings.building import (
    COMMITMENT,
    CT,
    MPPS,
    STUDY_MOVE,
    WORKLIST,
    Play,
    step_answer,
    step_query,
)
from tests.analysis.findings.test_procedure import created, listing
from tests.output.build import Kept, run
from tests.support import CAPTURES


def of_capture(name: str) -> list[Association]:
    kept = Kept()
    run(Path(CAPTURES / name), kept)
    return sorted(kept.associations, key=lambda each: each.id)


def linked(association: Association, service: str) -> list[tuple[int, int]]:
    """What the operations of a service are linked with."""
    return [
        link[:2]
        for operation in association.operations
        if operation.service == service
        for link in operation.linked
    ]


def reasons(association: Association) -> set[str]:
    return {link.why for operation in association.operations for link in operation.linked}


def test_a_move_and_its_sub_association() -> None:
    move, sub = of_capture("move.pcapng")
    stores = [each.request.number for each in sub.operations if each.request is not None]
    assert linked(move, "C-MOVE") == [(2, number) for number in stores]
    assert linked(sub, "C-STORE") == [(1, 3)] * 5
    assert reasons(sub) == {
        "Move Originator AE Title (0000,1030) and Message ID (0000,1031) name the C-MOVE"
    }


def test_a_get_and_its_stores() -> None:
    (association,) = of_capture("get.pcapng")
    assert linked(association, "C-GET") == [(1, 4), (1, 7), (1, 10), (1, 13)]
    assert linked(association, "C-STORE") == [(1, 3)] * 4


def test_a_commitment_on_another_association_and_on_the_same() -> None:
    asked, reported = of_capture("commitment.pcapng")
    # The first had ended before the second began: the later names the earlier.
    assert linked(asked, "N-ACTION") == []
    assert linked(reported, "N-EVENT-REPORT") == [(1, 3)]
    (same,) = of_capture("commitment-same-association.pcapng")
    assert linked(same, "N-ACTION") == [(1, 5)]
    assert linked(same, "N-EVENT-REPORT") == [(1, 3)]


def test_performed_steps() -> None:
    first, second, third, fourth = of_capture("mpps.pcapng")
    assert linked(second, "N-SET") == [(1, 3), (1, 3)]
    assert linked(fourth, "N-SET") == [(3, 3)]
    assert linked(first, "N-CREATE") == linked(third, "N-CREATE") == []


def test_a_whole_journey() -> None:
    made = of_capture("journey.pcapng")
    assert linked(made[1], "N-CREATE") == [(1, 3)]
    assert linked(made[2], "C-STORE") == [(2, 3)] * 3
    assert linked(made[3], "N-ACTION") == [(3, 3), (3, 5), (3, 7)]
    assert linked(made[4], "N-EVENT-REPORT") == [(4, 3)]
    assert linked(made[5], "N-SET") == [(2, 3)]


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    made = {each.id: each for each in of_capture(path.name)}
    for association in made.values():
        for operation in association.operations:
            assert len({link[:2] for link in operation.linked}) == len(operation.linked)
            for link in operation.linked:
                target = made[link.association]
                (other,) = [
                    each
                    for each in target.operations
                    if each.request is not None and each.request.number == link.operation
                ]
                assert other is not operation
                assert link.why
                # AE titles may be masked, and reasons are not looked through for them.
                for peer in (association.requestor, association.acceptor):
                    assert peer.ae_title is None or peer.ae_title not in link.why


# ---------------------------------------------------------------------------- thin evidence


def identifier(study: str = "2.25.1") -> Dataset:
    data = Dataset()
    data.QueryRetrieveLevel = "STUDY"
    data.StudyInstanceUID = study
    return data


def move(linker: Linker, number: int = 1, *, study: str = "2.25.1", start: int = 0) -> Play:
    play = Play(STUDY_MOVE, number=number, acceptor="ARCHIVE", start=start, linker=linker)
    play.say("C-MOVE-RQ", identifier(study), more={0x0600: "STORAGE"})
    return play


def sub(linker: Linker, number: int = 9, *, start: int = 2, **options: str) -> Play:
    names = {"requestor": "ARCHIVE", "acceptor": "STORAGE", **options}
    return Play(
        CT,
        number=number,
        start=start,
        linker=linker,
        addresses=("192.0.2.2", "192.0.2.3"),
        **names,
    )


def store(
    play: Play, study: str = "2.25.1", originator: str = "", message_id: int = 0
) -> Operation:
    data = Dataset()
    data.SOPInstanceUID = f"2.25.5{len(play.made.operations)}"
    data.StudyInstanceUID = study
    more: dict[int, int | str] = {}
    if originator:
        more[0x1030] = originator
    if message_id:
        more[0x1031] = message_id
    play.store(data.SOPInstanceUID, dataset=data, more=more)
    return play.made.operations[-1]


def test_without_move_originator_titles_and_time_serve() -> None:
    linker = Linker()
    asked = move(linker)
    found = store(sub(linker))
    (link,) = found.linked
    assert link[:2] == (1, 3)
    assert link.why == (
        "sent to the Move Destination by the called AE while the C-MOVE was running, of the study "
        "it named"
    )
    assert linked(asked.made, "C-MOVE") == [(9, 3)]


def test_without_move_originator_of_two_moves_the_study_decides() -> None:
    linker = Linker()
    move(linker, 1, study="2.25.1")
    move(linker, 2, study="2.25.2")
    play = sub(linker)
    assert [link[0] for link in store(play, "2.25.2").linked] == [2]
    assert [link[0] for link in store(play, "2.25.1").linked] == [1]
    assert store(play, "2.25.3").linked == []


def test_after_the_move_has_ended_nothing_is_guessed() -> None:
    linker = Linker()
    asked = move(linker)
    asked.say("C-MOVE-RSP", sender="acceptor", status=0)
    assert store(sub(linker)).linked == []
    (link,) = store(sub(linker, 8), originator="FLC1270", message_id=1).linked
    assert link[:2] == (1, 3)
    late = sub(linker, 7, start=7300)
    assert store(late, originator="FLC1270", message_id=1).linked == []


def test_other_destinations_and_servers_are_not_linked() -> None:
    linker = Linker()
    move(linker)
    assert store(sub(linker, 8, acceptor="ELSEWHERE")).linked == []
    other = Play(CT, number=7, requestor="MODALITY", acceptor="STORAGE", start=2, linker=linker)
    assert store(other).linked == []
    assert store(sub(linker, 6), originator="SOMEBODY", message_id=1).linked == []
    assert store(sub(linker, 5), originator="FLC1270", message_id=7).linked == []


def test_message_id_1_again_means_the_move_under_way() -> None:
    linker = Linker()
    first = move(linker, 1)
    first.say("C-MOVE-RSP", sender="acceptor", status=0)
    first.end()
    move(linker, 2, start=100)
    found = store(sub(linker, start=103), originator="FLC1270", message_id=1)
    assert [link[0] for link in found.linked] == [2]


def test_of_two_moves_with_one_message_id_the_destination_decides() -> None:
    linker = Linker()
    move(linker, 1)
    later = Play(STUDY_MOVE, number=2, acceptor="ARCHIVE", start=1, linker=linker)
    later.say("C-MOVE-RQ", identifier(), more={0x0600: "ELSEWHERE"})
    found = store(sub(linker), originator="FLC1270", message_id=1)
    assert [link[0] for link in found.linked] == [1]


def test_an_association_that_has_ended_is_not_changed_any_more() -> None:
    linker = Linker()
    asked = Play(COMMITMENT, acceptor="ARCHIVE", linker=linker)
    asked.say("N-ACTION-RQ", listing("2.25.1"), more={0x1008: 1})
    ended = asked.end()
    told = Play(COMMITMENT, number=2, requestor="ARCHIVE", start=9, linker=linker)
    told.say("N-EVENT-REPORT-RQ", listing("2.25.1"), more={0x1002: 1})
    assert linked(ended, "N-ACTION") == []
    assert linked(told.made, "N-EVENT-REPORT") == [(1, 3)]


@pytest.mark.parametrize("by", ["study", "accession number"])
def test_a_step_finds_the_worklist(by: str) -> None:
    linker = Linker()
    answer = step_answer(StudyInstanceUID="2.25.1", AccessionNumber="A7")
    asked = Play(WORKLIST, linker=linker).find(step_query(), answer)
    step = created()
    (scheduled,) = step.ScheduledStepAttributesSequence
    scheduled.AccessionNumber = "A7"
    if by != "study":
        scheduled.StudyInstanceUID = "2.25.99"
    play = Play(MPPS, number=2, start=60, linker=linker)
    play.say("N-CREATE-RQ", step, uid="2.25.100")
    (link,) = play.made.operations[0].linked
    assert link[:2] == (1, 3)
    assert ("Accession" in link.why) == (by != "study")
    assert linked(asked.made, "C-FIND") == [(2, 3)]


def test_the_server_may_name_the_step() -> None:
    linker = Linker()
    play = Play(MPPS, linker=linker)
    play.say("N-CREATE-RQ", created())
    play.say("N-CREATE-RSP", sender="acceptor", status=0, uid="2.25.77")
    play.say("N-SET-RQ", Dataset(), uid="2.25.77")
    assert linked(play.made, "N-SET") == [(1, 3)]


def test_a_thousand_images_are_a_bounded_number_of_links() -> None:
    linker = Linker()
    asked = move(linker)
    first = sub(linker, 2)
    for _ in range(LINKS_KEPT + 20):
        store(first, originator="FLC1270", message_id=1)
    second = sub(linker, 3)
    store(second, originator="FLC1270", message_id=1)
    found = linked(asked.made, "C-MOVE")
    assert len(found) == LINKS_KEPT + 1
    assert {association for association, _ in found} == {2, 3}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "INSTANCES_REMEMBERED", 10)
    monkeypatch.setattr(links, "RECORDS_REMEMBERED", 3)
    linker = Linker()
    play = sub(linker)
    for _ in range(50):
        store(play)
    asked = Play(COMMITMENT, number=2, linker=linker)
    for number in range(6):
        asked.say("N-ACTION-RQ", listing("2.25.50", transaction=f"2.25.9{number}"))
    assert len(linker._instances) == 10
    assert len(linker._transactions) == 3
    play.end()
    asked.end()
    assert linker._open == {}
