"""What can be captured on, and whether this user may."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

THREE_WAYS: Final = (
    "run as root (sudo: privileges are given up before the first packet is read), or give the "
    "interpreter the capability (setcap cap_net_raw,cap_net_admin+eip on its file), or capture "
    "with another program: tcpdump -U -w - | dicomsniff open -, also on another host: "
    "ssh HOST tcpdump -U -w - not port 22 | dicomsniff open -"
)
"""How a user gets to capture."""

CAPABILITY_NET_RAW: Final = 13
"""Bit of CAP_NET_RAW in a set of capabilities (linux/capability.h)."""

ANY: Final = "any"
"""What Linux calls all interfaces together."""

_UP: Final = 0x1
_LOOPBACK: Final = 0x8


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface."""

    name: str
    description: str
    """What kind it is, where the system tells; else empty."""
    up: bool
    addresses: tuple[str, ...]
    """IP addresses, IPv4 first."""
    may_capture: bool
    """Whether this user is allowed to."""

    def __str__(self) -> str:
        """One line for a list of interfaces."""
        state = "up" if self.up else "down"
        allowed = "" if self.may_capture else "  (no permission to capture)"
        addresses = " ".join(self.addresses)
        line = f"{self.name:<16} {state:<5} {self.description:<14} {addresses}"
        return line.rstrip() + allowed


def may_capture() -> bool:
    """Whether this user may capture packets on an interface."""
    if sys.platform == "linux":
        try:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        except OSError:
            return False
        return True
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return True
    # macOS and the BSDs: whoever may read a BPF device.
    return any(os.access(device, os.R_OK | os.W_OK) for device in Path("/dev").glob("bpf*"))


def capabilities() -> int | None:
    """This process's effective capabilities as a set of bits, None where there are none."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    except (OSError, ValueError, IndexError):
        pass
    return None


def list_interfaces() -> list[Interface]:
    """Every interface, in the system's order."""
    import logging

    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    allowed = may_capture()
    try:
        import scapy.arch  # noqa: F401 - tells scapy how this system lists interfaces
        from scapy.config import conf

        conf.ifaces.reload()
    except UnicodeDecodeError:
        from dicomsniff.sources import SourceError

        raise SourceError(
            "the interfaces cannot be listed: the name of one is no UTF-8 text, which scapy cannot "
            "read; as root give it another one: ip link set dev OLD name NEW"
        ) from None
    found = []
    for interface in sorted(conf.ifaces.values(), key=lambda each: each.index):
        name = str(interface.network_name)
        flags = int(interface.flags or 0)
        addresses = [str(a) for version in (4, 6) for a in interface.ips.get(version, ())]
        described = str(interface.description or "")
        found.append(
            Interface(
                name=name,
                description=_kind(name, flags) or (described if described != name else ""),
                up=bool(flags & _UP),
                addresses=tuple(dict.fromkeys(a for a in addresses if a)),
                may_capture=allowed,
            )
        )
    return found


def _kind(name: str, flags: int) -> str:
    """What kind of interface it is, from what Linux tells of it."""
    if flags & _LOOPBACK:
        return "loopback"
    folder = Path("/sys/class/net") / name
    if not folder.is_dir():
        return ""
    for mark, kind in (
        ("wireless", "wireless"),
        ("bridge", "bridge"),
        ("bonding", "bond"),
        ("tun_flags", "tunnel"),
    ):
        if (folder / mark).exists():
            return kind
    if (folder / "device").exists():
        return "network card"
    return "virtual"
