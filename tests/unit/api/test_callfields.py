"""The standard parameters of call webhooks and the codes of a call's end."""

import pytest
from tests.unit.api.things import NOW_MS, call

from tapeline.api.accountstyle.callfields import (
    HANGUP_CODES,
    call_fields,
    call_status,
    hangup_fields,
    hangup_source,
)
from tapeline.domain.call import CallState, Direction, EndCause, EndSource
from tapeline.domain.id import EpochMs


@pytest.mark.parametrize("cause", EndCause)
def test_every_cause_has_a_code(cause: EndCause) -> None:
    assert HANGUP_CODES[cause].name


@pytest.mark.parametrize(
    ("cause", "code", "name"),
    [
        (EndCause.NORMAL, "4000", "Normal Hangup"),
        (EndCause.END_OF_DOCUMENT, "4010", "End Of XML Instructions"),
        (EndCause.CANCELED, "1000", "Canceled"),
        (EndCause.BUSY, "3010", "Busy Line"),
        (EndCause.REJECTED, "3020", "Rejected"),
        (EndCause.TIME_LIMIT, "6000", "Scheduled Hangup"),
        (EndCause.NO_ANSWER, "6010", "Ring Timeout Reached"),
        (EndCause.ANSWER_UNREACHABLE, "7011", "Error Reaching Answer URL"),
        (EndCause.ACTION_UNREACHABLE, "7012", "Error Reaching Action URL"),
        (EndCause.REDIRECT_UNREACHABLE, "7014", "Error Reaching Redirect URL"),
        (EndCause.ANSWER_INVALID, "8011", "Invalid Answer XML"),
        (EndCause.ACTION_INVALID, "8012", "Invalid Action XML"),
        (EndCause.REDIRECT_INVALID, "8014", "Invalid Redirect XML"),
    ],
)
def test_the_contracts_codes(cause: EndCause, code: str, name: str) -> None:
    fields = hangup_fields(call(end_cause=cause), platform="Us")

    assert (fields["HangupCauseCode"], fields["HangupCauseName"]) == (code, name)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (EndSource.CALLER, "Caller"),
        (EndSource.CALLEE, "Callee"),
        (EndSource.API, "API Request"),
        (EndSource.DOCUMENT, "Answer XML"),
        (EndSource.SYSTEM, "Us"),
        (EndSource.ERROR, "Error"),
        (None, "Unknown"),
    ],
)
def test_who_ended_it(source: EndSource | None, word: str) -> None:
    assert hangup_source(call(end_source=source), platform="Us") == word


@pytest.mark.parametrize(
    ("state", "cause", "status"),
    [
        (CallState.RINGING, None, "ringing"),
        (CallState.ANSWERED, None, "in-progress"),
        (CallState.ENDED, EndCause.NORMAL, "completed"),
        (CallState.ENDED, EndCause.BUSY, "busy"),
        (CallState.ENDED, EndCause.ANSWER_INVALID, "failed"),
        (CallState.ENDED, None, "failed"),
    ],
)
def test_status(state: CallState, cause: EndCause | None, status: str) -> None:
    assert call_status(call(state=state, end_cause=cause)) == status


def test_an_unanswered_call_lasted_no_time() -> None:
    fields = hangup_fields(
        call(answered_at_ms=None, ended_at_ms=NOW_MS, end_cause=EndCause.CANCELED), platform="Us"
    )

    assert (fields["Duration"], fields["AnswerTime"]) == ("0", "")


def test_a_begun_second_is_billed() -> None:
    answered, ended = EpochMs(NOW_MS - 1_001), NOW_MS

    fields = hangup_fields(call(answered_at_ms=answered, ended_at_ms=ended), platform="Us")

    assert fields["BillDuration"] == "2"


def test_an_outbound_call_names_its_first_leg() -> None:
    fields = call_fields(call(direction=Direction.OUTBOUND), event="StartApp", header_prefix="X-")

    assert fields["ALegUUID"] == fields["ALegRequestUUID"] == "call-1"


def test_headers_of_the_dialect_are_passed_on_whatever_their_case() -> None:
    told = call(headers={"x-vh-team": "blue", "X-PH-Team": "red"})

    fields = call_fields(told, event="StartApp", header_prefix="X-VH-")

    assert fields["x-vh-team"] == "blue"
    assert "X-PH-Team" not in fields
