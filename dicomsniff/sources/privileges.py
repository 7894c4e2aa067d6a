"""Giving privileges up: what decodes packets must not be able to do more than their owner.

Only sockets need privileges, and only to be opened. Whoever opens them calls :func:`drop`
afterwards, before the first packet is looked at: the process then belongs to the user who called
sudo, holds no capabilities, and cannot get any back (capabilities(7), prctl(2)).

Capabilities belong to threads. So they are dropped before any other thread runs, and threads
started later have none.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from typing import Final

from dicomsniff.sources import SourceError

_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_CAPABILITIES: Final = 64
"""Bits of a set of capabilities; the kernel refuses those that it does not know."""


def calling_user() -> tuple[int, int] | None:
    """User and group that the process is to belong to, None where it does already.

    Those that called sudo (or doas, or pkexec's user), or, in a program that was given another
    user's rights by its file's owner, the real ones.
    """
    if not hasattr(os, "getresuid"):
        return None
    user, effective, saved = os.getresuid()
    if effective == 0:
        for user_name, group_name in (("SUDO_UID", "SUDO_GID"), ("PKEXEC_UID", "")):
            number = os.environ.get(user_name, "")
            if number.isdecimal() and int(number):
                group = os.environ.get(group_name, "")
                return int(number), int(group) if group.isdecimal() else _group_of(int(number))
    if user != effective or user != saved:
        return user, os.getgid()
    return None


def this_user() -> int:
    """The number of the user that the process belongs to; 0 where the system has none."""
    return os.getuid() if hasattr(os, "getuid") else 0


def drop() -> str:
    """Give up all privileges for good; tell what was done, in words, or nothing.

    Raises ``SourceError`` where that fails: going on would be what nobody asked for.
    """
    if sys.platform != "linux":
        return _drop_user()
    if threading.active_count() > 1:
        raise RuntimeError("privileges are dropped before threads are started")
    library = ctypes.CDLL(None, use_errno=True)
    try:
        _call(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        # The bounding set first: it takes a capability itself. Where that is missing there is
        # nothing to come back to either, as nothing new can be gained.
        for number in range(_CAPABILITIES):
            library.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
        library.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        told = _drop_user()
        head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
        _call(library.capset(head, struct.pack("=6I", *(0,) * 6)))
    except OSError as error:
        raise SourceError(
            f"privileges cannot be given up: {error.strerror or error}; capture with another "
            "program instead: tcpdump -U -w - | dicomsniff open -"
        ) from error
    return told


def _drop_user() -> str:
    """Become the calling user, for good."""
    wanted = calling_user()
    if wanted is None:
        return ""
    user, group = wanted
    name, home = _entry_of(user)
    try:
        if os.geteuid() == 0:
            if name:
                os.initgroups(name, group)
            else:
                os.setgroups([group])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    except OSError as error:
        raise SourceError(f"cannot become user {name or user}: {error.strerror}") from error
    if home:
        # What is read and written from now on is that user's.
        os.environ["HOME"] = home
        os.environ["USER"] = os.environ["LOGNAME"] = name
    return f"goes on as user {name or user}"


def _entry_of(user: int) -> tuple[str, str]:
    """Name and home of a user, empty where there is none."""
    import pwd

    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        return "", ""
    return entry.pw_name, entry.pw_dir


def _group_of(user: int) -> int:
    import pwd

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def _call(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
