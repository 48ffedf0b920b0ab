"""What a call's document has told to URLs that it named (`ProgramToldCall`), as parameters."""

from collections.abc import Callable, Mapping

from tapeline.api.accountstyle.callfields import (
    HANGUP_CODES,
    UNKNOWN_HANGUP,
    call_fields,
    source_word,
    webhook_number,
)
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.told import question_fields, renamed
from tapeline.api.dialect import CallMoment
from tapeline.domain.call import EndCause, EndSource
from tapeline.domain.event import ProgramToldCall

# A topic's `Event` and `DialAction`.
_DIAL = {
    "dial_answer": ("DialAnswer", "answer"),
    "dial_connected": ("DialConnected", "connected"),
    "dial_hangup": ("DialHangup", "hangup"),
}


def told_fields(profile: Profile, event: ProgramToldCall) -> dict[str, object] | None:
    """None for a topic that these documents have no name for."""
    if event.topic == "action":
        return question_fields(
            profile, CallMoment(event="action", call=event.call, extra=event.extra)
        )
    fields = _TOPICS.get(event.topic)
    return None if fields is None else fields(profile, event)


def _standard(profile: Profile, event: ProgramToldCall, name: str) -> dict[str, object]:
    return {**call_fields(event.call, event=name, header_prefix=profile.header_prefix)}


def _conference_digits(profile: Profile, event: ProgramToldCall) -> dict[str, object]:
    facts = dict(event.extra)
    digits = facts.pop("digits", "")
    return {
        **_standard(profile, event, "ConferenceDigits"),
        "ConferenceAction": "digits",
        **renamed(facts),
        "ConferenceDigitsMatch": digits,
    }


def _dial(profile: Profile, event: ProgramToldCall) -> dict[str, object]:
    name, action = _DIAL[event.topic]
    facts = event.extra
    fields = {
        **_standard(profile, event, name),
        "DialAction": action,
        "DialBLegStatus": action,
        "DialALegUUID": facts.get("dial_aleg_id", ""),
        "DialBLegUUID": facts.get("dial_bleg_id", ""),
        "DialBLegFrom": webhook_number(facts.get("dial_bleg_from", "")),
        "DialBLegTo": webhook_number(facts.get("dial_bleg_to", "")),
        "DialBLegPosition": facts.get("dial_bleg_position", ""),
    }
    return {**fields, **_dial_end(profile, facts)} if action == "hangup" else fields


def _dial_end(profile: Profile, facts: Mapping[str, str]) -> dict[str, object]:
    cause, source = facts.get("dial_hangup_cause"), facts.get("dial_hangup_source")
    code = HANGUP_CODES[EndCause(cause)] if cause else UNKNOWN_HANGUP
    return {
        "DialBLegDuration": facts.get("dial_bleg_duration", "0"),
        "DialBLegBillDuration": facts.get("dial_bleg_bill_duration", "0"),
        "DialBLegHangupCause": code.cause,
        "DialBLegHangupCauseName": code.name,
        "DialBLegHangupCauseCode": str(code.code),
        "DialBLegHangupSource": source_word(
            EndSource(source) if source else None, platform=profile.platform
        ),
    }


_TOPICS: Mapping[str, Callable[[Profile, ProgramToldCall], dict[str, object]]] = {
    "conference_digits": _conference_digits,
    **dict.fromkeys(_DIAL, _dial),
}
