"""Signals that end the screen: it is left in order, whatever it was doing.

Python would raise an exception wherever the program happens to be. Asked of the event loop, the end
comes between two steps: the terminal is as it was, the source is closed, and what waits to be
written is.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable


def leave_at_once(leave: Callable[[], None]) -> None:
    """Call ``leave`` at SIGTERM (somebody ends it) and SIGHUP (the terminal is gone), as long as
    the present event loop runs. Where there are none of these, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, leave)
        except (NotImplementedError, RuntimeError, ValueError):
            return
