# SPDX-License-Identifier: GPL-2.0-or-later
"""Services with N- messages: procedure steps, storage commitment, print."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import UID
from pynetdicom import AE, build_context, build_role, evt

from recording.invented import image, invent_uid, save, uid_of, worklist_item, worklist_query
from recording.peers import associated, expect
from recording.stage import (
    HOST,
    PORT,
    PORT_SECOND,
    PORT_THIRD,
    PORT_WELL_KNOWN,
    RUN_SECONDS,
    RecordingError,
    Stage,
    scenario,
)
from recording.worklist import ask_worklist, worklist_server


def referenced(data: Dataset) -> Dataset:
    """An item that refers to ``data``."""
    item = Dataset()
    item.ReferencedSOPClassUID = data.SOPClassUID
    item.ReferencedSOPInstanceUID = data.SOPInstanceUID
    return item


def performed_step(number: int) -> Dataset:
    """The N-CREATE attributes of a performed procedure step for worklist entry ``number``."""
    entry = worklist_item(number)
    scheduled = entry.ScheduledProcedureStepSequence[0]
    step = Dataset()
    step.StudyInstanceUID = entry.StudyInstanceUID
    step.ReferencedStudySequence = Items([])
    step.AccessionNumber = entry.AccessionNumber
    step.RequestedProcedureID = entry.RequestedProcedureID
    step.RequestedProcedureDescription = entry.RequestedProcedureDescription
    step.ScheduledProcedureStepID = scheduled.ScheduledProcedureStepID
    step.ScheduledProcedureStepDescription = scheduled.ScheduledProcedureStepDescription
    step.ScheduledProtocolCodeSequence = Items([])
    performed = Dataset()
    performed.SpecificCharacterSet = "GB18030"
    performed.Modality = "RF"
    performed.PatientName = entry.PatientName
    performed.PatientID = entry.PatientID
    performed.PatientBirthDate = entry.PatientBirthDate
    performed.PatientSex = entry.PatientSex
    performed.ReferencedPatientSequence = Items([])
    performed.ProcedureCodeSequence = Items([])
    performed.StudyID = ""
    performed.PerformedStationAETitle = "FLC1270"
    performed.PerformedStationName = "二号机房"
    performed.PerformedLocation = "放射科二楼"
    performed.PerformedProcedureStepStartDate = scheduled.ScheduledProcedureStepStartDate
    performed.PerformedProcedureStepStartTime = scheduled.ScheduledProcedureStepStartTime
    performed.PerformedProcedureStepID = f"PPS{number + 1:04}"
    performed.PerformedProcedureStepStatus = "IN PROGRESS"
    performed.PerformedProcedureStepDescription = entry.RequestedProcedureDescription
    performed.PerformedProcedureTypeDescription = ""
    performed.PerformedProcedureStepEndDate = ""
    performed.PerformedProcedureStepEndTime = ""
    performed.PerformedProtocolCodeSequence = Items([])
    performed.PerformedSeriesSequence = Items([])
    performed.ScheduledStepAttributesSequence = Items([step])
    return performed


def ended_step(number: int, state: str, images: Sequence[Dataset]) -> Dataset:
    """The N-SET modifications that end it, with the images that were made."""
    done = Dataset()
    done.SpecificCharacterSet = "GB18030"
    done.PerformedProcedureStepStatus = state
    done.PerformedProcedureStepEndDate = "20260105"
    done.PerformedProcedureStepEndTime = f"{8 + number:02}4500"
    series = Dataset()
    series.PerformingPhysicianName = "Yisheng^Ceshi=医生^测试"
    series.ProtocolName = "Invented protocol"
    series.OperatorsName = "Jishi^Ceshi=技师^测试"
    series.SeriesInstanceUID = invent_uid("series", number, "RF")
    series.SeriesDescription = "Invented RF series"
    series.RetrieveAETitle = "ARCHIVE"
    series.ReferencedImageSequence = Items([referenced(each) for each in images])
    series.ReferencedNonImageCompositeSOPInstanceSequence = Items([])
    done.PerformedSeriesSequence = Items([series])
    return done


@scenario(
    "mpps",
    "modality performed procedure steps: one created and completed, one created and "
    "discontinued, each message on an association of its own, and a change after completion "
    "that is refused (0110H with Error ID A710H)",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def mpps(stage: Stage) -> None:
    kept: dict[str, Dataset] = {}

    def create(event: Any) -> tuple[int, Dataset]:
        kept[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return 0x0000, event.attribute_list

    def change(event: Any) -> tuple[int | Dataset, Dataset | None]:
        known = kept[event.request.RequestedSOPInstanceUID]
        if known.PerformedProcedureStepStatus != "IN PROGRESS":
            status = Dataset()
            status.Status = 0x0110
            status.ErrorComment = "object may no longer be updated"
            status.ErrorID = 0xA710
            return status, None
        known.update(event.modification_list)
        return 0x0000, event.modification_list

    ae = AE("MOZI")
    uid = uid_of("ModalityPerformedProcedureStep")
    ae.add_supported_context(uid)
    stage.host(ae, PORT, [(evt.EVT_N_CREATE, create), (evt.EVT_N_SET, change)])
    with stage.recording():
        for number, end in ((0, "COMPLETED"), (1, "DISCONTINUED")):
            instance = invent_uid("mpps", number)
            done = ended_step(number, end, [image("CT", number)])
            contexts = [build_context(uid)]
            with associated(HOST, contexts, called="MOZI") as scu:
                status, _ = scu.send_n_create(performed_step(number), uid, instance)
                expect(status, 0x0000)
            with associated(HOST, contexts, called="MOZI") as scu:
                expect(scu.send_n_set(done, uid, instance)[0], 0x0000)
                if end == "COMPLETED":
                    expect(scu.send_n_set(done, uid, instance, msg_id=2)[0], 0x0110)


@scenario(
    "mpps-faulty",
    "a step created as COMPLETED, one without its ID that ends as DISCONTINUE, one ended twice, "
    "and one that never ends; the server takes it all",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def mpps_faulty(stage: Stage) -> None:
    def take(event: Any) -> tuple[int, Dataset]:
        request = event.request
        return 0x0000, (
            event.attribute_list
            if hasattr(request, "AffectedSOPInstanceUID")
            and request.AffectedSOPInstanceUID is not None
            else event.modification_list
        )

    ae = AE("MOZI")
    uid = uid_of("ModalityPerformedProcedureStep")
    ae.add_supported_context(uid)
    stage.host(ae, PORT, [(evt.EVT_N_CREATE, take), (evt.EVT_N_SET, take)])
    steps = [performed_step(number) for number in range(4)]
    instances = [invent_uid("mpps faulty", number) for number in range(4)]
    steps[0].PerformedProcedureStepStatus = "COMPLETED"
    del steps[1].PerformedProcedureStepID
    misspelt = Dataset()
    misspelt.PerformedProcedureStepStatus = "DISCONTINUE"
    ended = ended_step(2, "COMPLETED", [image("CT")])
    with (
        stage.recording(),
        associated(HOST, [build_context(uid)], called="MOZI") as scu,
    ):
        for step, instance in zip(steps, instances, strict=True):
            expect(scu.send_n_create(step, uid, instance)[0], 0x0000)
        for change, instance in (
            (misspelt, instances[1]),
            (ended, instances[2]),
            (ended, instances[2]),
        ):
            expect(scu.send_n_set(change, uid, instance)[0], 0x0000)


COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")


def commitment_request() -> Dataset:
    """The N-ACTION information: please commit to three images."""
    request = Dataset()
    request.TransactionUID = invent_uid("transaction")
    request.ReferencedSOPSequence = Items([referenced(image("CT", n)) for n in range(3)])
    return request


def commitment_result(request: Dataset) -> Dataset:
    """The N-EVENT-REPORT information: two of them are safe, the third never came."""
    result = Dataset()
    result.TransactionUID = request.TransactionUID
    result.RetrieveAETitle = "ARCHIVE"
    *safe, missing = request.ReferencedSOPSequence
    failed = Dataset()
    failed.ReferencedSOPClassUID = missing.ReferencedSOPClassUID
    failed.ReferencedSOPInstanceUID = missing.ReferencedSOPInstanceUID
    failed.FailureReason = 0x0112
    result.FailedSOPSequence = Items([failed])
    result.ReferencedSOPSequence = Items(safe)
    return result


@scenario(
    "commitment",
    "storage commitment: N-ACTION, then N-EVENT-REPORT (event type 2: two images committed, one "
    "failed with 0112H) on an association that ARCHIVE opens to FLC1270, with the SCP role "
    "selected for itself",
    requestor="pynetdicom",
    acceptor="pynetdicom",
    ports=(PORT, PORT_SECOND),
)
def commitment(stage: Stage) -> None:
    uid = uid_of("StorageCommitmentPushModel")
    asked: list[Dataset] = []

    def act(event: Any) -> tuple[int, None]:
        asked.append(event.action_information)
        return 0x0000, None

    def hear(_event: Any) -> tuple[int, None]:
        return 0x0000, None

    archive = AE("ARCHIVE")
    archive.add_supported_context(uid)
    stage.host(archive, PORT, [(evt.EVT_N_ACTION, act)])
    modality = AE("FLC1270")
    modality.add_supported_context(uid, scu_role=False, scp_role=True)
    stage.host(modality, PORT_SECOND, [(evt.EVT_N_EVENT_REPORT, hear)])
    contexts = [build_context(uid)]
    with stage.recording():
        with associated(HOST, contexts, called="ARCHIVE") as scu:
            status, _ = scu.send_n_action(commitment_request(), 1, uid, COMMITMENT_INSTANCE)
            expect(status, 0x0000)
        with associated(
            HOST,
            contexts,
            port=PORT_SECOND,
            calling="ARCHIVE",
            called="FLC1270",
            negotiation=[build_role(uid, scp_role=True)],
        ) as scp:
            result = commitment_result(asked[0])
            status, _ = scp.send_n_event_report(result, 2, uid, COMMITMENT_INSTANCE)
            expect(status, 0x0000)


@scenario(
    "commitment-same-association",
    "storage commitment where the N-EVENT-REPORT comes on the association of the N-ACTION, "
    "invoked by its acceptor, with message ID 1 in both directions",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def commitment_same_association(stage: Stage) -> None:
    uid = uid_of("StorageCommitmentPushModel")
    heard = threading.Event()
    senders: list[threading.Thread] = []

    def act(event: Any) -> tuple[int, None]:
        request, association = event.action_information, event.assoc

        def later() -> None:
            time.sleep(0.3)
            result = commitment_result(request)
            association.send_n_event_report(result, 2, uid, COMMITMENT_INSTANCE)

        senders.append(threading.Thread(target=later, daemon=True))
        senders[0].start()
        return 0x0000, None

    def hear(_event: Any) -> tuple[int, None]:
        heard.set()
        return 0x0000, None

    archive = AE("ARCHIVE")
    archive.add_supported_context(uid)
    stage.host(archive, PORT, [(evt.EVT_N_ACTION, act)])
    contexts, handlers = [build_context(uid)], [(evt.EVT_N_EVENT_REPORT, hear)]
    with (
        stage.recording(),
        associated(HOST, contexts, called="ARCHIVE", handlers=handlers) as scu,
    ):
        status, _ = scu.send_n_action(commitment_request(), 1, uid, COMMITMENT_INSTANCE)
        expect(status, 0x0000)
        if not heard.wait(RUN_SECONDS):
            raise RecordingError("no N-EVENT-REPORT came")
        senders[0].join(RUN_SECONDS)


@scenario(
    "journey",
    "an examination from beginning to end: FLC1270 asks MOZI for its worklist, begins a procedure "
    "step, stores three images in ARCHIVE, asks for commitment, which ARCHIVE reports on an "
    "association of its own, and ends the step",
    requestor="findscu + pynetdicom + storescu",
    acceptor="wlmscpfs + pynetdicom",
    ports=(PORT_WELL_KNOWN, PORT, PORT_SECOND, PORT_THIRD),
)
def journey(stage: Stage) -> None:
    steps, push = uid_of("ModalityPerformedProcedureStep"), uid_of("StorageCommitmentPushModel")
    images = [image("CT", number, size=16) for number in range(3)]
    for each in images:
        each.StudyInstanceUID = invent_uid("worklist", "study", 0)
        save(stage.folder / f"ct{images.index(each)}.dcm", each)

    def take(event: Any) -> tuple[int, Dataset]:
        done = event.event == evt.EVT_N_CREATE
        return 0x0000, event.attribute_list if done else event.modification_list

    def accept(_event: Any) -> int:
        return 0x0000

    def agree(_event: Any) -> tuple[int, None]:
        return 0x0000, None

    ris = AE("MOZI")
    ris.add_supported_context(steps)
    stage.host(ris, PORT_SECOND, [(evt.EVT_N_CREATE, take), (evt.EVT_N_SET, take)])
    archive = AE("ARCHIVE")
    archive.add_supported_context(push)
    archive.add_supported_context(uid_of("CTImageStorage"))
    stage.host(archive, PORT, [(evt.EVT_C_STORE, accept), (evt.EVT_N_ACTION, agree)])
    modality = AE("FLC1270")
    modality.add_supported_context(push, scu_role=False, scp_role=True)
    stage.host(modality, PORT_THIRD, [(evt.EVT_N_EVENT_REPORT, agree)])
    save(stage.folder / "query.dcm", worklist_query())
    worklist_server(stage, "-csk")
    request = Dataset()
    request.TransactionUID = invent_uid("journey", "transaction")
    request.ReferencedSOPSequence = Items([referenced(each) for each in images])
    instance = invent_uid("journey", "mpps")
    contexts, role = [build_context(push)], [build_role(push, scp_role=True)]
    with stage.recording():
        ask_worklist(stage)
        with associated(HOST, [build_context(steps)], port=PORT_SECOND, called="MOZI") as scu:
            expect(scu.send_n_create(performed_step(0), steps, instance)[0], 0x0000)
        stage.run(
            *("storescu", "-v", "-R", "-aet", "FLC1270", "-aec", "ARCHIVE", HOST, str(PORT)),
            *(f"ct{number}.dcm" for number in range(len(images))),
        )
        with associated(HOST, contexts, called="ARCHIVE") as scu:
            status, _ = scu.send_n_action(request, 1, push, COMMITMENT_INSTANCE)
            expect(status, 0x0000)
        with associated(
            *(HOST, contexts),
            port=PORT_THIRD,
            calling="ARCHIVE",
            called="FLC1270",
            negotiation=role,
        ) as scp:
            status, _ = scp.send_n_event_report(request, 1, push, COMMITMENT_INSTANCE)
            expect(status, 0x0000)
        with associated(HOST, [build_context(steps)], port=PORT_SECOND, called="MOZI") as scu:
            done = ended_step(0, "COMPLETED", images)
            expect(scu.send_n_set(done, steps, instance)[0], 0x0000)


@scenario(
    "print",
    "Basic Grayscale Print Management: N-GET of the printer, N-CREATE of film session and film "
    "box (with a warning, B604H), N-SET of the image box, N-ACTION, N-DELETE of both",
    requestor="pynetdicom",
    acceptor="pynetdicom",
)
def print_film(stage: Stage) -> None:
    meta = uid_of("BasicGrayscalePrintManagementMeta")
    session_class, box_class = uid_of("BasicFilmSession"), uid_of("BasicFilmBox")
    image_class, printer_class = uid_of("BasicGrayscaleImageBox"), uid_of("Printer")
    session, box, slot = (invent_uid("print", n) for n in ("session", "film box", "image box"))
    printer = UID("1.2.840.10008.5.1.1.17")

    def inform(_event: Any) -> tuple[int, Dataset]:
        answer = Dataset()
        answer.PrinterStatus = "NORMAL"
        answer.PrinterStatusInfo = "NORMAL"
        answer.PrinterName = "INVENTED_PRINTER"
        answer.Manufacturer = "Invented Imaging"
        return 0x0000, answer

    def create(event: Any) -> tuple[int, Dataset]:
        answer: Dataset = event.attribute_list
        if event.request.AffectedSOPClassUID != box_class:
            return 0x0000, answer
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image_class, slot
        answer.ReferencedImageBoxSequence = Items([item])
        return 0xB604, answer

    def change(_event: Any) -> tuple[int, None]:
        return 0x0000, None

    def act(_event: Any) -> tuple[int, None]:
        return 0x0000, None

    def delete(_event: Any) -> int:
        return 0x0000

    ae = AE("PRINTER")
    ae.add_supported_context(meta)
    handlers: list[Any] = [
        (evt.EVT_N_GET, inform),
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_N_ACTION, act),
        (evt.EVT_N_DELETE, delete),
    ]
    stage.host(ae, PORT, handlers)
    film = Dataset()
    film.NumberOfCopies = "1"
    film.PrintPriority = "MED"
    film.MediumType = "BLUE FILM"
    film.FilmDestination = "PROCESSOR"
    sheet = Dataset()
    sheet.ImageDisplayFormat = "STANDARD\\1,1"
    sheet.FilmOrientation = "PORTRAIT"
    sheet.FilmSizeID = "14INX17IN"
    sheet.MagnificationType = "CUBIC"
    parent = Dataset()
    parent.ReferencedSOPClassUID, parent.ReferencedSOPInstanceUID = session_class, session
    sheet.ReferencedFilmSessionSequence = Items([parent])
    picture = Dataset()
    pixels = image("OT", size=96)
    for keyword in (
        *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
        *("BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
    ):
        setattr(picture, keyword, getattr(pixels, keyword))
    picture["PixelData"].VR = "OB"
    content = Dataset()
    content.ImageBoxPosition = 1
    content.Polarity = "NORMAL"
    content.BasicGrayscaleImageSequence = Items([picture])
    with (
        stage.recording(),
        associated(HOST, [build_context(meta)], called="PRINTER") as scu,
    ):
        tags = [Tag("PrinterStatus"), Tag("PrinterStatusInfo"), Tag("PrinterName")]
        expect(scu.send_n_get(tags, printer_class, printer, 1, meta)[0], 0x0000)
        expect(scu.send_n_create(film, session_class, session, 2, meta)[0], 0x0000)
        expect(scu.send_n_create(sheet, box_class, box, 3, meta)[0], 0xB604)
        expect(scu.send_n_set(content, image_class, slot, 4, meta)[0], 0x0000)
        expect(scu.send_n_action(None, 1, box_class, box, 5, meta)[0], 0x0000)
        expect(scu.send_n_delete(box_class, box, 6, meta), 0x0000)
        expect(scu.send_n_delete(session_class, session, 7, meta), 0x0000)


PRINTER = f"""\
[[GENERAL]]
[APPLICATION]
LogDirectory = .
LogFile = general.log
[DATABASE]
Directory = database
[PRINT]
Directory = .
MinPrintResolution = 96\\96
MaxPrintResolution = 1024\\1024
DefaultIllumination = 2000
DefaultReflection = 10
[NETWORK]
AETitle = FLC1270
[[COMMUNICATION]]
[PRINTER]
Type = LOCALPRINTER
AETitle = PRINTER
Description = Invented printer
Hostname = localhost
Port = {PORT}
DisplayFormat = 1,1\\2,2
EmptyImageDensity = 20\\BLACK\\WHITE
BorderDensity = 150\\20\\BLACK\\WHITE
FilmDestination = MAGAZINE\\PROCESSOR
FilmSizeID = 8INX10IN\\14INX17IN
MagnificationType = REPLICATE\\BILINEAR\\CUBIC\\NONE
MaxDensity = 320
MinDensity = 20
MaxPDU = 32768
MediumType = PAPER\\BLUE FILM
SmoothingType = NONE
ResolutionID = STANDARD\\HIGH
Supports12Bit = true
SupportsPresentationLUT = true
"""


@scenario(
    "print-dcmtk",
    "a film with one 12-bit image between dcmtk's print spooler and print server, which also "
    "negotiate Presentation LUT",
    requestor="dcmprscu",
    acceptor="dcmprscp",
    tools=("dcmpsprt",),
)
def print_dcmtk(stage: Stage) -> None:
    (stage.folder / "print.cfg").write_text(PRINTER, "ascii")
    (stage.folder / "database").mkdir()
    save(stage.folder / "ct.dcm", image("CT"))
    stage.prepare("dcmpsprt", "-c", "print.cfg", "-p", "PRINTER", "--identity", "ct.dcm")
    (stored,) = (stage.folder / "database").glob("SP_*.dcm")
    # dcmpsprt gives it a name of its own each time.
    stored.rename(stage.folder / "film.dcm")
    stage.serve("dcmprscp", "-v", "-c", "print.cfg", "-p", "PRINTER", port=PORT)
    with stage.recording():
        stage.run("dcmprscu", "-v", "-c", "print.cfg", "-p", "PRINTER", "film.dcm")
