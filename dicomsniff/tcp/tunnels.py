"""IP packets inside unusual links, found by scapy's dissectors.

Those of the common tunnels are found by :mod:`dicomsniff.tcp.encapsulation`.

Slow (a hundred microseconds and more a frame) and only for frames that need it: nothing imports
this module before the first of them comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from scapy.config import conf
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet

HEAD: Final = 512
"""Bytes of a frame that scapy is shown: headers, not the payload. GENEVE options alone may take
260, so this leaves room for the headers around them."""

LAYERS: Final = 32
"""Headers peeled off one frame; MPLS label stacks and VLAN tags are the longest in practice."""

MODULES: Final = (
    "scapy.contrib.mpls",
    "scapy.contrib.erspan",
    "scapy.contrib.geneve",
    "scapy.contrib.gtp",
    "scapy.contrib.nsh",
    "scapy.layers.dot11",
    "scapy.layers.ppp",
    "scapy.layers.vxlan",
)
"""What teaches scapy the links and tunnels. One that a version lacks is done without."""

_layers: dict[str, Callable[[bytes], Packet] | None] = {}


def find_ip(layer: str, data: bytes, at: int) -> int | None:
    """Where the first IP packet begins behind the header that ``layer`` names at ``at``.

    ``layer`` is ``link N`` for a link type, ``type N`` for an Ethernet type. None where scapy finds
    no IP packet.
    """
    if not _layers:
        _load()
    if layer not in _layers:
        _layers[layer] = _layer(layer)
    make = _layers[layer]
    if make is None:
        return None
    head = data[at : at + HEAD]
    try:
        inner = _peel(make, head)
    except Exception:
        # scapy's dissectors raise all sorts of things on malformed bytes.
        return None
    if inner is None or len(inner) < 20:
        return None
    # Some layers move bytes while they dissect, so lengths do not add up to the place; the IP
    # header's own bytes, which hold addresses and a checksum, tell it.
    start = head.find(inner[:20])
    return at + start if start >= 0 else None


def _peel(layer: Any, data: bytes) -> bytes | None:
    """The bytes from the first IP header on.

    Layer by layer, as scapy's ``Packet.dissect`` goes, but no further than the IP header: taking
    apart what is in it would cost more than all the rest.
    """
    underlayer: Any = None
    for _ in range(LAYERS):
        if not data:
            return None
        if "dispatch_hook" in layer.__dict__:
            layer = layer.dispatch_hook(data)
        if issubclass(layer, IP | IPv6):
            return data
        packet = layer()
        packet.underlayer = underlayer
        packet.original = data
        data = packet.post_dissect(packet.do_dissect(packet.pre_dissect(data)))
        data, _ = packet.extract_padding(data)
        layer = packet.guess_payload_class(data)
        underlayer = packet
    return None


def _load() -> None:
    """Teach scapy the links and tunnels; keep what it has to say off the terminal."""
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    for name in MODULES:
        try:
            import_module(name)
        except Exception:
            # A contributed module may miss a library, or be gone: the others still serve.
            continue
    _layers["type 35151"] = _named("scapy.contrib.nsh", "NSH")  # 894FH


def _layer(layer: str) -> Callable[[bytes], Packet] | None:
    """scapy's class for a link type."""
    kind, number = layer.split()
    found: Callable[[bytes], Packet] | None = None
    if kind == "link":
        found = conf.l2types.num2layer.get(int(number))
    return found


def _named(module: str, name: str) -> Callable[[bytes], Packet] | None:
    try:
        found: Callable[[bytes], Packet] = getattr(import_module(module), name)
    except Exception:
        return None
    return found
