# SPDX-License-Identifier: GPL-2.0-or-later
"""Between network namespaces: what happens on the way."""

from __future__ import annotations

import os
import subprocess
import time

from pynetdicom import build_context

from recording.invented import image, save, uid_of
from recording.peers import Wire, associate_request, echo_messages
from recording.stage import PORT, Stage, scenario, stop, wait_for

# Addresses that RFC 5737 set aside for documents.
VETH_HERE, VETH_THERE = "192.0.2.1", "192.0.2.2"


def second_namespace(stage: Stage, *link_options: str) -> tuple[str, ...]:
    """Another network namespace, joined to this one by veth-scu and veth-scp; returns what goes in
    front of a command that is to run there."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], start_new_session=True)
    stage.cleanup.callback(stop, holder)
    own = os.readlink("/proc/self/ns/net")
    wait_for(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, "a second namespace")
    enter = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")

    def ip(*words: str, there: bool = False) -> None:
        subprocess.run([*(enter if there else ()), "ip", *words], check=True)

    ip("link", "add", "veth-scu", "type", "veth", "peer", "name", "veth-scp")
    stage.cleanup.callback(ip, "link", "delete", "veth-scu")
    ip("link", "set", "veth-scp", "netns", str(holder.pid))
    for name, address, there in (
        ("veth-scu", VETH_HERE, False),
        ("veth-scp", VETH_THERE, True),
    ):
        if link_options:
            ip("link", "set", "dev", name, *link_options, there=there)
        ip("address", "add", f"{address}/24", "dev", name, there=there)
        ip("link", "set", name, "up", there=there)
    return enter


def store_over_veth(stage: Stage, *link_options: str) -> None:
    """C-STORE an image from this network namespace into another one, recorded on this side."""
    enter = second_namespace(stage, *link_options)
    save(stage.folder / "ct.dcm", image("CT", size=192))
    (stage.folder / "received").mkdir()
    stage.serve(
        *("storescp", "-dhl", "-aet", "STORAGE", "-od", "received", str(PORT)),
        port=PORT,
        prefix=enter,
    )
    with stage.recording("veth-scu"):
        stage.run(
            *("storescu", "-R", "-aet", "FLC1270", "-aec", "STORAGE"),
            *(VETH_THERE, str(PORT), "ct.dcm"),
        )


@scenario(
    "veth",
    "between two network namespaces over Ethernet with an MTU of 1500; TCP offloading is on, so "
    "that the frames are larger than any that a cable carries",
    requestor="storescu",
    acceptor="storescp",
    tools=("ip", "nsenter", "unshare"),
)
def veth(stage: Stage) -> None:
    store_over_veth(stage)


@scenario(
    "veth-segments",
    "the same without segmentation offload: frames of 1514 bytes, as on a cable",
    requestor="storescu",
    acceptor="storescp",
    tools=("ip", "nsenter", "unshare"),
)
def veth_segments(stage: Stage) -> None:
    store_over_veth(stage, "gso_max_segs", "1")


def firewall(enter: tuple[str, ...], rule: str) -> None:
    """From now on the second namespace does this with segments that come in."""
    table = f"table inet t {{\n chain c {{\n type filter hook input priority 0;\n {rule}\n }}\n}}\n"
    subprocess.run([*enter, "nft", "-f", "-"], input=table.encode(), check=True)


def after_silence(stage: Stage, verdict: str) -> None:
    """C-ECHO, eight seconds of silence in which a firewall forgets the connection, C-ECHO."""
    enter = second_namespace(stage)
    stage.serve("storescp", "-aet", "STORAGE", str(PORT), port=PORT, prefix=enter)
    with stage.recording("veth-scu"):
        wire = Wire.connect(host=VETH_THERE)
        wire.send(associate_request([build_context(uid_of("Verification"))]))
        wire.receive(0x02)
        wire.send(*echo_messages(1)[0])
        wire.receive(0x04)
        time.sleep(8)
        firewall(enter, f"tcp dport {PORT} {verdict}")
        wire.send(*echo_messages(2)[0])
        time.sleep(4)
    wire.close(reset=True)


@scenario(
    "silence-reset",
    "a firewall that forgets a connection after some seconds of silence, and answers what comes "
    "later with RST",
    requestor="sockets",
    acceptor="storescp",
    tools=("ip", "nft", "nsenter", "unshare"),
)
def silence_reset(stage: Stage) -> None:
    after_silence(stage, "reject with tcp reset")


@scenario(
    "silence-swallowed",
    "the same with a firewall that drops what comes later: it is sent again and again",
    requestor="sockets",
    acceptor="storescp",
    tools=("ip", "nft", "nsenter", "unshare"),
)
def silence_swallowed(stage: Stage) -> None:
    after_silence(stage, "drop")


@scenario(
    "syn-unanswered",
    "a firewall that drops the connection request",
    requestor="echoscu",
    acceptor="nobody",
    tools=("ip", "nft", "nsenter", "unshare"),
)
def syn_unanswered(stage: Stage) -> None:
    enter = second_namespace(stage)
    firewall(enter, f"tcp dport {PORT} drop")
    with stage.recording("veth-scu"):
        stage.run(
            *("echoscu", "-v", "-to", "4", "-aet", "FLC1270", "-aec", "STORAGE"),
            *(VETH_THERE, str(PORT)),
            fails=True,
        )


@scenario(
    "port-rejected",
    "a firewall on the called machine that rejects the connection request, as firewalld does",
    requestor="echoscu",
    acceptor="nobody",
    tools=("ip", "nft", "nsenter", "unshare"),
)
def port_rejected(stage: Stage) -> None:
    enter = second_namespace(stage)
    firewall(enter, f"tcp dport {PORT} reject with icmp type host-prohibited")
    with stage.recording("veth-scu", also="icmp"):
        stage.run(
            *("echoscu", "-v", "-to", "4", "-aet", "FLC1270", "-aec", "STORAGE"),
            *(VETH_THERE, str(PORT)),
            fails=True,
        )


@scenario(
    "retransmissions",
    "a network that loses one segment of twelve: TCP mends it, and takes its time",
    requestor="storescu",
    acceptor="storescp",
    tools=("ip", "nft", "nsenter", "unshare"),
)
def retransmissions(stage: Stage) -> None:
    enter = second_namespace(stage, "gso_max_segs", "1")
    save(stage.folder / "ct.dcm", image("CT", size=320))
    (stage.folder / "received").mkdir()
    stage.serve(
        *("storescp", "-aet", "STORAGE", "-od", "received", str(PORT)), port=PORT, prefix=enter
    )
    firewall(enter, f"tcp dport {PORT} numgen inc mod 12 == 11 drop")
    with stage.recording("veth-scu"):
        stage.run(
            *("storescu", "-aet", "FLC1270", "-aec", "STORAGE", VETH_THERE, str(PORT), "ct.dcm")
        )
