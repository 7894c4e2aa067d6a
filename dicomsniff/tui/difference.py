"""Differences: of two messages or PDUs element by element, of two associations by what they
negotiated and did ("works from A, fails from B")."""

from __future__ import annotations

from collections.abc import Iterable

from dicomsniff.dicom import names
from dicomsniff.model import Association, Peer
from dicomsniff.tui.detail import Detail
from dicomsniff.tui.text import duration, join, safe
from dicomsniff.tui.views import uid_text

Line = tuple[str, str, str]
"""What it is, how it is in the first, how in the second; empty where it is not there."""


def merge(one: Iterable[tuple[str, str]], two: Iterable[tuple[str, str]]) -> list[Line]:
    """Both in one list by name, as the first has them; what only the second has, at its place."""
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    order: list[str] = []
    for target, pairs in ((first, one), (second, two)):
        at = 0
        for name, value in pairs:
            key = name
            number = 2
            while key in target:
                key = f"{name} ({number})"
                number += 1
            target[key] = value
            if key in first and target is second:
                at = order.index(key) + 1
            elif target is first:
                order.append(key)
            else:
                order.insert(at, key)
                at += 1
    return [(key, first.get(key, ""), second.get(key, "")) for key in order]


def flatten(detail: Detail) -> list[tuple[str, str]]:
    """A tree as (path, value), without what is about its place in the capture."""
    lines = []
    for path, branch in detail.walk():
        top = path[0] if path else branch
        if top.key in ("Entry", "Context") and top.key != branch.key:
            continue
        label = join([cell for cell in branch.cells if cell[1] in ("key", "name")]).strip()
        tag = join([cell for cell in branch.cells[:1] if cell[0].startswith("(")]).strip()
        above = "".join("> " for _ in path)
        if label:
            value = join([c for c in branch.cells if c[1] not in ("key", "name", "optional")])
            value = value.removeprefix(tag).strip(" ,")
            lines.append((f"{above}{tag} {label}".strip(), value))
    return lines


def messages(one: Detail, two: Detail) -> list[Line]:
    """Two messages or PDUs, element by element."""
    return merge(flatten(one), flatten(two))


def associations(one: Association, two: Association) -> list[Line]:
    """Two associations: who, negotiation, operations, end."""
    return merge(_facts(one), _facts(two))


def _peer(word: str, peer: Peer) -> list[tuple[str, str]]:
    facts = [
        (f"{word} AE title", safe(peer.ae_title or "")),
        (f"{word} address", safe(peer.address)),
        (f"{word} port", str(peer.port) if word == "Called" else ""),
        (f"{word} implementation class", safe(peer.implementation_class_uid or "")),
        (f"{word} implementation version", safe(peer.implementation_version_name or "")),
        (f"{word} maximum length", str(peer.maximum_length or "")),
    ]
    user = peer.user_information
    if user is not None:
        window = user.asynchronous_operations_window
        facts.append(
            (f"{word} asynchronous operations", "/".join(map(str, window)) if window else "")
        )
        facts += [
            (
                f"{word} role for {uid_text(role.sop_class_uid)}",
                f"SCU {role.scu_role}, SCP {role.scp_role}",
            )
            for role in user.role_selections
        ]
        if user.user_identity is not None:
            facts.append((f"{word} user identity", f"type {user.user_identity.type}"))
    return facts


def _facts(a: Association) -> list[tuple[str, str]]:
    facts = [
        ("Outcome", a.outcome),
        ("How it ended", safe(a.outcome_detail)),
        ("Duration", duration(a.duration)),
        *_peer("Calling", a.requestor),
        *_peer("Called", a.acceptor),
        ("Application context", uid_text(a.application_context)),
    ]
    for context in a.contexts.values():
        name = uid_text(context.abstract_syntax)
        proposed = ", ".join(uid_text(uid) for uid in context.proposed_transfer_syntaxes)
        if context.result is None:
            answer = "no answer"
        elif context.result == 0:
            answer = uid_text(context.transfer_syntax)
        else:
            answer = names.context_result(context.result)
        facts.append((f"Proposed: {name}", proposed))
        facts.append((f"Accepted: {name}", answer))
    for operation in a.operations:
        title = f"{operation.service} {uid_text(operation.sop_class)}"
        if operation.status is None:
            outcome = "no answer"
        else:
            status = names.status(operation.service, operation.sop_class, operation.status)
            outcome = f"0x{operation.status:04X} {status.category} {status.meaning}"
        facts.append((title, outcome))
    facts += [(f"Finding {safe(f.code)}", f.severity) for f in a.findings]
    return facts
