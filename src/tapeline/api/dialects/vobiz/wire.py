"""Vobiz on the wire: requests to commands, outcomes to answers. No I/O, no clock.

Most shapes are shared with other account-style APIs; what is Vobiz's own stands here.
"""

from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.resources import calllists, calls, starts
from tapeline.api.accountstyle.resources.answers import answer
from tapeline.api.accountstyle.resources.conferences import conference_ref, member_words
from tapeline.api.dialect import Setting, WireRequest, WireResponse
from tapeline.api.schema import HttpUrl, ResponseBody, read_model
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

V3_WITH_PARAMETERS = "sdk"
SETTINGS = (
    Setting(
        key="callback_encoding",
        choices=("documented", "json", "form"),
        default="documented",
        description="documented: JSON for a conference recording's end, forms for the rest",
    ),
    Setting(
        key="vobiz_v3",
        choices=("doc", V3_WITH_PARAMETERS),
        default="doc",
        description="doc: signature V3 without the parameters; sdk: with them, as its SDK checks",
    ),
    Setting(
        key="idempotent_stop",
        choices=("false", "true"),
        default="false",
        description="true: stopping what is not recorded is answered 204 instead of 404",
    ),
)
PROFILE = Profile(
    name="vobiz",
    prefix="/api/v1",
    platform="Vobiz",
    header_prefix="X-VH-",
    settings=SETTINGS,
    list_limit=100,
    end_of_list="",
    no_conference=None,
)


class StartRecordingBody(starts.StartRecordingBody):
    """Both names of the callback are in use; `callback_url` wins (contract §13.3)."""

    recording_callback_url: HttpUrl | None = None
    recording_callback_method: starts.Method | None = None


class StartCallRecordingBody(starts.StartCallRecordingBody, StartRecordingBody):
    pass


class MemberActionBody(ResponseBody):
    """`member_id` is what was asked for, `all` as it is."""

    api_id: str
    message: str
    member_id: list[str]


class LiveCallBody(calls.LiveCallBody):
    stir_attestation: str
    stir_verification: str


class ErrorBody(ResponseBody):
    error: str


class UnknownBody(ResponseBody):
    """A path that there is not."""

    message: str


# recordings of conferences and calls


def _starter(body: StartRecordingBody, request: WireRequest) -> Starter:
    if body.callback_url is not None:
        method = body.callback_method or body.recording_callback_method
    else:
        method = body.recording_callback_method or body.callback_method
    return Starter(
        dialect=PROFILE.name,
        request_id=request.request_id,
        callback_url=body.callback_url or body.recording_callback_url,
        callback_method=method or "POST",
    )


def read_start_conference(request: WireRequest, account: Account) -> StartConferenceRecording:
    body = read_model(StartRecordingBody, read_fields(request))
    return StartConferenceRecording(
        conference=conference_ref(request, account),
        options=starts.conference_options(body),
        starter=_starter(body, request),
    )


def write_conference_started(
    view: RecordingView, request: WireRequest, _account: Account
) -> WireResponse:
    return starts.write_started(view, request, status=200, message="conference recording started")


def read_stop_conference(request: WireRequest, account: Account) -> StopConferenceRecording:
    return StopConferenceRecording(
        conference=conference_ref(request, account),
        dialect=PROFILE.name,
        recording_id=starts.named_recording(request),
        is_idempotent=_is_idempotent(account),
    )


def read_start_call(request: WireRequest, account: Account) -> StartCallRecording:
    body = read_model(StartCallRecordingBody, read_fields(request))
    return StartCallRecording(
        account_id=account.id,
        call_id=calls.call_id(request),
        options=starts.call_options(body),
        starter=_starter(body, request),
    )


def write_call_started(
    view: RecordingView, request: WireRequest, _account: Account
) -> WireResponse:
    return starts.write_started(view, request, status=200, message="recording started")


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
        api_id=request.request_id, message=message, member_id=member_words(request)
    )
    return answer(202, body)


# calls


def write_call(call: Call, request: WireRequest, account: Account) -> WireResponse:
    """A live call when `status` asks for one, else the record of one that has ended."""
    if not dict(request.query).get("status"):
        return calllists.write_detail(PROFILE, call, request, account)
    fields = calls.live_fields(call, request)
    fields |= {"stir_attestation": "", "stir_verification": "Not Applicable"}
    return answer(200, LiveCallBody.model_validate(fields))
