"""The schema is made from the types that write; it accepts what they describe and nothing less."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest

from dicomsniff.output import schema

MINIMAL: dict[str, Any] = {
    "format": "dicomsniff.transcript",
    "version": 1,
    "generator": {"name": "dicomsniff", "version": "0.1.0"},
    "capture": {
        "source": "ct.pcapng",
        "reader": "pyshark",
        "packets": 0,
        "bytes": 0,
        "first": None,
        "last": "2026-01-05T08:15:00.123456789Z",
        "dropped": None,
        "truncated": False,
    },
    "redaction": {
        "applied": True,
        "ae_titles": "kept",
        "addresses": "kept",
        "secrets": "never kept",
    },
    "associations": [],
    "findings": [],
}


def validator(*, closed: bool = False) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema.schema(closed=closed))


def test_it_is_a_schema_that_can_be_printed() -> None:
    for closed in (False, True):
        made = schema.schema(closed=closed)
        jsonschema.Draft202012Validator.check_schema(made)
        assert json.loads(json.dumps(made)) == made
        assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_leads_somewhere_and_every_shape_is_described() -> None:
    made = schema.schema()
    text = json.dumps(made)
    for name, shape in made["$defs"].items():
        assert f'"#/$defs/{name}"' in text or name in ("Line", "Event")
        assert len(shape["description"]) > 10, name


def test_what_is_unknown_may_be_added_and_what_is_promised_may_not_go() -> None:
    assert validator().is_valid(MINIMAL)
    assert validator().is_valid(MINIMAL | {"later": 1})
    assert not validator(closed=True).is_valid(MINIMAL | {"later": 1})
    for key in MINIMAL:
        assert not validator().is_valid({k: v for k, v in MINIMAL.items() if k != key}), key


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"version": "1"},
        {"format": "pcap"},
        {"associations": None},
        {"capture": MINIMAL["capture"] | {"last": "2026-01-05T08:15:00Z"}},
        {"capture": MINIMAL["capture"] | {"last": 1767600900.5}},
        {"capture": MINIMAL["capture"] | {"packets": -1}},
        {"capture": MINIMAL["capture"] | {"reader": "tcpdump"}},
        {"capture": MINIMAL["capture"] | {"truncated": None}},
        {"associations": [{"id": 1}]},
        {"findings": [{"code": "x"}]},
    ],
)
def test_what_breaks_the_promise_is_refused(wrong: dict[str, Any]) -> None:
    assert not validator().is_valid(MINIMAL | wrong)


def test_a_line_is_an_association_and_more() -> None:
    defs = schema.schema()["$defs"]
    line, association = defs["Line"], defs["Association"]
    assert association["properties"].items() <= line["properties"].items()
    assert set(line["required"]) > set(association["required"])


class Part(TypedDict):
    """A part."""

    inner: NotRequired[list[Part]]
    kind: Annotated[Literal["a", "b"] | None, "which"]
    table: dict[str, int]


def test_types_become_their_schema() -> None:
    defs: dict[str, Any] = {}
    assert schema._describe(Part, defs, False) == {"$ref": "#/$defs/Part"}
    assert defs["Part"] == {
        "type": "object",
        "description": "A part.",
        "properties": {
            "inner": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
            "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}], "description": "which"},
            "table": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["kind", "table"],
    }
    with pytest.raises(TypeError, match="no place in JSON"):
        schema._describe(bytes, defs, False)
