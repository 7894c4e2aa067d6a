# SPDX-License-Identifier: GPL-2.0-or-later
"""Worklist queries."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE, build_context, evt

from recording.invented import PATIENTS, save, uid_of, worklist_item, worklist_query
from recording.peers import associated
from recording.stage import HOST, PORT_WELL_KNOWN, Stage, keys, scenario


def worklist_server(stage: Stage, *options: str, charset: str | None = "GB18030") -> None:
    """Start wlmscpfs as MOZI with eight entries."""
    folder = stage.folder / "worklists" / "MOZI"
    for number in range(len(PATIENTS)):
        save(folder / f"{number + 1}.wl", worklist_item(number, charset))
    (folder / "lockfile").touch()
    stage.serve(
        "wlmscpfs", *options, "-dfp", "worklists", str(PORT_WELL_KNOWN), port=PORT_WELL_KNOWN
    )


def ask_worklist(stage: Stage, *options: str, called: str = "MOZI", fails: bool = False) -> None:
    """Send query.dcm from FLC1270."""
    stage.run(
        *("findscu", "-v", "-W", "-aet", "FLC1270", "-aec", called, *options),
        *(HOST, str(PORT_WELL_KNOWN), "query.dcm"),
        fails=fails,
    )


def answered(stage: Stage, answer: Callable[[Any], Iterator[tuple[int, Dataset | None]]]) -> None:
    """Ask for the worklist, and have pynetdicom answer with what ``answer`` makes of its event."""
    ae = AE("MOZI")
    ae.add_supported_context(uid_of("ModalityWorklistInformationFind"))
    stage.host(ae, PORT_WELL_KNOWN, [(evt.EVT_C_FIND, answer)])
    save(stage.folder / "query.dcm", worklist_query())
    with stage.recording():
        ask_worklist(stage)


def answers(stage: Stage, items: Sequence[Dataset]) -> None:
    """The same with these answers as they are."""
    answered(stage, lambda _event: ((0xFF00, item) for item in items))


@scenario(
    "worklist",
    "FLC1270 asks MOZI for its worklist: eight answers, Chinese names in GB18030, each with a "
    "Scheduled Procedure Step Sequence; one name holds a character that takes four bytes",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist(stage: Stage) -> None:
    save(stage.folder / "query.dcm", worklist_query())
    worklist_server(stage, "-csk")
    with stage.recording():
        ask_worklist(stage)


@scenario(
    "worklist-no-match",
    "the same question for a day without appointments: no pending response, only Success",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_no_match(stage: Stage) -> None:
    save(
        stage.folder / "query.dcm",
        worklist_query(ScheduledProcedureStepStartDate="20260214"),
    )
    worklist_server(stage, "-csk")
    with stage.recording():
        ask_worklist(stage)


@scenario(
    "worklist-refused",
    "FLC1270 calls MOZZI instead of MOZI: rejected, called AE title not recognised",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_refused(stage: Stage) -> None:
    save(stage.folder / "query.dcm", worklist_query())
    worklist_server(stage, "-csk")
    with stage.recording():
        ask_worklist(stage, called="MOZZI", fails=True)


@scenario(
    "worklist-gbk-undeclared",
    "the commonest fault on site: the answers hold GBK bytes, and no Specific Character Set "
    "(0008,0005) that would say so",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_gbk_undeclared(stage: Stage) -> None:
    save(stage.folder / "query.dcm", worklist_query(charset=None))
    worklist_server(stage, "-cs0", charset=None)
    with stage.recording():
        ask_worklist(stage)


@scenario(
    "worklist-wrong-level",
    "answers that hold Modality and Scheduled Station AE Title at the top level instead of "
    "inside the Scheduled Procedure Step Sequence, which comes back empty",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_wrong_level(stage: Stage) -> None:
    def answer(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(3):
            item = worklist_item(number)
            step = item.ScheduledProcedureStepSequence[0]
            item.Modality = step.Modality
            item.ScheduledStationAETitle = step.ScheduledStationAETitle
            item.ScheduledProcedureStepSequence = Items([])
            yield 0xFF00, item

    answered(stage, answer)


@scenario(
    "worklist-trail-bytes",
    "names and descriptions whose GB18030 bytes end in 5CH and 5EH: a reader that looks for the "
    "delimiters \\ and ^ before it decodes takes them apart",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_trail_bytes(stage: Stage) -> None:
    def answer(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        item = worklist_item(3)
        item.PatientName = "Wang^Chengguan=王^誠觀"  # D5 5C D3 5E
        item.RequestedProcedureDescription = "觀察胃肠誠"
        yield 0xFF00, item

    answered(stage, answer)


@scenario(
    "worklist-slow",
    "the server takes three seconds before it answers",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_slow(stage: Stage) -> None:
    save(stage.folder / "query.dcm", worklist_query())
    worklist_server(stage, "-csk", "--sleep-before", "3")
    with stage.recording():
        ask_worklist(stage)


@scenario(
    "worklist-timeout",
    "the server takes four seconds, and the modality gives up after one and aborts; the first "
    "answer comes after the abort",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_timeout(stage: Stage) -> None:
    save(stage.folder / "query.dcm", worklist_query())
    worklist_server(stage, "-csk", "--sleep-before", "4")
    with stage.recording():
        ask_worklist(stage, "-td", "1")
        # The server finds out only when it answers.
        time.sleep(4)


@scenario(
    "worklist-faulty",
    "a worklist server that errs in every answer: no Study Instance UID, two steps in one answer, "
    "a birth date that no calendar has, a location of 20 characters (SH has 16), sex in lower "
    "case, an entry for another station, and keys that nobody asked for",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_faulty(stage: Stage) -> None:
    def answer(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(3):
            item = worklist_item(number)
            step = item.ScheduledProcedureStepSequence[0]
            item.StudyInstanceUID = ""
            item.InstitutionName = "Invented Hospital"
            del item.PatientSex
            if number == 0:
                second = worklist_item(7).ScheduledProcedureStepSequence[0]
                item.ScheduledProcedureStepSequence = Items([step, second])
            elif number == 1:
                item.PatientBirthDate = "19710230"
                item.PatientSex = "f"
                step.ScheduledStationName = "Room 2, second floor"
            else:
                step.ScheduledStationAETitle = "FLC1280"
            yield 0xFF00, item

    answered(stage, answer)


@scenario(
    "worklist-abandoned",
    "a modality that aborts when it gets an answer with a phonetic component group and a step "
    "without Scheduled Procedure Step ID; the two before it had neither",
    requestor="pynetdicom",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_abandoned(stage: Stage) -> None:
    def answer(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(5):
            item = worklist_item(number)
            if number == 2:
                item.PatientName = "Ceshi^Bing=测试^丙=ce shi^bing"
                item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID = ""
            yield 0xFF00, item
            time.sleep(0.3)

    uid = uid_of("ModalityWorklistInformationFind")
    ae = AE("MOZI")
    ae.add_supported_context(uid)
    stage.host(ae, PORT_WELL_KNOWN, [(evt.EVT_C_FIND, answer)])
    contexts = [build_context(uid)]
    with (
        stage.recording(),
        associated(HOST, contexts, port=PORT_WELL_KNOWN, called="MOZI") as scu,
    ):
        for number, (_status, _item) in enumerate(scu.send_c_find(worklist_query(), uid)):
            if number == 2:
                scu.abort()
                break


@scenario(
    "worklist-asked-wrong-level",
    "a device that puts modality, station AE title and date at the top level of its question: the "
    "server ignores them there and answers with everybody's entries",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_asked_wrong_level(stage: Stage) -> None:
    worklist_server(stage, "-csk")
    with stage.recording():
        stage.run(
            *("findscu", "-v", "-W", "-aet", "FLC1270", "-aec", "MOZI"),
            *keys("PatientName", "PatientID", "Modality=RF", "ScheduledStationAETitle=FLC1270"),
            *keys("ScheduledProcedureStepStartDate=20260105"),
            *(HOST, str(PORT_WELL_KNOWN)),
        )


@scenario(
    "worklist-patient-inside",
    "the other way round: a server that puts name, ID, study and accession number inside the "
    "Scheduled Procedure Step Sequence",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_patient_inside(stage: Stage) -> None:
    items = [worklist_item(number) for number in range(3)]
    for item in items:
        (step,) = item.ScheduledProcedureStepSequence
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
            step[keyword] = item[keyword]
            del item[keyword]
    answers(stage, items)


@scenario(
    "worklist-too-deep",
    "a server that puts modality and station AE title one level too deep, inside the Scheduled "
    "Protocol Code Sequence of the step",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_too_deep(stage: Stage) -> None:
    items = [worklist_item(number) for number in range(3)]
    for item in items:
        (step,) = item.ScheduledProcedureStepSequence
        code = Dataset()
        for keyword in ("Modality", "ScheduledStationAETitle"):
            code[keyword] = step[keyword]
            del step[keyword]
        step.ScheduledProtocolCodeSequence = Items([code])
    answers(stage, items)


@scenario(
    "worklist-gbk-as-latin",
    "names in GBK under a Specific Character Set that says ISO_IR 100",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_gbk_as_latin(stage: Stage) -> None:
    items = [worklist_item(number, None) for number in range(3)]
    for item in items:
        item.SpecificCharacterSet = "ISO_IR 100"
    answers(stage, items)


@scenario(
    "worklist-undefined-length",
    "sequences and items of undefined length: legal, and not to the liking of every device",
    requestor="findscu",
    acceptor="pynetdicom",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_undefined_length(stage: Stage) -> None:
    items = [worklist_item(number) for number in range(3)]
    for item in items:
        item["ScheduledProcedureStepSequence"].is_undefined_length = True
        item.ScheduledProcedureStepSequence[0].is_undefined_length_sequence_item = True
    answers(stage, items)


@scenario(
    "worklist-station-title",
    "FLC1270 asks three times: with its own AE title, with a space in it, and for XA instead of "
    "RF; only the first has answers",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_station_title(stage: Stage) -> None:
    worklist_server(stage, "-csk")
    with stage.recording():
        for change in ({}, {"ScheduledStationAETitle": "FLC 1270"}, {"Modality": "XA"}):
            save(stage.folder / "query.dcm", worklist_query(**change))
            ask_worklist(stage)


@scenario(
    "worklist-not-understood",
    "a date with a wildcard in the question, which a date does not have: the server answers A900H, "
    "names the element and says why in an Error Comment",
    requestor="findscu",
    acceptor="wlmscpfs",
    ports=(PORT_WELL_KNOWN,),
)
def worklist_not_understood(stage: Stage) -> None:
    worklist_server(stage, "-csk")
    query = worklist_query()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        query.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate = "202601*"
        save(stage.folder / "query.dcm", query)
    with stage.recording():
        ask_worklist(stage)
