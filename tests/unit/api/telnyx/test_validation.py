"""What is wrong with a request is said with its code and pointer, and nothing is done."""

from typing import Any

import pytest
from tests.unit.api.asgi import ask
from tests.unit.api.telnyx.support import (
    APP_ID,
    CALL_ID,
    CONTROL_ID,
    KEY,
    Obliging,
    app_of,
    fault_of,
    request,
)

from tapeline.domain import command as commands
from tapeline.domain import error as errors

START = "/conferences/MyConf/actions/record_start"
CALL = f"/calls/{CONTROL_ID}/actions"
DIAL = {"connection_id": APP_ID, "from": "+15550001", "to": "sip:bob@127.0.0.1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "pointer"),
    [
        ("POST", START, {}, 422, "10004", "/format"),
        ("POST", START, {"format": ""}, 422, "10004", "/format"),
        ("POST", START, {"format": None}, 422, "10004", "/format"),
        ("POST", START, {"format": "ogg"}, 422, "10032", "/format"),
        ("POST", START, {"format": "wav", "channels": "stereo"}, 422, "10032", "/channels"),
        ("POST", START, {"format": "wav", "trim": "x"}, 422, "10032", "/trim"),
        ("POST", START, {"format": "wav", "region": "Asia"}, 422, "10032", "/region"),
        ("POST", START, {"format": "wav", "play_beep": "yes"}, 422, "10015", "/play_beep"),
        (
            "POST",
            START,
            {"format": "wav", "custom_file_name": ""},
            422,
            "10033",
            "/custom_file_name",
        ),
        (
            "POST",
            START,
            {"format": "wav", "custom_file_name": "x" * 41},
            422,
            "10033",
            "/custom_file_name",
        ),
        (
            "POST",
            START,
            {"format": "wav", "custom_file_name": "../x"},
            422,
            "10015",
            "/custom_file_name",
        ),
        ("POST", START, {"format": "wav", "command_id": 5}, 422, "10015", "/command_id"),
        (
            "POST",
            "/conferences/MyConf/actions/record_stop",
            {"client_state": "no base64!"},
            422,
            "10015",
            "/client_state",
        ),
        ("POST", "/conferences", {"name": "x"}, 422, "10004", "/call_control_id"),
        ("POST", "/conferences", {"call_control_id": "x", "name": " "}, 422, "10004", "/name"),
        (
            "POST",
            "/conferences",
            {"call_control_id": "x", "name": "x", "max_participants": 801},
            422,
            "10033",
            "/max_participants",
        ),
        (
            "POST",
            "/conferences",
            {"call_control_id": "x", "name": "x", "max_participants": True},
            422,
            "10015",
            "/max_participants",
        ),
        (
            "POST",
            "/conferences",
            {"call_control_id": "v3:***", "name": "x"},
            422,
            "90015",
            "/call_control_id",
        ),
        (
            "POST",
            "/conferences",
            {
                "call_control_id": "x",
                "name": "x",
                "hold_audio_url": "https://h/a",
                "hold_media_name": "a",
            },
            422,
            "10015",
            "/hold_media_name",
        ),
        ("POST", "/conferences/c/actions/unhold", {}, 422, "10004", "/call_control_ids"),
        (
            "POST",
            "/conferences/c/actions/mute",
            {"call_control_ids": ["x", 5]},
            422,
            "10015",
            "/call_control_ids/1",
        ),
        (
            "POST",
            "/conferences/c/actions/hold",
            {"audio_url": "ftp://x"},
            422,
            "10003",
            "/audio_url",
        ),
        (
            "POST",
            "/conferences/c/actions/update",
            {"call_control_id": "x", "supervisor_role": "whisper"},
            422,
            "10004",
            "/whisper_call_control_ids",
        ),
        ("POST", f"{CALL}/playback_start", {}, 422, "10004", "/audio_url"),
        ("POST", f"{CALL}/playback_start", {"audio_url": "x"}, 422, "10003", "/audio_url"),
        ("POST", f"{CALL}/playback_start", {"media_name": "x"}, 404, "10005", None),
        (
            "POST",
            f"{CALL}/playback_start",
            {"audio_url": "http://h/a.mp3", "media_name": "x"},
            422,
            "10015",
            "/media_name",
        ),
        (
            "POST",
            f"{CALL}/playback_start",
            {"audio_url": "http://h/a.mp3", "loop": 101},
            422,
            "10033",
            "/loop",
        ),
        (
            "POST",
            f"{CALL}/playback_start",
            {"audio_url": "http://h/a.mp3", "overlay": True},
            422,
            "90033",
            "/overlay",
        ),
        (
            "POST",
            f"{CALL}/playback_start",
            {"audio_url": "http://h/a.mp3", "stop": "some"},
            422,
            "10032",
            "/stop",
        ),
        ("POST", f"{CALL}/speak", {"payload": "Hi"}, 422, "10004", "/voice"),
        ("POST", f"{CALL}/speak", {"payload": " ", "voice": "v"}, 422, "10004", "/payload"),
        ("POST", f"{CALL}/speak", {"payload": "x" * 3_001, "voice": "v"}, 422, "10033", "/payload"),
        (
            "POST",
            f"{CALL}/speak",
            {"payload": "<speak>Hi", "voice": "v", "payload_type": "ssml"},
            422,
            "10015",
            "/payload",
        ),
        (
            "POST",
            "/conferences/c/actions/play",
            {"audio_url": "http://h/a.mp3", "region": "Asia"},
            422,
            "10032",
            "/region",
        ),
        (
            "POST",
            "/conferences/c/actions/join",
            {"call_control_id": "x", "supervisor_role": "boss"},
            422,
            "10032",
            "/supervisor_role",
        ),
        ("POST", f"{CALL}/record_start", {"format": "wav"}, 422, "10004", "/channels"),
        ("POST", f"{CALL}/record_start", {"channels": "dual"}, 422, "10004", "/format"),
        (
            "POST",
            f"{CALL}/record_start",
            {"channels": "dual", "format": "wav", "max_length": 14_401},
            422,
            "10033",
            "/max_length",
        ),
        ("POST", f"{CALL}/reject", {}, 422, "10004", "/cause"),
        ("POST", f"{CALL}/reject", {"cause": "BORED"}, 422, "10032", "/cause"),
        ("PUT", f"{CALL}/client_state_update", {}, 422, "10004", "/client_state"),
        ("POST", f"{CALL}/answer", {"webhook_url": "nowhere"}, 422, "10003", "/webhook_url"),
        (
            "POST",
            f"{CALL}/answer",
            {"webhook_url_method": "GET"},
            422,
            "90033",
            "/webhook_url_method",
        ),
        (
            "POST",
            f"{CALL}/answer",
            {"webhook_retries_policies": {"call.hangup": {"retries_ms": [1] * 6}}},
            422,
            "10015",
            None,
        ),
        ("POST", f"{CALL}/answer", {"record": "always"}, 422, "10032", "/record"),
        ("POST", "/calls/v3:***/actions/hangup", {}, 422, "90015", "/call_control_id"),
        ("POST", "/calls", {**DIAL, "to": ""}, 422, "10004", "/to"),
        ("POST", "/calls", {**DIAL, "to": "bob"}, 422, "10016", "/to"),
        ("POST", "/calls", {**DIAL, "to": ["sip:a@b", "sip:b@b"]}, 422, "10015", "/to"),
        ("POST", "/calls", {**DIAL, "media_encryption": "SRTP"}, 422, "10011", "/media_encryption"),
        ("POST", "/calls", {**DIAL, "timeout_secs": 4}, 422, "10033", "/timeout_secs"),
        (
            "POST",
            "/calls",
            {**DIAL, "conference_config": {}},
            422,
            "10004",
            "/conference_config/conference_name",
        ),
        (
            "POST",
            "/calls",
            {**DIAL, "conference_config": {"id": "a", "conference_name": "b"}},
            422,
            "10015",
            "/conference_name",
        ),
        (
            "POST",
            "/calls",
            {**DIAL, "conference_config": {"id": "a", "supervisor_role": "boss"}},
            422,
            "10032",
            "/conference_config/supervisor_role",
        ),
        (
            "POST",
            "/calls",
            {**DIAL, "custom_headers": [{"name": "X-A", "value": "1\r\n2"}]},
            422,
            "10015",
            "/custom_headers/0",
        ),
        (
            "POST",
            "/call_control_applications",
            {"application_name": "x"},
            422,
            "10004",
            "/webhook_event_url",
        ),
        (
            "POST",
            "/call_control_applications",
            {
                "application_name": "x",
                "webhook_event_url": "https://h/x",
                "webhook_timeout_secs": 31,
            },
            422,
            "10033",
            "/webhook_timeout_secs",
        ),
        ("POST", "/recordings/actions/delete", {}, 422, "10004", "/ids"),
        ("GET", "/conferences?filter[status]=old", b"", 422, "10032", "filter[status]"),
        (
            "GET",
            "/conferences/c/participants?filter[muted]=yes",
            b"",
            422,
            "10032",
            "filter[muted]",
        ),
        ("GET", "/conferences/c?region=Asia", b"", 422, "10032", "region"),
        (
            "GET",
            "/recordings?filter[created_at][gte]=soon",
            b"",
            422,
            "10015",
            "filter[created_at][gte]",
        ),
        ("GET", "/call_control_applications?sort=size", b"", 422, "10032", "sort"),
    ],
)
async def test_what_is_wrong_is_pointed_at(
    method: str, path: str, body: Any, status: int, code: str, pointer: str | None
) -> None:
    control = Obliging()

    answer = await request(control, method, path, body)

    found = fault_of(answer)
    assert found[:2] == (status, code)
    assert pointer is None or found[2] == pointer
    assert control.seen == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"format=wav", b'"x"', b"\xff", b'{"a": NaN}'])
async def test_what_is_no_json_object_is_400(body: bytes) -> None:
    control = Obliging()

    answer = await request(control, "POST", START, body)

    assert fault_of(answer)[:2] == (400, "10023")
    assert control.seen == []


async def test_the_texts_are_the_documents_own() -> None:
    control = Obliging()

    missing = await request(control, "POST", START, {})
    chosen = await request(control, "POST", START, {"format": "wav", "channels": "x"})

    assert missing.json["errors"][0]["detail"] == (
        "The 'format' parameter is required and cannot be blank."
    )
    assert chosen.json["errors"][0]["detail"] == "The value must be one of: dual, single."


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
    ],
)
@pytest.mark.parametrize("path", [START, "/nowhere", "/conferences"])
async def test_who_does_not_prove_who_it_is(headers: dict[str, str], path: str) -> None:
    control = Obliging()

    answer = await ask(app_of(control), "POST", f"/v2{path}", headers=headers, body=b"{}")

    if path == "/nowhere" and headers.get("Authorization", "").startswith("Bearer"):
        assert fault_of(answer)[:2] == (404, "10007")
    else:
        assert fault_of(answer) == (401, "10009", None)
    assert control.seen == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/calls/{CALL_ID}/actions/refer"),
        ("POST", "/conferences/c/actions/dance"),
        ("GET", "/nowhere"),
        ("DELETE", "/conferences/c"),
    ],
)
async def test_what_is_not_there_is_404(method: str, path: str) -> None:
    answer = await request(Obliging(), method, path)

    assert fault_of(answer) == (404, "10007", None)


@pytest.mark.parametrize(
    ("kind", "error", "method", "path", "body", "expected"),
    [
        (
            commands.StartConferenceRecording,
            errors.ConferenceNotFound("x"),
            "POST",
            START,
            {"format": "wav"},
            (404, "90058", None),
        ),
        (
            commands.StartConferenceRecording,
            errors.ConferenceHasEnded("x"),
            "POST",
            START,
            {"format": "wav"},
            (422, "90019", None),
        ),
        (
            commands.StartConferenceRecording,
            errors.TooManyRecordings("x", 32),
            "POST",
            START,
            {"format": "wav"},
            (422, "90033", None),
        ),
        (
            commands.StartConferenceRecording,
            errors.DiskFull("the disk is full"),
            "POST",
            START,
            {"format": "wav"},
            (422, "90033", None),
        ),
        (
            commands.StopConferenceRecording,
            errors.NotRecording("conference"),
            "POST",
            "/conferences/c/actions/record_stop",
            {},
            (422, "90033", None),
        ),
        (
            commands.PauseConferenceRecording,
            errors.RecordingNotFound("r"),
            "POST",
            "/conferences/c/actions/record_pause",
            {},
            (404, "10005", "/recording_id"),
        ),
        (
            commands.CreateConference,
            errors.AlreadyExists("conference 'x'"),
            "POST",
            "/conferences",
            {"call_control_id": "x", "name": "x"},
            (422, "90033", None),
        ),
        (
            commands.CreateConference,
            errors.CallNotAnswered("x"),
            "POST",
            "/conferences",
            {"call_control_id": "x", "name": "x"},
            (422, "90034", None),
        ),
        (
            commands.JoinCall,
            errors.ConferenceFull("x", 2),
            "POST",
            "/conferences/c/actions/join",
            {"call_control_id": "x"},
            (422, "90032", None),
        ),
        (
            commands.JoinCall,
            errors.AlreadyInConference("x"),
            "POST",
            "/conferences/c/actions/join",
            {"call_control_id": "x"},
            (422, "90044", None),
        ),
        (
            commands.SetParticipants,
            errors.ParticipantNotFound("x"),
            "POST",
            "/conferences/c/actions/mute",
            {"call_control_ids": ["x"]},
            (422, "90015", "/call_control_ids"),
        ),
        (
            commands.HangUpCall,
            errors.CallHasEnded("x"),
            "POST",
            f"{CALL}/hangup",
            {},
            (422, "90018", None),
        ),
        (
            commands.HangUpCall,
            errors.CallNotFound("x"),
            "POST",
            f"{CALL}/hangup",
            {},
            (422, "90015", "/call_control_id"),
        ),
        (
            commands.GetCall,
            errors.CallNotFound("x"),
            "GET",
            f"/calls/{CALL_ID}",
            b"",
            (404, "10007", None),
        ),
        (
            commands.CreateCall,
            errors.ApplicationNotFound("x"),
            "POST",
            "/calls",
            DIAL,
            (422, "10015", "/connection_id"),
        ),
        (
            commands.GetApplication,
            errors.ApplicationNotFound("x"),
            "GET",
            "/call_control_applications/x",
            b"",
            (404, "10007", None),
        ),
        (
            commands.GetRecording,
            errors.RecordingNotFound("x"),
            "GET",
            "/recordings/x",
            b"",
            (404, "10005", "/recording_id"),
        ),
        (
            commands.ListRecordings,
            errors.StoreFailed("locked"),
            "GET",
            "/recordings",
            b"",
            (503, "10000", None),
        ),
        (
            commands.CreateCall,
            errors.EngineFailed("dial", "no socket"),
            "POST",
            "/calls",
            DIAL,
            (422, "90033", None),
        ),
    ],
)
async def test_each_conflict_has_its_code(
    kind: type, error: errors.TapelineError, method: str, path: str, body: Any, expected: Any
) -> None:
    control = Obliging()
    control.outcomes[kind] = error

    answer = await request(control, method, path, body)

    assert fault_of(answer) == expected
