"""The account-style dialects' requests over HTTP: which commands they become, what is refused."""

import json
from base64 import b64encode
from typing import Any

import pytest
from tests.unit.api.asgi import Answer, ask
from tests.unit.api.things import (
    ACCOUNT_ID,
    NOW_MS,
    OTHER_ID,
    TOKEN,
    MemoryControl,
    account,
    make_app,
)

from tapeline.api.dialect import find_dialects
from tapeline.domain import command as commands
from tapeline.domain.application import Application
from tapeline.domain.call import CallState, Direction, EndCause, EndSource
from tapeline.domain.id import ApplicationId, EpochMs
from tapeline.domain.recording import (
    Layout,
    RecordingFormat,
    RecordingOptions,
    Starter,
    TranscriptionRequest,
)

BOTH = pytest.mark.parametrize("dialect", ["plivo", "vobiz"])
PREFIX = {name: each.prefix for name, each in find_dialects().items()}
URL = "https://cust.example/done#rc=3"


def headers_of(dialect: str, account_id: str = ACCOUNT_ID, token: str = TOKEN) -> dict[str, str]:
    if dialect == "vobiz":
        return {"X-Auth-ID": account_id, "X-Auth-Token": token}
    return {"Authorization": "Basic " + b64encode(f"{account_id}:{token}".encode()).decode()}


@pytest.fixture
def control() -> MemoryControl:
    made = MemoryControl()
    made.open_room("MyConf")
    made.calls.add("call-1")
    made.calls.add("call-2", state=CallState.ENDED)
    made.calls.add("call-3", account_id=OTHER_ID)
    return made


async def send(
    control: MemoryControl, dialect: str, method: str, path: str, body: Any = None, **more: Any
) -> Answer:
    target = f"{PREFIX[dialect]}/Account/{ACCOUNT_ID}/{path}"
    content = b"" if body is None else json.dumps(body).encode()
    headers = more.pop("headers", None) or headers_of(dialect)
    return await ask(make_app(control), method, target, headers=headers, body=content)


# recordings


@BOTH
async def test_a_call_is_recorded_with_all_that_was_asked(
    control: MemoryControl, dialect: str
) -> None:
    body = {
        "time_limit": 300,
        "file_format": "wav",
        "transcription_type": "auto",
        "transcription_url": "https://cust.example/words",
        "transcription_method": "GET",
        "callback_url": URL,
        "callback_method": "get",
        "record_channel_type": "stereo",
        "call_uuid": "call-1",
    }

    answer = await send(control, dialect, "POST", "Call/call-1/Record/", body)

    (command,) = control.seen
    assert isinstance(command, commands.StartCallRecording)
    assert command.options == RecordingOptions(
        format=RecordingFormat.WAV,
        layout=Layout.CALLER_CALLEE,
        limit_ms=300_000,
        transcription=TranscriptionRequest(callback_url="https://cust.example/words"),
    )
    assert command.starter == Starter(
        dialect=dialect,
        request_id=answer.json["api_id"],
        callback_url=URL,
        callback_method="GET",
    )
    assert answer.status == {"plivo": 202, "vobiz": 200}[dialect]
    assert answer.json["url"].startswith("http://node/media/")


@BOTH
async def test_a_call_is_recorded_in_mono_for_a_minute_by_default(
    control: MemoryControl, dialect: str
) -> None:
    await send(control, dialect, "POST", "Call/call-1/Record/")

    (command,) = control.seen
    assert isinstance(command, commands.StartCallRecording)
    assert command.options == RecordingOptions(limit_ms=60_000)
    assert command.starter.callback_url is None


@BOTH
async def test_a_conference_is_transcribed_when_asked(control: MemoryControl, dialect: str) -> None:
    body = {"transcription_type": "auto", "transcription_url": "https://h/t"}

    await send(control, dialect, "POST", "Conference/MyConf/Record/", body)

    (command,) = control.seen
    assert isinstance(command, commands.StartConferenceRecording)
    assert command.options == RecordingOptions(
        transcription=TranscriptionRequest(callback_url="https://h/t")
    )


@BOTH
async def test_a_link_alone_asks_for_no_transcript(control: MemoryControl, dialect: str) -> None:
    body = {"transcription_url": "https://h/t"}

    await send(control, dialect, "POST", "Conference/MyConf/Record/", body)

    (command,) = control.seen
    assert isinstance(command, commands.StartConferenceRecording)
    assert command.options.transcription is None


async def test_either_name_of_the_callback_tells_about_a_call(control: MemoryControl) -> None:
    body = {"recording_callback_url": "https://h/r", "recording_callback_method": "GET"}

    await send(control, "vobiz", "POST", "Call/call-1/Record/", body)

    (command,) = control.seen
    assert isinstance(command, commands.StartCallRecording)
    assert command.starter.callback_url == "https://h/r"
    assert command.starter.callback_method == "GET"


@BOTH
@pytest.mark.parametrize("key", ["URL", "url", "recording_id"])
async def test_one_of_several_recordings_is_stopped(
    control: MemoryControl, dialect: str, key: str
) -> None:
    first = await send(control, dialect, "POST", "Call/call-1/Record/")
    second = await send(control, dialect, "POST", "Call/call-1/Record/")
    value = second.json["recording_id" if key == "recording_id" else "url"]

    answer = await send(control, dialect, "DELETE", "Call/call-1/Record/", {key: value})

    assert answer.status == 204
    running = [each.id for each in control.recordings.values() if each.is_open]
    assert running == [first.json["recording_id"]]


@BOTH
async def test_all_recordings_of_a_call_are_stopped(control: MemoryControl, dialect: str) -> None:
    for _ in range(2):
        await send(control, dialect, "POST", "Call/call-1/Record/")

    answer = await send(control, dialect, "DELETE", "Call/call-1/Record/", {"call_uuid": "call-1"})

    assert answer.status == 204
    assert not [each for each in control.recordings.values() if each.is_open]


@BOTH
@pytest.mark.parametrize("link", ["https://h/none.mp3", "none", "http://[", "https://h/a/"])
async def test_a_stop_that_names_no_recording_stops_none(
    control: MemoryControl, dialect: str, link: str
) -> None:
    await send(control, dialect, "POST", "Call/call-1/Record/")

    answer = await send(control, dialect, "DELETE", "Call/call-1/Record/", {"URL": link})

    assert (answer.status, answer.json["error"]) == (404, "recording not found")
    assert [each for each in control.recordings.values() if each.is_open]


@pytest.mark.parametrize(
    ("dialect", "choice", "status"),
    [("plivo", None, 204), ("vobiz", None, 404), ("plivo", "false", 404), ("vobiz", "true", 204)],
)
@pytest.mark.parametrize("path", ["Call/call-1/Record/", "Conference/MyConf/Record/"])
async def test_stopping_what_is_not_recorded(
    control: MemoryControl, dialect: str, choice: str | None, status: int, path: str
) -> None:
    if choice is not None:
        control.accounts[ACCOUNT_ID] = account(dialect={dialect: {"idempotent_stop": choice}})

    assert (await send(control, dialect, "DELETE", path)).status == status


# conferences and their members


@BOTH
@pytest.mark.parametrize(
    ("method", "path", "changes", "hang_up"),
    [
        ("POST", "Mute/", {"muted": True}, None),
        ("DELETE", "Mute/", {"muted": False}, None),
        ("POST", "Deaf/", {"deaf": True}, None),
        ("DELETE", "Deaf/", {"deaf": False}, None),
        ("POST", "Kick/", {}, False),
        ("DELETE", "", {}, True),
    ],
)
@pytest.mark.parametrize(
    ("who", "members"),
    [
        ("10", ("10",)),
        ("10,15", ("10", "15")),
        ("10,%2015,", ("10", "15")),
        ("all", ()),
    ],
)
async def test_members(  # noqa: PLR0917
    control: MemoryControl,
    dialect: str,
    method: str,
    path: str,
    changes: dict[str, bool],
    hang_up: bool | None,  # noqa: FBT001
    who: str,
    members: tuple[str, ...],
) -> None:
    answer = await send(control, dialect, method, f"Conference/MyConf/Member/{who}/{path}")

    (command,) = control.seen
    assert isinstance(command, commands.SetParticipants | commands.RemoveParticipants)
    assert command.members.member_ids == members
    assert answer.status == (202 if method == "POST" else 204)
    for name, value in changes.items():
        assert getattr(command, name) is value
    if hang_up is not None:
        assert isinstance(command, commands.RemoveParticipants)
        assert command.hang_up is hang_up


@BOTH
@pytest.mark.parametrize("who", [",", "%20", ",,%20,"])
async def test_nobody_is_not_everybody(control: MemoryControl, dialect: str, who: str) -> None:
    answer = await send(control, dialect, "DELETE", f"Conference/MyConf/Member/{who}/")

    assert (answer.status, answer.json["error"]) == (404, "member not found")
    assert control.seen == []


@BOTH
async def test_conferences_end(control: MemoryControl, dialect: str) -> None:
    control.open_room("Other")

    one = await send(control, dialect, "DELETE", "Conference/MyConf/", {"conference_name": "x"})
    gone = await send(control, dialect, "GET", "Conference/MyConf/")
    rest = await send(control, dialect, "DELETE", "Conference/", {})

    assert (one.status, gone.status, rest.status) == (204, 404, 204)
    assert control.rooms == {}


# calls

ASKED = {"from": "15551230000", "to": "sip:ada@h:5080", "answer_url": "https://h/answer#rc=2"}


@BOTH
async def test_a_call_is_made(control: MemoryControl, dialect: str) -> None:
    prefix = {"plivo": "X-PH-", "vobiz": "X-VH-"}[dialect]
    body = ASKED | {
        "answer_method": "GET",
        "ring_url": "https://h/ring",
        "hangup_url": "https://h/bye",
        "hangup_method": "GET",
        "fallback_url": "https://h/second",
        "caller_name": "Ada",
        "time_limit": 100_000,
        "ring_timeout": 30,
        "hangup_on_ring": 10,
        "sip_headers": "team=blue,room=7",
        "machine_detection_time": 5000,
    }

    answer = await send(control, dialect, "POST", "Call/", body)

    (command,) = control.seen
    assert isinstance(command, commands.CreateCall)
    assert command.target == "sip:ada@h:5080"
    assert (command.caller, command.caller_name) == ("15551230000", "Ada")
    assert (command.ring_limit_ms, command.time_limit_ms) == (10_000, 86_400_000)
    assert command.headers == {f"{prefix}team": "blue", f"{prefix}room": "7"}
    assert command.instructions == Application(
        id=ApplicationId(answer.json["api_id"]),
        account_id=ACCOUNT_ID,
        dialect=dialect,
        name=answer.json["api_id"],
        answer_url="https://h/answer#rc=2",
        answer_method="GET",
        ring_url="https://h/ring",
        hangup_url="https://h/bye",
        hangup_method="GET",
        fallback_url="https://h/second",
        is_ad_hoc=True,
        created_at_ms=NOW_MS,
    )
    assert answer.status == 201
    assert answer.json["request_uuid"] in control.calls.calls
    assert answer.json["message"].lower() == "call fired"


@BOTH
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"to": "+1 what"}, "sip:user@host"),
        ({"to": "sip:"}, "sip:user@host"),
        ({"to": "sip:a@h<sip:b@h"}, "one destination"),
        ({"to": None}, "to: a value is required"),
        ({"from": ""}, "from: a value is required"),
        ({"answer_url": "ftp://h/"}, "answer_url"),
        ({"answer_method": "PUT"}, "answer_method"),
        ({"caller_name": "x" * 51}, "caller_name"),
        ({"from": "a\r\nX: y"}, "from"),
        ({"sip_headers": "a=b\r\nX-Evil: y"}, "sip_headers"),
        ({"sip_headers": "nonsense!"}, "sip_headers"),
        ({"time_limit": "long"}, "time_limit"),
    ],
)
async def test_a_call_that_cannot_be_made(
    control: MemoryControl, dialect: str, changes: dict[str, Any], said: str
) -> None:
    answer = await send(control, dialect, "POST", "Call/", ASKED | changes)

    assert answer.status == 400
    assert said in answer.json["error"]
    assert control.seen == []


@BOTH
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("status=live", commands.CallFilter(is_live=True)),
        ("status=queued&limit=20&offset=0", commands.CallFilter(state=CallState.QUEUED)),
        ("", commands.CallFilter(is_live=False)),
        (
            "call_direction=outbound&from_number=1&to_number=2&parent_call_uuid=c",
            commands.CallFilter(
                is_live=False,
                direction=Direction.OUTBOUND,
                caller="1",
                called="2",
                parent_id="c",
            ),
        ),
        (
            "hangup_cause_code=3010&hangup_source=callee",
            commands.CallFilter(
                is_live=False, end_causes=(EndCause.BUSY,), end_source=EndSource.CALLEE
            ),
        ),
        ("hangup_cause_code=77", commands.CallFilter(is_live=False, end_causes=())),
        (
            "end_time__gte=2025-11-21%2004:40&end_time__lt=2025-11-21%2004:41",
            commands.CallFilter(
                is_live=False,
                ended_from_ms=EpochMs(NOW_MS),
                ended_to_ms=EpochMs(NOW_MS + 60_000),
            ),
        ),
        (
            "end_time=2025-11-21%2004:40",
            commands.CallFilter(
                is_live=False, ended_from_ms=EpochMs(NOW_MS), ended_to_ms=EpochMs(NOW_MS + 1)
            ),
        ),
    ],
)
async def test_calls_are_listed(
    control: MemoryControl, dialect: str, query: str, wanted: commands.CallFilter
) -> None:
    answer = await send(control, dialect, "GET", f"Call/?{query}")

    (command,) = control.seen
    assert isinstance(command, commands.PageCalls)
    assert command.filter == wanted
    assert answer.status == 200


@BOTH
@pytest.mark.parametrize(
    "query", ["status=done", "limit=101", "limit=0", "hangup_source=moon", "end_time__gt=soon"]
)
async def test_a_list_that_cannot_be_made(control: MemoryControl, dialect: str, query: str) -> None:
    assert (await send(control, dialect, "GET", f"Call/?{query}")).status == 400


@pytest.mark.parametrize(("dialect", "most"), [("plivo", 20), ("vobiz", 100)])
@pytest.mark.parametrize("resource", ["Call", "Recording", "Application"])
async def test_pages_are_bounded(
    control: MemoryControl, dialect: str, most: int, resource: str
) -> None:
    fits = await send(control, dialect, "GET", f"{resource}/?limit={most}")
    too_many = await send(control, dialect, "GET", f"{resource}/?limit={most + 1}")

    assert (fits.status, too_many.status) == (200, 400)


@BOTH
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Call/call-1?status=live", 200),
        ("Call/call-1/?status=queued", 404),
        ("Call/call-1/", 404),
        ("Call/call-2/?status=live", 404),
        ("Call/call-2", 200),
        ("Call/call-3/", 404),
    ],
)
async def test_one_call(control: MemoryControl, dialect: str, path: str, status: int) -> None:
    assert (await send(control, dialect, "GET", path)).status == status


@BOTH
async def test_a_call_is_transferred_and_hung_up(control: MemoryControl, dialect: str) -> None:
    body = {"legs": "aleg", "aleg_url": "https://h/next", "aleg_method": "GET"}

    moved = await send(control, dialect, "POST", "Call/call-1/", body)
    ended = await send(control, dialect, "DELETE", "Call/call-1/")
    again = await send(control, dialect, "DELETE", "Request/call-1/")

    assert control.seen[0] == commands.TransferCall(
        account_id=ACCOUNT_ID, call_id="call-1", url="https://h/next", method="GET"
    )
    assert (moved.status, ended.status, again.status) == (202, 204, 404)


@BOTH
@pytest.mark.parametrize(
    "body", [{}, {"legs": "both", "aleg_url": "https://h/"}, {"aleg_url": "nowhere"}]
)
async def test_a_transfer_that_cannot_be_made(
    control: MemoryControl, dialect: str, body: dict[str, str]
) -> None:
    assert (await send(control, dialect, "POST", "Call/call-1/", body)).status == 400


@BOTH
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "Call/{}/Record/"), ("DELETE", "Call/{}/Record/"), ("POST", "Call/{}/")],
)
@pytest.mark.parametrize("call_id", ["call-2", "call-3", "call-9"])
async def test_what_is_no_active_call_of_the_account(
    control: MemoryControl, dialect: str, method: str, path: str, call_id: str
) -> None:
    body = {"aleg_url": "https://h/"} if path == "Call/{}/" else None

    answer = await send(control, dialect, method, path.format(call_id), body)

    assert (answer.status, answer.json["error"]) == (404, "call not found")


# transcripts


@BOTH
async def test_a_recording_is_transcribed_later(control: MemoryControl, dialect: str) -> None:
    started = await send(control, dialect, "POST", "Call/call-1/Record/")
    path = f"Transcription/{started.json['recording_id']}/"
    body = {"transcription_callback_url": "https://h/t", "recording_id": "x"}

    asked = await send(control, dialect, "POST", path, body)
    unknown = await send(control, dialect, "POST", "Transcription/none/", {})
    wrong = await send(control, dialect, "GET", path + "?type=song")
    none = await send(control, dialect, "GET", path + "?type=raw&transcription_id=x")
    gone = await send(control, dialect, "DELETE", path)

    command = control.seen[1]
    assert isinstance(command, commands.TranscribeRecording)
    assert command.recording_id == started.json["recording_id"]
    assert command.request == TranscriptionRequest(callback_url="https://h/t")
    assert (asked.status, asked.json["message"]) == (201, "transcription in progress")
    assert (unknown.status, unknown.json["error"]) == (404, "recording not found")
    assert (wrong.status, none.status, gone.status) == (400, 404, 404)
    assert none.json["error"] == "transcription not found"


# applications


@BOTH
@pytest.mark.parametrize("key", ["app_name", "name"])
async def test_an_applications_life(control: MemoryControl, dialect: str, key: str) -> None:
    made = await send(
        control, dialect, "POST", "Application/", {key: "Rooms", "answer_url": "https://h/a"}
    )
    path = f"Application/{made.json['app_id']}"
    changed = await send(control, dialect, "POST", f"{path}/", {"answer_method": "GET"})
    one = await send(control, dialect, "GET", path)
    listed = await send(control, dialect, "GET", "Application/?app_name=Rooms")
    paged = await send(control, dialect, "GET", "Application/?page=2&size=1")
    gone = await send(control, dialect, "DELETE", path)

    assert (made.status, changed.status, gone.status) == (201, 202, 204)
    assert (one.json["app_name"], one.json["answer_method"]) == ("Rooms", "GET")
    assert listed.json["meta"]["total_count"] == 1
    assert paged.json["objects"] == []
    assert (await send(control, dialect, "GET", path)).status == 404


@BOTH
@pytest.mark.parametrize("body", [{}, {"app_name": "a"}, {"answer_url": "https://h/"}])
async def test_an_application_needs_name_and_url(
    control: MemoryControl, dialect: str, body: dict[str, str]
) -> None:
    assert (await send(control, dialect, "POST", "Application/", body)).status == 400


# who asks


@BOTH
@pytest.mark.parametrize(
    ("account_id", "token"), [(ACCOUNT_ID, "wrong"), (OTHER_ID, TOKEN), ("", "")]
)
async def test_who_may_not_ask(
    control: MemoryControl, dialect: str, account_id: str, token: str
) -> None:
    headers = headers_of(dialect, account_id, token)

    answer = await send(control, dialect, "POST", "Conference/MyConf/Record/", {}, headers=headers)

    assert answer.status == 401
    assert answer.json["error"]
    assert control.seen == []


@pytest.mark.parametrize(
    ("dialect", "keys"), [("plivo", {"api_id", "error"}), ("vobiz", {"error"})]
)
@pytest.mark.parametrize("name", ["%00", "a%0Ab", "%ff"])
async def test_a_name_that_nothing_can_have(
    control: MemoryControl, dialect: str, keys: set[str], name: str
) -> None:
    answer = await send(control, dialect, "GET", f"Recording/{name}/")

    assert (answer.status, set(answer.json)) == (404, keys)


@pytest.mark.parametrize("name", ["conferences", "calls", "recordings", "applications"])
async def test_lists_are_described_with_their_errors_as_text(name: str) -> None:
    answer = await ask(make_app(MemoryControl()), "GET", "/v1/openapi.json")

    path = f"/v1/Account/{{auth_id}}/{name.title().removesuffix('s')}/"
    responses = answer.json["paths"][path]["get"]["responses"]
    assert set(responses["401"]["content"]) == {"text/plain"}
    assert set(responses["400"]["content"]) == {"application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "Conference/", 405), ("GET", "Nothing/", 404), ("GET", "call/", 404)],
)
async def test_paths_that_there_are_not(
    control: MemoryControl, method: str, path: str, status: int
) -> None:
    answer = await send(control, "plivo", method, path)

    assert answer.status == status
    assert set(answer.json) == {"api_id", "error"}
