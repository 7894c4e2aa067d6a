# SPDX-License-Identifier: GPL-2.0-or-later
"""Query and retrieve."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_context, evt

from recording.invented import image, invent_uid, save, uid_of
from recording.peers import associated
from recording.stage import (
    HOST,
    PORT,
    PORT_SECOND,
    RUN_SECONDS,
    RecordingError,
    Stage,
    keys,
    scenario,
)
from recording.storage import VERIFICATION_ONLY, storage_server

ARCHIVE = f"""\
NetworkTCPPort = {PORT}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
third = (STORAGE, {HOST}, {PORT_SECOND})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE archive RW (500, 1024mb) ANY
AETable END
"""


def archive_server(stage: Stage, objects: Sequence[Dataset], *options: str) -> None:
    """Start dcmqrscp as ARCHIVE with ``objects`` in its index."""
    (stage.folder / "archive.cfg").write_text(ARCHIVE, "ascii")
    for number, data in enumerate(objects):
        save(stage.folder / "archive" / f"{number:03}.dcm", data)
    names = sorted(path.name for path in (stage.folder / "archive").iterdir())
    stage.note("dcmqridx archive archive/*.dcm")
    subprocess.run(
        ["dcmqridx", "archive", *(f"archive/{name}" for name in names)],
        cwd=stage.folder,
        check=True,
        capture_output=True,
    )
    stage.serve("dcmqrscp", "-c", "archive.cfg", *options, port=PORT)


STUDY_KEYS = (
    "QueryRetrieveLevel=STUDY",
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
)


@scenario(
    "query-study",
    "C-FIND at study level, Study Root: five studies, names in GB18030 and in ISO_IR 100, then "
    "one by PatientID",
    requestor="findscu",
    acceptor="dcmqrscp",
    tools=("dcmqridx",),
)
def query_study(stage: Stage) -> None:
    objects = [image("CT", study=study, size=16) for study in range(3)]
    objects += [
        image("MR", study=3, size=16, charset="ISO_IR 100", name="Müller^Jürgen"),
        image("MR", study=4, size=16, charset="ISO_IR 100", name="Lefèvre^Zoé"),
    ]
    archive_server(stage, objects)
    call = ("findscu", "-v", "-S", "-aet", "FLC1270", "-aec", "ARCHIVE")
    with stage.recording():
        stage.run(*call, *keys(*STUDY_KEYS), HOST, str(PORT))
        one = [key if key != "PatientID" else "PatientID=TEST-0002" for key in STUDY_KEYS]
        stage.run(*call, *keys(*one), HOST, str(PORT))


@scenario(
    "query-cancelled",
    "a C-FIND with 300 matches; findscu sends C-CANCEL after three of them, more answers are "
    "under way by then, and dcmqrscp ends with FE00H",
    requestor="findscu",
    acceptor="dcmqrscp",
    tools=("dcmqridx",),
)
def query_cancelled(stage: Stage) -> None:
    archive_server(stage, [image("CT", study=study, size=8) for study in range(300)])
    with stage.recording():
        stage.run(
            *("findscu", "-v", "-S", "-aet", "FLC1270", "-aec", "ARCHIVE", "--cancel", "3"),
            *(*keys(*STUDY_KEYS), HOST, str(PORT)),
        )
    if "Final Find Response (Cancel" not in stage.log("findscu"):
        raise RecordingError("dcmqrscp had answered everything before the C-CANCEL came")


def retrieve_words(study: int = 0) -> list[str]:
    """Options and keys that name a study to movescu and getscu."""
    return [
        *("-v", "-S", "-aet", "FLC1270", "-aec", "ARCHIVE"),
        *keys("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={invent_uid('study', study)}"),
    ]


@scenario(
    "move",
    "FLC1270 has ARCHIVE send a study of five images to STORAGE: C-MOVE on one association, the "
    "C-STORE sub-operations on another; what STORAGE wrote is in objects/",
    requestor="movescu",
    acceptor="dcmqrscp + storescp",
    ports=(PORT, PORT_SECOND),
    tools=("dcmqridx",),
)
def move(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=32) for number in range(5)])
    received = storage_server(stage, "+B", port=PORT_SECOND)
    with stage.recording():
        stage.run("movescu", "-aem", "STORAGE", *retrieve_words(), HOST, str(PORT))
    stage.keep(received)


@scenario(
    "move-unknown-destination",
    "C-MOVE to an AE title that the archive does not know: A801H",
    requestor="movescu",
    acceptor="dcmqrscp",
    tools=("dcmqridx",),
)
def move_unknown_destination(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=16) for number in range(2)])
    with stage.recording():
        stage.run("movescu", "-aem", "NOBODY", *retrieve_words(), HOST, str(PORT), fails=True)


@scenario(
    "get",
    "C-GET: the C-STORE sub-operations come back on the same association, after SCP/SCU role "
    "selection for every storage class",
    requestor="getscu",
    acceptor="dcmqrscp",
    tools=("dcmqridx",),
)
def get(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=32) for number in range(4)])
    (stage.folder / "received").mkdir()
    with stage.recording():
        stage.run("getscu", "-od", "received", *retrieve_words(), HOST, str(PORT))


@scenario(
    "move-rejected",
    "C-MOVE to STORAGE, which rejects the association that ARCHIVE asks it for",
    requestor="movescu",
    acceptor="dcmqrscp + storescp",
    ports=(PORT, PORT_SECOND),
    tools=("dcmqridx",),
)
def move_rejected(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=16) for number in range(2)])
    storage_server(stage, "--refuse", port=PORT_SECOND)
    with stage.recording():
        stage.run("movescu", "-aem", "STORAGE", *retrieve_words(), HOST, str(PORT), fails=True)


@scenario(
    "move-refused",
    "C-MOVE to STORAGE, where nothing listens: the connection of ARCHIVE is answered by RST",
    requestor="movescu",
    acceptor="dcmqrscp",
    ports=(PORT, PORT_SECOND),
    tools=("dcmqridx",),
)
def move_refused(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=16) for number in range(2)])
    with stage.recording():
        stage.run("movescu", "-aem", "STORAGE", *retrieve_words(), HOST, str(PORT), fails=True)


@scenario(
    "move-no-context",
    "C-MOVE to STORAGE, which accepts the association of ARCHIVE, but no presentation context for "
    "CT",
    requestor="movescu",
    acceptor="dcmqrscp + storescp",
    ports=(PORT, PORT_SECOND),
    tools=("dcmqridx",),
)
def move_no_context(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=16) for number in range(2)])
    (stage.folder / "verification-only.cfg").write_text(VERIFICATION_ONLY, "ascii")
    storage_server(stage, "-xf", "verification-only.cfg", "Default", port=PORT_SECOND)
    with stage.recording():
        stage.run("movescu", "-aem", "STORAGE", *retrieve_words(), HOST, str(PORT), fails=True)


@scenario(
    "get-no-context",
    "C-GET on an association that proposes no storage SOP class: nothing can be sent on it",
    requestor="pynetdicom",
    acceptor="dcmqrscp",
    tools=("dcmqridx",),
)
def get_no_context(stage: Stage) -> None:
    archive_server(stage, [image("CT", number, size=16) for number in range(2)])
    uid = uid_of("StudyRootQueryRetrieveInformationModelGet")
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = invent_uid("study", 0)
    contexts = [build_context(uid)]
    with stage.recording(), associated(HOST, contexts, called="ARCHIVE") as scu:
        for _status, _identifier in scu.send_c_get(identifier, uid):
            pass


@scenario(
    "get-no-role",
    "a C-GET whose requestor proposes the storage class and not the role it needs for it",
    requestor="pynetdicom",
    acceptor="dcmqrscp",
)
def get_no_role(stage: Stage) -> None:
    objects = [image("CT", number) for number in range(2)]
    archive_server(stage, objects)
    uid = uid_of("StudyRootQueryRetrieveInformationModelGet")
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = objects[0].StudyInstanceUID
    contexts = [build_context(uid), build_context(uid_of("CTImageStorage"))]
    with stage.recording(), associated(HOST, contexts, called="ARCHIVE") as scu:
        for _status, _item in scu.send_c_get(query, uid):
            pass


@scenario(
    "move-store-failed",
    "one of three C-STORE sub-operations of a C-MOVE is refused: out of resources",
    requestor="movescu",
    acceptor="dcmqrscp + pynetdicom",
    ports=(PORT, PORT_SECOND),
)
def move_store_failed(stage: Stage) -> None:
    statuses = iter((0x0000, 0xA700, 0x0000))
    retrieve_into(stage, lambda _event: next(statuses))


@scenario(
    "move-aborted",
    "the destination of a C-MOVE aborts the association that brings the objects",
    requestor="movescu",
    acceptor="dcmqrscp + pynetdicom",
    ports=(PORT, PORT_SECOND),
)
def move_aborted(stage: Stage) -> None:
    def receive(event: Any) -> int:
        event.assoc.abort()
        return 0x0000

    retrieve_into(stage, receive)


def retrieve_into(stage: Stage, receive: Callable[[Any], int]) -> None:
    """C-MOVE three images to a destination that answers each with what ``receive`` says."""
    archive_server(stage, [image("CT", number) for number in range(3)])
    ae = AE("STORAGE")
    ae.add_supported_context(uid_of("CTImageStorage"))
    stage.host(ae, PORT_SECOND, [(evt.EVT_C_STORE, receive)])
    with stage.recording():
        client = stage.start(
            *("movescu", "-aem", "STORAGE", *retrieve_words(), HOST, str(PORT)),
        )
        client.wait(RUN_SECONDS)


@scenario(
    "query-levels",
    "three queries that break the hierarchy: at SERIES without the study, at PATIENT in Study "
    "Root, and without any level",
    requestor="findscu",
    acceptor="dcmqrscp",
)
def query_levels(stage: Stage) -> None:
    archive_server(stage, [image("CT")])
    with stage.recording():
        for words in (
            ("QueryRetrieveLevel=SERIES", "SeriesInstanceUID"),
            ("QueryRetrieveLevel=PATIENT", "PatientID"),
            ("PatientID=TEST-0001",),
        ):
            stage.run(
                *("findscu", "-v", "-S", "-aet", "FLC1270", "-aec", "ARCHIVE"),
                *(*keys(*words), HOST, str(PORT)),
            )
