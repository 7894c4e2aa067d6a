"""Each operation is handed out once, and those that are not complete yet again."""

from __future__ import annotations

from pydicom import Dataset

from dicomsniff.analysis.findings.fresh import Fresh
from tests.analysis.findings.building import CT, Play


def test_what_is_complete_is_handed_out_once() -> None:
    play = Play(CT)
    fresh = Fresh(play.made)
    assert fresh.take() == ([], [])
    play.store("2.25.1").store("2.25.2").store("2.25.3", None)
    done, rest = fresh.take()
    assert [len(done), len(rest)] == [2, 1]
    assert [len(each) for each in fresh.take()] == [0, 1]
    play.say("C-STORE-RSP", sender="acceptor", status=0, uid="2.25.3", message_id=3)
    done, rest = fresh.take()
    assert done == play.made.operations[2:]
    assert rest == []
    assert list(fresh.all()) == []


def test_one_that_stays_open_holds_up_those_behind_it() -> None:
    """They are handed out as not complete until then, and nothing is lost in the end."""
    play = Play(CT)
    fresh = Fresh(play.made)
    data = Dataset()
    play.say("C-STORE-RQ", data, uid="2.25.1")
    play.say("C-STORE-RQ", data, uid="2.25.2")
    play.say("C-STORE-RSP", sender="acceptor", status=0, uid="2.25.2", message_id=2)
    assert fresh.take() == ([], play.made.operations)
    assert list(fresh.all()) == play.made.operations


def test_operations_that_were_forgotten_are_not_missed() -> None:
    play = Play(CT)
    fresh = Fresh(play.made)
    play.store("2.25.1").store("2.25.2")
    fresh.take()
    del play.made.operations[:2]
    play.store("2.25.3")
    assert fresh.take() == (play.made.operations, [])
