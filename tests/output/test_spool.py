"""Bytes wait and come out the same, wherever they waited and whatever was taken back."""

from __future__ import annotations

import io
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomsniff.output.spool import Spool

steps = st.lists(st.binary(max_size=40) | st.integers(0, 200) | st.none(), max_size=30)


@given(limit=st.integers(0, 60), todo=steps)
def test_like_one_piece_of_memory(limit: int, todo: list[bytes | int | None]) -> None:
    spool, model = Spool(limit), bytearray()
    out, wanted = io.BytesIO(), b""
    for step in todo:
        if isinstance(step, bytes):
            spool.write(step)
            model += step
        elif step is None:
            spool.empty_into(out)
            wanted += bytes(model)
            model.clear()
        else:
            cut = min(step, len(model))
            spool.cut(cut)
            del model[cut:]
        assert len(spool) == len(model)
    spool.empty_into(out)
    assert out.getvalue() == wanted + bytes(model)
    assert len(spool) == 0
    spool.close()


def test_where_the_disk_is_full_the_rest_stays_whole() -> None:
    spool, out = Spool(10), io.BytesIO()
    spool.write(b"a" * 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            spool.write(b"b" * 1000)
        spool.cut(1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    spool.write(b"c")
    spool.empty_into(out)
    assert out.getvalue() == b"a" * 1000 + b"c"
    spool.close()
