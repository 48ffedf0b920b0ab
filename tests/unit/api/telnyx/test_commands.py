"""What each request asks of the control plane: differences in meaning are fields of commands."""

from typing import Any

import pytest
from tests.unit.api import things
from tests.unit.api.telnyx.support import (
    APP_ID,
    CALL_ID,
    CONTROL_ID,
    Obliging,
    application,
    request,
)

from tapeline.domain import command as commands
from tapeline.domain.command import Before, ConferenceRef, Hearing, Legs, Members, Once
from tapeline.domain.conference import ConferenceState, Role
from tapeline.domain.gather import GatherRules
from tapeline.domain.recording import (
    Layout,
    RecordingFormat,
    RecordingOptions,
    RecordingState,
    TranscriptionRequest,
)
from tapeline.domain.sound import Fetched, Given, Keys, SoundUse, Spoken

STATE = "aGVsbG8="
FILE = "http://customer.example/a.mp3"
ROOM = ConferenceRef(account_id=things.ACCOUNT_ID, name="a/b", may_be_id=True)
START = "/conferences/a%2Fb/actions/record_start"
CALL = f"/calls/{CONTROL_ID}/actions"


async def asked(method: str, path: str, body: Any = b"") -> Any:
    control = Obliging()
    answer = await request(control, method, path, body)
    assert answer.status < 300, answer.text
    return control.asked


def once(scope: str, key: str = "cmd-1") -> Once:
    return Once(account_id=things.ACCOUNT_ID, scope=scope, key=key)


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"format": "wav"}, RecordingOptions(format=RecordingFormat.WAV)),
        ({"format": "mp3", "channels": "dual"}, RecordingOptions(layout=Layout.OWN_REST)),
        ({"format": "mp3", "channels": None, "unheard_of": 1}, RecordingOptions()),
        (
            {
                "format": "wav",
                "channels": "single",
                "custom_file_name": "Zoë 1",
                "play_beep": True,
                "trim": "trim-silence",
                "region": "Middle East",
            },
            RecordingOptions(
                format=RecordingFormat.WAV, custom_name="Zoë 1", beep=True, trim_silence=True
            ),
        ),
    ],
)
async def test_a_conferences_recording(body: Any, options: RecordingOptions) -> None:
    command = await asked("POST", START, {**body, "command_id": "cmd-1"})

    assert isinstance(command, commands.StartConferenceRecording)
    assert (command.conference, command.options) == (ROOM, options)
    assert command.once == once("a/b")
    assert command.allows_parallel
    assert command.starter.dialect == "telnyx"


async def test_a_command_without_an_id_may_be_repeated() -> None:
    assert (await asked("POST", START, {"format": "wav"})).once is None
    assert (await asked("POST", START, {"format": "wav", "command_id": ""})).once is None


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (
            {"channels": "dual", "format": "wav", "max_length": 60, "timeout_secs": 5},
            RecordingOptions(
                format=RecordingFormat.WAV,
                layout=Layout.OWN_REST,
                limit_ms=60_000,
                silence_limit_ms=5_000,
                silence_waits_for_speech=True,
            ),
        ),
        (
            {"channels": "dual", "format": "mp3", "recording_track": "inbound"},
            RecordingOptions(layout=Layout.INBOUND, silence_waits_for_speech=True),
        ),
        (
            {"channels": "single", "format": "mp3", "recording_track": "outbound"},
            RecordingOptions(layout=Layout.OUTBOUND, silence_waits_for_speech=True),
        ),
        (
            {"channels": "single", "format": "mp3", "transcription": True},
            RecordingOptions(silence_waits_for_speech=True, transcription=TranscriptionRequest()),
        ),
    ],
)
async def test_a_calls_recording(body: Any, options: RecordingOptions) -> None:
    command = await asked("POST", f"{CALL}/record_start", {**body, "client_state": STATE})

    assert isinstance(command, commands.StartCallRecording)
    assert (command.call_id, command.options) == (CALL_ID, options)
    assert command.starter.extras == command.call_extras == {"client_state": STATE}


@pytest.mark.parametrize(
    ("path", "body", "kind", "fields"),
    [
        (
            "/conferences/a%2Fb/actions/record_stop",
            {"client_state": STATE, "recording_id": "rec-1"},
            commands.StopConferenceRecording,
            {"conference": ROOM, "recording_id": "rec-1", "extras": {"client_state": STATE}},
        ),
        (
            "/conferences/a%2Fb/actions/record_pause",
            {},
            commands.PauseConferenceRecording,
            {"conference": ROOM, "recording_id": None, "resumes": False, "dialect": "telnyx"},
        ),
        (
            "/conferences/a%2Fb/actions/record_resume",
            {},
            commands.PauseConferenceRecording,
            {"resumes": True},
        ),
        (f"{CALL}/record_stop", {}, commands.StopCallRecording, {"is_idempotent": False}),
        (f"{CALL}/record_pause", {}, commands.PauseCallRecording, {"resumes": False}),
        (f"{CALL}/record_resume", {}, commands.PauseCallRecording, {"resumes": True}),
        (
            "/conferences",
            {"call_control_id": CONTROL_ID, "name": "Standup", "client_state": STATE},
            commands.CreateConference,
            {
                "call_id": CALL_ID,
                "name": "Standup",
                "max_participants": 250,
                "duration_limit_ms": 14_400_000,
                "starts_on_create": True,
                "extras": {"client_state": STATE},
            },
        ),
        (
            "/conferences",
            {
                "call_control_id": CALL_ID,
                "name": "Standup",
                "duration_minutes": 5,
                "max_participants": 2,
                "start_conference_on_create": False,
                "region": "US",
                "command_id": "cmd-1",
            },
            commands.CreateConference,
            {
                "duration_limit_ms": 300_000,
                "max_participants": 2,
                "starts_on_create": False,
                "extras": {"region": "US"},
                "once": once(CALL_ID),
            },
        ),
        (
            "/conferences/a%2Fb/actions/join",
            {
                "call_control_id": CONTROL_ID,
                "mute": True,
                "hold": True,
                "end_conference_on_exit": True,
                "start_conference_on_enter": True,
                "client_state": STATE,
            },
            commands.JoinCall,
            {
                "conference": ROOM,
                "call_id": CALL_ID,
                "muted": True,
                "on_hold": True,
                "end_on_exit": True,
                "hangs_up_on_exit": True,
                "starts_conference": True,
                "extras": {"client_state": STATE},
            },
        ),
        (
            "/conferences/a%2Fb/actions/join",
            {"call_control_id": CONTROL_ID, "supervisor_role": "monitor"},
            commands.JoinCall,
            {
                "muted": False,
                "on_hold": False,
                "role": Role.MONITOR,
                "end_on_exit": False,
                "extras": {},
            },
        ),
        (
            "/conferences/a%2Fb/actions/join",
            {"call_control_id": CONTROL_ID, "soft_end_conference_on_exit": True},
            commands.JoinCall,
            {"end_on_exit": True, "hangs_up_on_exit": False},
        ),
        (
            "/conferences/a%2Fb/actions/leave",
            {"call_control_id": CONTROL_ID},
            commands.LeaveCall,
            {"conference": ROOM, "call_id": CALL_ID},
        ),
        (
            "/conferences/a%2Fb/actions/hold",
            {"call_control_ids": [CONTROL_ID]},
            commands.SetParticipants,
            {
                "on_hold": True,
                "muted": None,
                "hold_sound": None,
                "members": Members(call_ids=(CALL_ID,)),
            },
        ),
        (
            "/conferences/a%2Fb/actions/hold",
            {"audio_url": FILE},
            commands.SetParticipants,
            {"on_hold": True, "hold_sound": Fetched(FILE), "members": Members()},
        ),
        (
            "/conferences/a%2Fb/actions/unhold",
            {"call_control_ids": []},
            commands.SetParticipants,
            {"on_hold": False, "members": Members()},
        ),
        (
            "/conferences/a%2Fb/actions/mute",
            {},
            commands.SetParticipants,
            {"muted": True, "on_hold": None, "members": Members()},
        ),
        (
            "/conferences/a%2Fb/actions/unmute",
            {},
            commands.SetParticipants,
            {"muted": False},
        ),
        (
            "/conferences/a%2Fb/actions/update",
            {"call_control_id": CONTROL_ID, "supervisor_role": "monitor"},
            commands.SetParticipants,
            {"muted": None, "role": Role.MONITOR, "members": Members(call_ids=(CALL_ID,))},
        ),
        (
            "/conferences/a%2Fb/actions/update",
            {
                "call_control_id": CALL_ID,
                "supervisor_role": "whisper",
                "whisper_call_control_ids": [CONTROL_ID],
            },
            commands.SetParticipants,
            {"role": Role.WHISPER, "whispers_to": (CALL_ID,)},
        ),
        (
            f"{CALL}/playback_start",
            {
                "audio_url": FILE,
                "loop": "infinity",
                "stop": "current",
                "target_legs": "both",
                "command_id": "cmd-1",
                "client_state": STATE,
            },
            commands.PlayToCall,
            {
                "call_id": CALL_ID,
                "once": once(CALL_ID),
                "legs": Legs.BOTH,
                "hearing": Hearing(
                    sounds=(Fetched(FILE),),
                    use=SoundUse.FILE,
                    loops=0,
                    before=Before.CURRENT_STOPS,
                    is_told=True,
                ),
                "extras": {"client_state": STATE},
            },
        ),
        (
            f"{CALL}/playback_start",
            {"playback_content": "UklGRg=="},
            commands.PlayToCall,
            {
                "hearing": Hearing(sounds=(Given(b"RIFF"),), use=SoundUse.FILE, is_told=True),
                "legs": Legs.OWN,
            },
        ),
        (
            f"{CALL}/playback_stop",
            {"stop": "current"},
            commands.StopPlayingToCall,
            {
                "call_id": CALL_ID,
                "only_current": True,
                "uses": frozenset({SoundUse.FILE, SoundUse.SPEECH}),
            },
        ),
        (
            f"{CALL}/speak",
            {
                "payload": "<speak>Good <emphasis>morning</emphasis></speak>",
                "payload_type": "ssml",
                "voice": "female",
                "language": "en-GB",
                "loop": 2,
            },
            commands.PlayToCall,
            {
                "hearing": Hearing(
                    sounds=(Spoken(text="Good morning", voice="female", language="en-GB"),),
                    use=SoundUse.SPEECH,
                    loops=2,
                    is_told=True,
                )
            },
        ),
        (
            "/conferences/a%2Fb/actions/play",
            {"audio_url": FILE, "loop": 3},
            commands.PlayToConference,
            {
                "conference": ROOM,
                "members": Members(),
                "hearing": Hearing(
                    sounds=(Fetched(FILE),), use=SoundUse.FILE, loops=3, is_told=True
                ),
            },
        ),
        (
            "/conferences/a%2Fb/actions/speak",
            {"payload": "Hi", "voice": "male", "command_id": "cmd-1"},
            commands.PlayToConference,
            {
                "once": once("a/b"),
                "hearing": Hearing(
                    sounds=(Spoken(text="Hi", voice="male"),), use=SoundUse.SPEECH, is_told=True
                ),
            },
        ),
        (
            "/conferences/a%2Fb/actions/stop",
            {"call_control_ids": [CONTROL_ID]},
            commands.StopPlayingToConference,
            {"conference": ROOM, "members": Members(call_ids=(CALL_ID,))},
        ),
        (
            "/conferences/a%2Fb/actions/end",
            {"command_id": "cmd-1"},
            commands.EndConference,
            {"conference": ROOM, "hang_up": True, "once": once("a/b")},
        ),
        (
            f"{CALL}/gather",
            {
                "minimum_digits": 2,
                "maximum_digits": 4,
                "terminating_digit": "",
                "valid_digits": "12",
            },
            commands.GatherDigits,
            {
                "rules": GatherRules(minimum=2, maximum=4, finish_keys="", valid_digits="12"),
                "prompt": None,
            },
        ),
        (
            f"{CALL}/gather_using_audio",
            {"audio_url": FILE, "invalid_audio_url": "http://h/no.mp3", "maximum_digits": 4},
            commands.GatherDigits,
            {
                "rules": GatherRules(maximum=4, first_digit_ms=60_000, total_ms=80_000, tries=3),
                "prompt": Hearing(sounds=(Fetched(FILE),), use=SoundUse.FILE),
                "invalid_prompt": Hearing(sounds=(Fetched("http://h/no.mp3"),), use=SoundUse.FILE),
            },
        ),
        (
            f"{CALL}/gather_using_speak",
            {"payload": "Press 1", "voice": "female", "maximum_tries": 1, "command_id": "cmd-1"},
            commands.GatherDigits,
            {
                "once": once(CALL_ID),
                "prompt": Hearing(
                    sounds=(Spoken(text="Press 1", voice="female"),), use=SoundUse.SPEECH
                ),
            },
        ),
        (f"{CALL}/gather_stop", {}, commands.StopGathering, {"call_id": CALL_ID}),
        (
            f"{CALL}/send_dtmf",
            {"digits": "1w2#", "duration_millis": 300},
            commands.SendDigits,
            {"call_id": CALL_ID, "keys": Keys(digits="1w2#", tone_ms=300)},
        ),
        (
            "/conferences/a%2Fb/actions/send_dtmf",
            {"digits": "5", "call_control_ids": [CONTROL_ID]},
            commands.SendDigitsToConference,
            {"members": Members(call_ids=(CALL_ID,)), "keys": Keys(digits="5", tone_ms=250)},
        ),
        (
            f"{CALL}/bridge",
            {"call_control_id": CONTROL_ID, "park_after_unbridge": "self", "client_state": STATE},
            commands.BridgeCalls,
            {"other_id": CALL_ID, "parks": True, "extras": {"client_state": STATE}},
        ),
        (
            f"{CALL}/transfer",
            {
                "to": "sip:bob@h",
                "from": "+15550100",
                "timeout_secs": 10,
                "target_leg_client_state": STATE,
                "custom_headers": [{"name": "X-A", "value": "1"}],
            },
            commands.TransferToAddress,
            {
                "target": "sip:bob@h",
                "caller": "+15550100",
                "ring_limit_ms": 10_000,
                "headers": {"X-A": "1"},
                "target_extras": {"client_state": STATE},
            },
        ),
        (
            f"{CALL}/switch_supervisor_role",
            {"role": "barge"},
            commands.SetCallRole,
            {"call_id": CALL_ID, "role": Role.BARGE},
        ),
        (f"{CALL}/hangup", {"client_state": STATE}, commands.HangUpCall, {"call_id": CALL_ID}),
        (f"{CALL}/reject", {"cause": "USER_BUSY"}, commands.RejectCall, {"sip_status": 486}),
        (f"{CALL}/reject", {"cause": "CALL_REJECTED"}, commands.RejectCall, {"sip_status": 603}),
        (
            f"{CALL}/answer",
            {
                "client_state": STATE,
                "webhook_url": "https://h/a",
                "webhook_urls": {"call.hangup": ["https://h/b"]},
                "webhook_retries_policies": {"call.hangup": {"retries_ms": [5, 6]}},
            },
            commands.AnswerCall,
            {
                "record": None,
                "extras": {
                    "client_state": STATE,
                    "webhook_url": "https://h/a",
                    "webhook_urls": '{"call.hangup": ["https://h/b"]}',
                    "webhook_retries_policies": '{"call.hangup": [5, 6]}',
                },
            },
        ),
        (
            "/recordings/actions/delete",
            {"ids": ["a", "b"]},
            commands.DeleteRecordings,
            {"recording_ids": ("a", "b")},
        ),
    ],
)
async def test_commands(path: str, body: Any, kind: type, fields: dict[str, Any]) -> None:
    command = await asked("POST", path, body)

    assert type(command) is kind
    assert {name: getattr(command, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("path", "body", "kind", "outcome", "data"),
    [
        (START, {"format": "wav"}, commands.StartConferenceRecording, ("rec-1",), {"result": "ok"}),
        (
            "/conferences",
            {"call_control_id": "x", "name": "x"},
            commands.CreateConference,
            commands.Done(),
            {"result": "ok"},
        ),
        (f"{CALL}/answer", {}, commands.AnswerCall, None, {"result": "ok"}),
    ],
)
async def test_a_key_that_another_command_had_gets_that_ones_answer(
    path: str, body: Any, kind: type, outcome: Any, data: Any
) -> None:
    control = Obliging()
    control.outcomes[kind] = outcome

    answer = await request(control, "POST", path, body)

    assert (answer.status, answer.json) == (200, {"data": data})


async def test_the_state_of_a_call_is_replaced() -> None:
    command = await asked("PUT", f"{CALL}/client_state_update", {"client_state": STATE})

    assert isinstance(command, commands.UpdateCall)
    assert command.extras == {"client_state": STATE}


async def test_dialling() -> None:
    body = {
        "connection_id": APP_ID,
        "from": "+15550001",
        "to": ["sip:bob@127.0.0.1:5070"],
        "from_display_name": "Ada",
        "timeout_secs": 20,
        "time_limit_secs": 60,
        "command_id": "cmd-1",
        "custom_headers": [{"name": "X-Team", "value": "blue"}],
        "record": "record-from-answer",
        "record_max_length": 30,
        "conference_config": {
            "conference_name": "Sales",
            "mute": True,
            "soft_end_conference_on_exit": True,
            "start_conference_on_create": False,
        },
    }

    command = await asked("POST", "/calls", body)

    assert isinstance(command, commands.CreateCall)
    assert (command.application_id, command.target) == (APP_ID, "sip:bob@127.0.0.1:5070")
    assert (command.caller, command.caller_name) == ("+15550001", "Ada")
    assert (command.ring_limit_ms, command.time_limit_ms) == (20_000, 60_000)
    assert command.headers == {"X-Team": "blue"}
    assert command.once == once("dial")
    assert command.record is not None
    assert command.record.options == RecordingOptions(
        layout=Layout.OWN_REST, limit_ms=30_000, silence_waits_for_speech=True
    )
    assert command.record.starter.extras == {"initiated_by": "OutboundAPI"}
    assert command.joins == commands.JoinOnAnswer(
        conference="Sales", muted=True, end_on_exit=True, starts_on_create=False
    )


async def test_dialling_has_the_documented_defaults() -> None:
    body = {"connection_id": APP_ID, "from": "x", "to": "sip:bob@h", "media_name": None}

    command = await asked("POST", "/calls", body)

    assert (command.ring_limit_ms, command.time_limit_ms) == (30_000, 14_400_000)
    assert (command.record, command.extras, command.once) == (None, {}, None)


async def test_recordings_are_filtered_both_ends_included() -> None:
    query = (
        "filter%5Bconference_id%5D=conf-1&filter[from]=ada&filter[connection_id]=7"
        f"&filter[call_leg_id]={CALL_ID}&filter[call_control_id]={CONTROL_ID}"
        "&filter%5Bcreated_at%5D%5Bgte%5D=2025-11-21T04:40:00.5Z"
        "&filter[start_time][lte]=2025-11-21T05:40:00%2B01:00&filter[end_time][lte]=2025-11-22"
        "&page[number]=3&page[size]=10"
    )

    command = await asked("GET", f"/recordings?{query}")

    assert (command.limit, command.offset) == (10, 20)
    assert command.filter == commands.RecordingFilter(
        state=RecordingState.COMPLETED,
        call_id=CALL_ID,
        application_id="7",
        conference_id="conf-1",
        caller="ada",
        from_ms=things.NOW_MS + 500,
        to_ms=things.NOW_MS + 1,
        ended_to_ms=1_763_769_600_001,
    )


@pytest.mark.parametrize(
    "query",
    [
        "filter[call_leg_id]=a&filter[call_control_id]=b",
        "filter[call_control_id]=v3:***",
        "filter[sip_call_id]=x@y",
    ],
)
async def test_filters_that_nothing_can_meet_find_nothing(query: str) -> None:
    assert (await asked("GET", f"/recordings?{query}")).filter.call_id == "-"


@pytest.mark.parametrize(
    ("query", "number", "size"),
    [
        ("", 1, 20),
        ("page[number]=0&page[size]=0", 1, 1),
        ("page[number]=-1&page[size]=251", 1, 250),
        ("page%5Bnumber%5D=2&page%5Bsize%5D=" + "9" * 5_000, 2, 250),
        ("page[number]=x&page[size]=²", 1, 20),
    ],
)
async def test_pages_are_clamped(query: str, number: int, size: int) -> None:
    answer = await request(Obliging(), "GET", f"/recordings?{query}")

    meta = answer.json["meta"]
    assert (meta["page_number"], meta["page_size"]) == (number, size)
    assert (meta["total_results"], meta["total_pages"]) == (1, 1)


@pytest.mark.parametrize(
    ("query", "name", "state"),
    [
        ("", None, None),
        ("filter[name]=Standup&filter[status]=init", "Standup", ConferenceState.INIT),
        ("filter[application_name][contains]=x&filter[type]=y", None, None),
    ],
)
async def test_conferences_are_filtered(
    query: str, name: str | None, state: ConferenceState | None
) -> None:
    command = await asked("GET", f"/conferences?{query}")

    assert (command.name, command.state, command.only_live) == (name, state, False)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("filter[muted]=true", 1),
        ("filter[muted]=false", 0),
        ("filter[on_hold]=true", 0),
        ("filter[whispering]=false&filter[muted]=true", 1),
    ],
)
async def test_participants_are_filtered(query: str, count: int) -> None:
    answer = await request(Obliging(), "GET", f"/conferences/c/participants?{query}")

    assert (len(answer.json["data"]), answer.json["meta"]["total_results"]) == (count, count)


async def test_a_participant_is_found_by_its_id_only() -> None:
    found = await request(Obliging(), "GET", "/conferences/c/participants/10")
    other = await request(Obliging(), "GET", "/conferences/c/participants/11")

    assert (found.status, found.json["data"]["conference_id"]) == (200, "conf-1")
    assert other.status == 404


# applications


async def test_an_application_is_made() -> None:
    body = {
        "application_name": "Rooms",
        "webhook_event_url": "https://cust.example/hook",
        "webhook_event_failover_url": "",
        "webhook_timeout_secs": 5,
        "inbound": {"channel_limit": 3, "sip_subdomain": None},
        "active": None,
    }

    command = await asked("POST", "/call_control_applications", body)

    assert (command.dialect, command.name) == ("telnyx", "Rooms")
    assert (command.answer_url, command.fallback_url) == ("https://cust.example/hook", None)
    assert command.extras == {"webhook_timeout_secs": "5", "inbound": '{"channel_limit": 3}'}


async def test_what_is_not_given_of_an_application_stays() -> None:
    path = f"/call_control_applications/{APP_ID}"

    command = await asked("PATCH", path, {"webhook_event_failover_url": "", "active": False})

    assert (command.application_id, command.dialect) == (APP_ID, "telnyx")
    assert (command.name, command.answer_url, command.fallback_url) == (None, None, "")
    assert command.extras == {"active": "false"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["b", "A"]),
        ("sort=connection_name", ["A", "b"]),
        ("sort=-created_at", ["A", "b"]),
        ("filter[application_name][contains]=a", ["A"]),
    ],
)
async def test_applications_are_sorted_and_found_by_name(query: str, names: list[str]) -> None:
    control = Obliging()
    control.outcomes[commands.ListApplications] = (
        application(name="A", created_at_ms=2),
        application(name="b", created_at_ms=1),
        application(name="other", dialect="vobiz"),
    )

    answer = await request(control, "GET", f"/call_control_applications?{query}")

    assert [each["application_name"] for each in answer.json["data"]] == names


@pytest.mark.parametrize(
    ("body", "ends", "hard"),
    [
        ({"end_conference_on_exit": True}, True, True),
        ({"soft_end_conference_on_exit": True}, True, False),
        ({"end_conference_on_exit": False}, False, False),
        ({"beep_enabled": "never"}, None, None),
    ],
)
async def test_a_participants_exit(body: Any, *, ends: bool | None, hard: bool | None) -> None:
    command = await asked("PATCH", "/conferences/a%2Fb/participants/7", body)

    assert isinstance(command, commands.SetParticipants)
    assert (command.members.member_ids, command.conference) == (("7",), ROOM)
    assert (command.end_on_exit, command.hangs_up_on_exit) == (ends, hard)
