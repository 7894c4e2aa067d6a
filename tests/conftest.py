"""What holds for every test."""

from __future__ import annotations

import signal

# A script's background job ignores SIGINT, and so does whatever it starts: tests that interrupt
# the program would interrupt nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
