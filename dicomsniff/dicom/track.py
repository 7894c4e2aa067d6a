"""Which frames carried something, and when."""

from __future__ import annotations

from dicomsniff.model import FRAMES_KEPT


class Track:
    """Which frames carried something, and when."""

    __slots__ = ("began", "count", "frames", "last", "length", "time")

    def __init__(self, length: int = 0, frame: int = 0, time: int = 0) -> None:
        """Of bytes that one frame carried; of none yet where nothing is given."""
        self.frames: tuple[int, ...] = (frame,) if frame else ()
        """The first ``FRAMES_KEPT``."""
        self.count = 1 if frame else 0
        self.last = frame
        self.began = time
        """Time of the first frame."""
        self.time = time
        """Time of the latest frame that carried a byte of it."""
        self.length = length
        """Bytes."""

    def add(self, length: int, frame: int, time: int) -> None:
        """Count bytes carried by a frame."""
        if frame != self.last:
            if not self.count:
                self.began = self.time = time
            elif time > self.time:
                self.time = time
            self.count += 1
            if self.count <= FRAMES_KEPT:
                self.frames += (frame,)
            self.last = frame
        self.length += length

    def pass_over(self, length: int, frames: int, last: int, time: int) -> None:
        """Count bytes carried by frames that need not be remembered: the first ones are."""
        self.count += frames
        self.last = last
        self.time = max(self.time, time)
        self.length += length

    def join(self, other: Track) -> None:
        """Take over what another track counted, as coming behind this one."""
        if other.count == 1 and self.count and other.last == self.last:
            if other.time > self.time:
                self.time = other.time
            self.length += other.length
            return
        if not other.count:
            self.length += other.length
            return
        if not self.count:
            self.began, self.time = other.began, other.time
        else:
            self.time = max(self.time, other.time)
        frames = other.frames
        count = other.count
        if self.count and frames and frames[0] == self.last:
            frames = frames[1:]
            count -= 1
        self.frames += frames[: max(0, FRAMES_KEPT - self.count)]
        self.count += count
        self.last = other.last
        self.length += other.length
