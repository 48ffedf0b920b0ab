"""Plivo on the wire: requests to commands, outcomes to answers. No I/O, no clock.

Most shapes are shared with other account-style APIs; what is Plivo's own stands here.
"""

from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources import calllists, calls, starts
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.accountstyle.resources.conferences import conference_ref
from tapeline.api.dialect import Setting, WireRequest, WireResponse
from tapeline.api.schema import ResponseBody, read_model
from tapeline.domain.account import Account
from tapeline.domain.call import Call
from tapeline.domain.command import (
    RecordingView,
    StartCallRecording,
    StartConferenceRecording,
    StopCallRecording,
    StopConferenceRecording,
)
from tapeline.domain.recording import Starter

SETTINGS = (
    Setting(
        key="callback_encoding",
        choices=("documented", "json", "form"),
        default="documented",
        description="documented: forms, as Plivo's own",
    ),
    Setting(
        key="idempotent_stop",
        choices=("false", "true"),
        default="true",
        description="false: stopping what is not recorded is answered 404 instead of 204",
    ),
    Setting(
        key="response_field",
        choices=("false", "true"),
        default="false",
        description="true: a recording's callback has all its fields once more, as JSON, in "
        "`response`",
    ),
)
PROFILE = Profile(
    name="plivo",
    prefix="/v1",
    platform="Plivo",
    header_prefix="X-PH-",
    settings=SETTINGS,
    list_limit=20,
    end_of_list=None,
    no_conference="",
)


class MemberActionBody(ResponseBody):
    """`member_id` is what was asked for: one id, several, or `all`."""

    api_id: str
    message: str
    member_id: str


class ErrorBody(ResponseBody):
    api_id: str
    error: str


# recordings of conferences and calls


def _starter(body: starts.StartRecordingBody, request: WireRequest) -> Starter:
    return Starter(
        dialect=PROFILE.name,
        request_id=request.request_id,
        callback_url=body.callback_url,
        callback_method=body.callback_method or "POST",
    )


def read_start_conference(request: WireRequest, account: Account) -> StartConferenceRecording:
    body = read_model(starts.StartRecordingBody, read_fields(request))
    return StartConferenceRecording(
        conference=conference_ref(request, account),
        options=starts.conference_options(body),
        starter=_starter(body, request),
    )


def write_conference_started(
    view: RecordingView, request: WireRequest, _account: Account
) -> WireResponse:
    return starts.write_started(view, request, status=202, message="conference recording started")


def read_stop_conference(request: WireRequest, account: Account) -> StopConferenceRecording:
    return StopConferenceRecording(
        conference=conference_ref(request, account),
        dialect=PROFILE.name,
        recording_id=starts.named_recording(request),
        is_idempotent=_is_idempotent(account),
    )


def read_start_call(request: WireRequest, account: Account) -> StartCallRecording:
    body = read_model(starts.StartCallRecordingBody, read_fields(request))
    return StartCallRecording(
        account_id=account.id,
        call_id=calls.call_id(request),
        options=starts.call_options(body),
        starter=_starter(body, request),
    )


def write_call_started(
    view: RecordingView, request: WireRequest, _account: Account
) -> WireResponse:
    return starts.write_started(view, request, status=202, message="call recording started")


def read_stop_call(request: WireRequest, account: Account) -> StopCallRecording:
    return StopCallRecording(
        account_id=account.id,
        call_id=calls.call_id(request),
        dialect=PROFILE.name,
        recording_id=starts.named_recording(request),
        is_idempotent=_is_idempotent(account),
    )


def _is_idempotent(account: Account) -> bool:
    return PROFILE.chosen(account, "idempotent_stop") == "true"


# conference members


def write_member_action(
    _outcome: object, request: WireRequest, _account: Account, *, message: str
) -> WireResponse:
    body = MemberActionBody(
        api_id=request.request_id, message=message, member_id=request.params["member_id"]
    )
    return answer(202, body)


# calls


def write_call(call: Call, request: WireRequest, account: Account) -> WireResponse:
    """A live call when `status` asks for one, else the record of one that has ended."""
    if not dict(request.query).get("status"):
        return calllists.write_detail(PROFILE, call, request, account)
    fields = calls.live_fields(call, request)
    return answer(200, calls.LiveCallBody.model_validate(fields))
