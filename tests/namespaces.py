"""Two hosts on one wire: network namespaces joined by a veth pair, gone with the test."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support import require, require_root

FIRST, SECOND = "10.99.0.1", "10.99.0.2"
"""Addresses of the two hosts."""


class Wire:
    """Two namespaces; ``veth0`` in the first, ``veth1`` in the second."""

    def __init__(self, names: tuple[str, str]) -> None:
        self.names = names
        self.processes: list[subprocess.Popen[Any]] = []

    def inside(self, host: int, *argv: str) -> list[str]:
        """A command as it is run on one of the hosts (0 or 1)."""
        return ["ip", "netns", "exec", self.names[host], *argv]

    def run(self, host: int, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        options = {"check": True, "capture_output": True, "text": True, "timeout": 60} | options
        return subprocess.run(self.inside(host, *argv), **options)

    def start(self, host: int, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command, which the end of the test ends."""
        process = subprocess.Popen(self.inside(host, *argv), **options)
        self.processes.append(process)
        return process

    def wait_for_port(self, host: int, port: int) -> None:
        """Until something listens."""
        wait_until(lambda: f":{port} " in self.run(host, "ss", "-ltn").stdout)


def wait_until(condition: Any, *, seconds: float = 20) -> None:
    """Until a condition is true; fails where that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@contextmanager
def wire() -> Iterator[Wire]:
    """Lay one. Offloading is off, so that the frames are those of a mirror port."""
    require_root()
    require("ip")
    base = f"ds{os.getpid()}"
    names = (f"{base}a", f"{base}b")
    made = Wire(names)
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(
            f"ip -n {names[0]} link add veth0 type veth peer name veth1 netns {names[1]}".split(),
            check=True,
        )
        for host, address in ((0, FIRST), (1, SECOND)):
            made.run(host, "sysctl", "-qw", f"net.ipv6.conf.veth{host}.disable_ipv6=1")
            made.run(host, "ip", "addr", "add", f"{address}/24", "dev", f"veth{host}")
            made.run(host, "ip", "link", "set", f"veth{host}", "up")
            made.run(host, "ip", "link", "set", "lo", "up")
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)
