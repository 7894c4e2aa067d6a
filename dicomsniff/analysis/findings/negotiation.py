"""What was negotiated: presentation contexts, roles, limits, identity; and what was made of it."""

from __future__ import annotations

from collections.abc import Iterator

from dicomsniff.analysis.findings import View, finding, rule
from dicomsniff.analysis.findings.captured import negotiation, negotiation_whole
from dicomsniff.analysis.findings.words import OTHER, count, listed, named, spoken, who
from dicomsniff.dicom.names import USER_IDENTITY_TYPES, context_result, is_storage
from dicomsniff.model import (
    AssociatePDU,
    Association,
    Entry,
    Finding,
    PresentationContext,
    Side,
    UserInformation,
)

IMPLICIT = "1.2.840.10008.1.2"
"""Implicit VR Little Endian, the default transfer syntax."""

UNCOMPRESSED = frozenset(
    (
        IMPLICIT,
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
    )
)
"""Transfer syntaxes that leave pixel data as it is: implicit, explicit little and big endian, and
deflated."""

SMALL_PDU = 8192
"""Maximum length below which it is needlessly small: 16 KB is the usual default, and each PDU
costs a turn of both programs."""

MUCH = 1024 * 1024
"""Bytes of one side from which on small PDUs cost something."""

FEW = 3
"""SOP classes that a title names; of more it says how many."""

_SIDES: tuple[Side, Side] = ("requestor", "acceptor")


def _pdu(association: Association, kind: str) -> Entry | None:
    return next((entry for entry in association.timeline if entry.kind == kind), None)


def _answered(association: Association) -> list[PresentationContext]:
    """The contexts where both the request and its acceptance were captured whole."""
    if not negotiation_whole(association):
        return []
    return list(association.contexts.values())


# ---------------------------------------------------------------------------- contexts


@rule(
    "no-common-context",
    "error",
    "association",
    "The association was accepted, and every presentation context in it refused.",
    "PS3.8 9.3.3.2",
)
def nothing_in_common(view: View) -> Iterator[Finding]:
    """An association on which nothing can be said."""
    association = view.association
    contexts = _answered(association)
    if not contexts or any(context.result == 0 for context in contexts):
        return
    yield finding(
        "no-common-context",
        f"{who(association, 'acceptor')} accepted none of "
        f"{count(len(contexts), 'presentation context')}",
        _refusals(contexts),
        _mend(association, contexts),
        *negotiation(association),
    )


def _mend(association: Association, contexts: list[PresentationContext]) -> str:
    """Which side may do what about contexts that were refused, by the reasons given."""
    requestor, acceptor = who(association, "requestor"), who(association, "acceptor")
    results = {context.result for context in contexts}
    told = []
    if 3 in results:
        told.append(
            f"On the side of {requestor}: is {association.acceptor.address} port "
            f"{association.acceptor.port} the server for this? If it is, then on the side of "
            f"{acceptor}: switch the SOP class on."
        )
    if 4 in results:
        offered: dict[str | None, set[str]] = {}
        for context in contexts:
            if context.result == 4:
                syntaxes = offered.setdefault(context.abstract_syntax, set())
                syntaxes.update(context.proposed_transfer_syntaxes)
        refused = [each for each in offered.values() if IMPLICIT in each]
        if refused:
            told.append(
                f"On the side of {acceptor}: take Implicit VR Little Endian, the default, which "
                "was offered and which every application takes as a rule (PS3.5 10.1)."
            )
        if len(refused) < len(offered):
            told.append(
                f"On the side of {requestor}: offer Implicit VR Little Endian as well, the default "
                f"(PS3.5 10.1). Or on the side of {acceptor}: switch on a transfer syntax that was "
                "offered."
            )
    if not results <= {3, 4}:
        told.append(
            f"The log of {acceptor} at this time tells why: does its configuration allow this to "
            f"{association.requestor.ae_title or 'this caller'}?"
        )
    return " ".join(told)


@rule(
    "context-refused",
    "warning",
    "association",
    "Every presentation context of a SOP class was refused: the SOP class, or all its transfer "
    "syntaxes. A warning where the association then carried no message, else a note.",
    "PS3.8 9.3.3.2",
)
def refused(view: View) -> Iterator[Finding]:
    """SOP classes that were asked for in vain, beside others that were accepted."""
    association = view.association
    contexts = _answered(association)
    accepted = {each.abstract_syntax for each in contexts if each.result == 0}
    missing = [
        each
        for each in contexts
        if each.abstract_syntax not in accepted and each.result not in (0, None)
    ]
    if not missing or not accepted:
        return
    idle = not any(entry.message is not None for entry in association.timeline)
    classes = {each.abstract_syntax for each in missing}
    yield finding(
        "context-refused",
        f"{who(association, 'acceptor')} refused "
        + (
            listed(sorted(named(each) for each in classes))
            if len(classes) <= FEW
            else count(len(classes), "SOP class", "SOP classes")
        ),
        _refusals(missing),
        "Nothing to mend where these are not needed; many requestors propose all they know. Where "
        f"one of them is missed: {_mend(association, missing)}",
        *negotiation(association),
        severity="warning" if idle else "note",
    )


def _refusals(contexts: list[PresentationContext]) -> str:
    """Contexts by the reason they were refused for."""
    by_result: dict[int | None, list[PresentationContext]] = {}
    for context in contexts:
        by_result.setdefault(context.result, []).append(context)
    texts = []
    for result, refused in by_result.items():
        classes = listed(named(context.abstract_syntax) for context in refused)
        if result == 4:
            offered = listed(
                named(uid) for context in refused for uid in context.proposed_transfer_syntaxes
            )
            texts.append(
                f"{context_result(4)}: {classes}; offered were only {offered}, and the acceptor "
                "takes none of them"
            )
        elif result is None:
            texts.append(f"not answered: {classes}")
        else:
            texts.append(f"{context_result(result)}: {classes}")
    return ". ".join(texts) + "."


@rule(
    "context-unanswered",
    "warning",
    "association",
    "An A-ASSOCIATE-AC leaves out a presentation context that was proposed.",
    "PS3.8 9.3.3.2",
)
def left_out(view: View) -> Iterator[Finding]:
    """Every context has to be answered, also those refused."""
    association = view.association
    contexts = _answered(association)
    missing = [context for context in contexts if context.result is None]
    if not missing or len(missing) == len(contexts):
        return
    yield finding(
        "context-unanswered",
        f"{who(association, 'acceptor')} leaves "
        f"{count(len(missing), 'presentation context')} unanswered",
        f"Not answered: {listed(f'{each.id} ({named(each.abstract_syntax)})' for each in missing)}."
        " Requestors take them for refused, or give up.",
        f"On the side of {who(association, 'acceptor')}: its A-ASSOCIATE-AC has to answer every "
        "context that was proposed, with a reason where it refuses.",
        *negotiation(association),
    )


@rule(
    "only-compressed-offered",
    "warning",
    "association",
    "A SOP class was proposed with compressed transfer syntaxes alone. A note where one of them "
    "was accepted.",
    "PS3.5 10.1",
)
def only_compressed(view: View) -> Iterator[Finding]:
    """The default transfer syntax has to be offered, unless all there is was compressed lossily."""
    association = view.association
    contexts = _answered(association)
    offers: dict[str, list[PresentationContext]] = {}
    for context in contexts:
        if context.abstract_syntax and context.proposed_transfer_syntaxes:
            offers.setdefault(context.abstract_syntax, []).append(context)
    for wanted in (True, False):
        found = {
            uid: proposed
            for uid, proposed in offers.items()
            if not any(UNCOMPRESSED & set(each.proposed_transfer_syntaxes) for each in proposed)
            and _all_known(proposed)
            and any(each.result == 0 for each in proposed) is not wanted
        }
        if not found:
            continue
        syntaxes = listed(
            named(uid)
            for proposed in found.values()
            for each in proposed
            for uid in each.proposed_transfer_syntaxes
        )
        outcome = "refused them" if wanted else "accepted one"
        yield finding(
            "only-compressed-offered",
            f"Offered only compressed: {listed(named(uid) for uid in found)}",
            f"{who(association, 'requestor')} offers {syntaxes}, and no uncompressed transfer "
            f"syntax; {who(association, 'acceptor')} {outcome}.",
            f"On the side of {who(association, 'requestor')}: propose Implicit VR Little Endian as "
            "well, and decompress where that is accepted. Otherwise switch on one of these "
            f"syntaxes on the side of {who(association, 'acceptor')}.",
            *negotiation(association),
            severity="warning" if wanted else "note",
        )


def _all_known(contexts: list[PresentationContext]) -> bool:
    """Whether every transfer syntax proposed is a known one: a private one may be anything."""
    return all(
        named(uid) != uid for context in contexts for uid in context.proposed_transfer_syntaxes
    )


@rule(
    "context-not-accepted",
    "error",
    "association",
    "A message was sent on a presentation context that was refused, or never proposed.",
    "PS3.8 9.3.5.1",
)
def not_accepted(view: View) -> Iterator[Finding]:
    """Used though refused."""
    association = view.association
    if association.partial or association.gaps or not negotiation_whole(association):
        return
    wrong: dict[int, list[Entry]] = {}
    for entry in association.timeline:
        message = entry.message
        if message is None:
            continue
        context = association.contexts.get(message.context_id)
        if context is None or context.result != 0:
            wrong.setdefault(message.context_id, []).append(entry)
    for number, entries in wrong.items():
        context = association.contexts.get(number)
        if context is None:
            what, why = "was never proposed", "It was never proposed"
        else:
            what = "was not accepted"
            how = "not answered" if context.result is None else context_result(context.result)
            why = f"{named(context.abstract_syntax)}: {how}"
        sender = entries[0].sender
        yield finding(
            "context-not-accepted",
            f"{who(association, sender)} uses presentation context {number}, which {what}",
            f"{count(len(entries), 'message')}, the first {spoken(entries[0])}. {why}.",
            f"On the side of {who(association, sender)}: only contexts with the result acceptance "
            "may be used. The receiver may abort, or not answer.",
            *entries,
        )


# ---------------------------------------------------------------------------- limits


def _over(view: View) -> bool:
    limits = [(side, view.association.peer(OTHER[side]).maximum_length) for side in _SIDES]
    return any(limit and view.carried.get(side, (0,))[0] > limit for side, limit in limits)


@rule(
    "maximum-length-exceeded",
    "error",
    "association",
    "A P-DATA-TF is longer than the other side said it can receive.",
    "PS3.8 D.1",
    when=_over,
)
def too_long(view: View) -> Iterator[Finding]:
    """The maximum length of one side bounds what the other sends."""
    association = view.association
    for side in _SIDES:
        limit = association.peer(OTHER[side]).maximum_length
        if not limit:
            continue
        over = [
            (entry, longest)
            for entry in association.timeline
            if entry.sender == side and (longest := _longest(entry)) > limit
        ]
        if over:
            longest = max(length for _, length in over)
            yield finding(
                "maximum-length-exceeded",
                f"{who(association, side)} sends PDUs that are too long: {longest:,} bytes",
                f"{who(association, OTHER[side])} said that it receives {limit:,} bytes at most. "
                f"{count(len(over), 'message')} came in longer PDUs.",
                f"On the side of {who(association, side)}: keep to the maximum length of the "
                "other side's A-ASSOCIATE. The receiver may abort, or write behind its buffer.",
                *[entry for entry, _ in over],
            )


def _longest(entry: Entry) -> int:
    """Longest P-DATA-TF that began within a message."""
    message = entry.message
    if message is None:
        return 0
    return max((each.pdu_length or 0 for each in message.fragments), default=0)


@rule(
    "maximum-length-small",
    "warning",
    "association",
    "A side limits PDUs to less than 8 KiB. A warning where a megabyte or more was sent to it.",
    "PS3.8 D.1",
)
def small(view: View) -> Iterator[Finding]:
    """Every PDU costs both programs a turn."""
    association = view.association
    for side in _SIDES:
        limit = association.peer(side).maximum_length
        sent = association.peer(OTHER[side]).bytes
        if limit and limit < SMALL_PDU and sent > limit:
            kind = "A-ASSOCIATE-RQ" if side == "requestor" else "A-ASSOCIATE-AC"
            entry = _pdu(association, kind)
            yield finding(
                "maximum-length-small",
                f"{who(association, side)} takes PDUs of no more than {limit:,} bytes",
                f"{sent:,} bytes were sent to it, in at least {-(-sent // limit):,} PDUs.",
                f"On the side of {who(association, side)}: a maximum length of 64 KiB or more "
                "makes transfers faster; 16 KiB is the least that is usual.",
                *([] if entry is None else [entry]),
                severity="warning" if sent >= MUCH else "note",
            )


@rule(
    "asynchronous-window-exceeded",
    "error",
    "association",
    "A side had more operations outstanding than were negotiated (one, where nothing was).",
    "PS3.7 D.3.3.3",
)
def window(view: View) -> Iterator[Finding]:
    """Requests that were sent before earlier ones were answered."""
    association = view.association
    if association.partial or association.gaps or not negotiation_whole(association):
        return
    asked = association.requestor.user_information
    answer = association.acceptor.user_information
    granted = (1, 1)
    if (
        asked is not None
        and answer is not None
        and asked.asynchronous_operations_window is not None
        and answer.asynchronous_operations_window is not None
    ):
        granted = answer.asynchronous_operations_window
    for side, limit in zip(_SIDES, granted, strict=True):
        if not limit:
            continue  # no limit
        most, at = _most_outstanding(association, side)
        if most > limit and at is not None:
            yield finding(
                "asynchronous-window-exceeded",
                f"{who(association, side)} had {most} operations outstanding, {limit} may be",
                f"The most were reached with {spoken(at)}. "
                + (
                    "No asynchronous operations window was negotiated, so each request has to "
                    "wait for the response before it."
                    if granted == (1, 1)
                    else "That is what the asynchronous operations window allows."
                ),
                f"On the side of {who(association, side)}: wait for the final response before the "
                "next request, or negotiate a window that is large enough.",
                at,
            )


def _most_outstanding(association: Association, side: Side) -> tuple[int, Entry | None]:
    """How many operations of a side were open at most, and the request that made it so."""
    ends: dict[int, int] = {}
    begins: dict[int, Entry] = {}
    for operation in association.operations:
        request = operation.request
        if request is None or operation.invoked_by != side:
            continue
        begins[request.number] = request
        if operation.responses and operation.status is not None:
            final = operation.responses[-1].number
            ends[final] = ends.get(final, 0) + 1
    open_ = most = 0
    at = None
    for entry in association.timeline:
        if entry.number in begins:
            open_ += 1
            if open_ > most:
                most, at = open_, entry
        open_ -= ends.get(entry.number, 0)
    return most, at


# ---------------------------------------------------------------------------- roles, identity


@rule(
    "role-selection-missing",
    "error",
    "association",
    "A C-GET was asked for, and the requestor may not be SCP of any storage class: it did not "
    "negotiate the role, or was refused it.",
    "PS3.4 C.5.3",
)
def roles(view: View) -> Iterator[Finding]:
    """Without the role no C-STORE sub-operation can come back."""
    association = view.association
    if association.partial or not negotiation_whole(association):
        return
    request = next((each.request for each in view.operations("C-GET") if each.request), None)
    storage = {
        context.abstract_syntax
        for context in association.contexts.values()
        if context.result == 0 and context.abstract_syntax and is_storage(context.abstract_syntax)
    }
    if request is None or not storage:
        return
    asked = association.requestor.user_information
    answer = association.acceptor.user_information
    wanted = _scp_roles(asked)
    given = _scp_roles(answer)
    if storage & wanted & given:
        return
    if not storage & wanted:
        title = f"{who(association, 'requestor')} did not ask for the SCP role that C-GET needs"
        detail = (
            f"Accepted: {count(len(storage), 'storage SOP class', 'storage SOP classes')}, none of "
            "them with SCP/SCU role selection for the requestor as SCP."
        )
        advice = (
            f"On the side of {who(association, 'requestor')}: send role selection items (54H) with "
            "SCP role 1 for every storage class it wants to receive."
        )
    else:
        title = f"{who(association, 'acceptor')} refused the SCP role that C-GET needs"
        detail = (
            f"The role was asked for {listed(named(uid) for uid in sorted(storage & wanted))}, and "
            "the A-ASSOCIATE-AC does not grant it."
        )
        advice = (
            f"On the side of {who(association, 'acceptor')}: it has to answer role selection with "
            "SCP role 1 to support C-GET. Where it cannot, retrieve with C-MOVE."
        )
    yield finding(
        "role-selection-missing", title, detail, advice, *negotiation(association), request
    )


def _scp_roles(information: UserInformation | None) -> set[str]:
    """SOP classes that a role selection makes the requestor the SCP of."""
    roles = information.role_selections if information is not None else ()
    return {each.sop_class_uid for each in roles if each.scp_role}


@rule(
    "user-identity-clear",
    "warning",
    "association",
    "A user identity crossed the network unencrypted. A note where it is a user name alone.",
    "PS3.15 B.4",
)
def identity(view: View) -> Iterator[Finding]:
    """Whoever can capture this can use it."""
    association = view.association
    if association.encrypted:
        return
    for entry in association.timeline:
        if not isinstance(entry.pdu, AssociatePDU) or entry.kind != "A-ASSOCIATE-RQ":
            continue
        offered = entry.pdu.user_information.user_identity
        if offered is None:
            continue
        kind = USER_IDENTITY_TYPES.get(offered.type, f"type {offered.type}")
        yield finding(
            "user-identity-clear",
            f"{who(association, 'requestor')} sends a user identity in clear: {kind}",
            "It can be read in this capture, as by anybody on the way. It is not shown here.",
            "Use TLS between the two, and change the passcode or revoke the token: it has been "
            "captured.",
            entry,
            severity="note" if offered.type == 1 else "warning",
        )
