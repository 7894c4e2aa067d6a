# SPDX-License-Identifier: GPL-2.0-or-later
"""Orthanc, driven through its REST interface."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from recording.invented import image, invent_uid, save
from recording.retrieve import STUDY_KEYS, retrieve_words
from recording.stage import (
    HOST,
    PORT,
    PORT_SECOND,
    RUN_SECONDS,
    Stage,
    keys,
    listening,
    scenario,
    wait_for,
)
from recording.storage import storage_server

HTTP_PORT = 8042


def orthanc_server(
    stage: Stage, title: str, port: int, http: int, peers: dict[str, tuple[str, int]]
) -> None:
    """Start Orthanc as ``title``, with ``peers`` (AE title and port) as its modalities."""
    configuration = {
        "Name": f"Invented {title}",
        "StorageDirectory": f"{title}-storage",
        "IndexDirectory": f"{title}-storage",
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": title,
        "DicomPort": port,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "DicomAssociationCloseDelay": 1,
        "DicomModalities": {
            name: {"AET": aet, "Host": HOST, "Port": number, "AllowStorageCommitment": True}
            for name, (aet, number) in peers.items()
        },
    }
    path = stage.folder / f"{title}.json"
    path.write_text(json.dumps(configuration, indent=1), "utf-8")
    stage.serve("Orthanc", path.name, port=port)
    wait_for(lambda: listening(http), f"Orthanc's REST interface on port {http}")


def rest(stage: Stage, http: int, path: str, body: bytes | dict[str, Any] | None = None) -> Any:
    """GET ``path`` from an Orthanc, or POST ``body`` to it; returns what its JSON says."""
    url = f"http://{HOST}:{http}{path}"
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    if isinstance(body, dict):
        stage.note(f"curl {url} --data '{data.decode() if data else ''}'")
    with urllib.request.urlopen(url, data, timeout=RUN_SECONDS) as answer:
        return json.load(answer)


@scenario(
    "orthanc-store",
    "storescu sends three images to Orthanc, and Orthanc, told by REST, sends them on to storescp",
    requestor="storescu + Orthanc",
    acceptor="Orthanc + storescp",
    ports=(PORT, PORT_SECOND),
)
def orthanc_store(stage: Stage) -> None:
    for number in range(3):
        save(stage.folder / f"ct{number}.dcm", image("CT", number))
    orthanc_server(stage, "ORTHANC", PORT, HTTP_PORT, {"storage": ("STORAGE", PORT_SECOND)})
    storage_server(stage, port=PORT_SECOND)
    with stage.recording():
        stage.run(
            *("storescu", "-v", "-R", "-aet", "FLC1270", "-aec", "ORTHANC"),
            *(HOST, str(PORT), "ct0.dcm", "ct1.dcm", "ct2.dcm"),
        )
        (study,) = rest(stage, HTTP_PORT, "/studies")
        body = {"Resources": [study], "Synchronous": True}
        rest(stage, HTTP_PORT, "/modalities/storage/store", body)
        # Orthanc keeps the association for the next image, and releases it after a while.
        time.sleep(3)


@scenario(
    "orthanc-query",
    "findscu asks Orthanc at study and at image level (Orthanc answers in its own character "
    "set, ISO_IR 100, and the Chinese is lost), then movescu has it send a study to storescp",
    requestor="findscu + movescu",
    acceptor="Orthanc + storescp",
    ports=(PORT, PORT_SECOND),
)
def orthanc_query(stage: Stage) -> None:
    orthanc_server(stage, "ARCHIVE", PORT, HTTP_PORT, {"storage": ("STORAGE", PORT_SECOND)})
    for study in range(3):
        for number in range(2):
            path = save(stage.folder / "object.dcm", image("CT", number, study=study, size=32))
            rest(stage, HTTP_PORT, "/instances", path.read_bytes())
    storage_server(stage, port=PORT_SECOND)
    call = ("findscu", "-v", "-S", "-aet", "FLC1270", "-aec", "ARCHIVE")
    image_keys = (
        "QueryRetrieveLevel=IMAGE",
        f"StudyInstanceUID={invent_uid('study', 1)}",
        f"SeriesInstanceUID={invent_uid('series', 1, 'CT')}",
        "SOPInstanceUID",
        "InstanceNumber",
    )
    with stage.recording():
        stage.run(*call, *keys(*STUDY_KEYS), HOST, str(PORT))
        stage.run(*call, *keys(*image_keys), HOST, str(PORT))
        stage.run("movescu", "-aem", "STORAGE", *retrieve_words(1), HOST, str(PORT))
        time.sleep(3)


@scenario(
    "orthanc-commitment",
    "two Orthancs: MODALITY, told by REST, stores two images in ARCHIVE and asks it for storage "
    "commitment; ARCHIVE reports back on an association of its own, before its N-ACTION-RSP",
    requestor="Orthanc",
    acceptor="Orthanc",
    ports=(PORT, PORT_SECOND),
)
def orthanc_commitment(stage: Stage) -> None:
    orthanc_server(stage, "ARCHIVE", PORT, HTTP_PORT, {"modality": ("MODALITY", PORT_SECOND)})
    second = HTTP_PORT + 1
    orthanc_server(stage, "MODALITY", PORT_SECOND, second, {"archive": ("ARCHIVE", PORT)})
    for number in range(2):
        path = save(stage.folder / "object.dcm", image("MR", number, size=32))
        rest(stage, second, "/instances", path.read_bytes())
    with stage.recording():
        (study,) = rest(stage, second, "/studies")
        body = {"Resources": [study], "Synchronous": True, "StorageCommitment": True}
        job = rest(stage, second, "/modalities/archive/store", body)
        transaction = job["StorageCommitmentTransactionUID"]
        wait_for(
            lambda: (
                rest(stage, second, f"/storage-commitment/{transaction}")["Status"] == "Success"
            ),
            "the storage commitment report",
        )
        time.sleep(3)
