"""`telnyx` 4.189.0, unmodified: calls dialled, answered, recorded and ended by commands; their
recordings and webhooks afterwards.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import telnyx
from tests.sdk.telnyx_desk import Desk, open_desk

from tapeline.testing import CallRejected, Silence, Tone, find_tone, tone_level
from tapeline.testing.words import plain_words, say

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATE, LATER_STATE = "Zmlyc3Q=", "c2Vjb25k"
LEVEL = -20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path_factory.mktemp("node")) as opened:
        yield opened


async def test_a_call_comes_in_and_is_answered(desk: Desk) -> None:
    dialled, initiated = await desk.ring("desk-hello", caller="ada")
    call_control_id = initiated["payload"]["call_control_id"]
    await dialled.ringing()
    await desk.ask(desk.client.calls.actions.answer, call_control_id, client_state=STATE)
    call = await dialled.answered()
    answered = await desk.event("call.answered", lambda p: p["call_control_id"] == call_control_id)
    status = (await desk.ask(desk.client.calls.retrieve_status, call_control_id)).data
    active = await desk.ask(desk.client.connections.list_active_calls, desk.connection_id)
    await desk.ask(
        desk.client.calls.actions.update_client_state, call_control_id, client_state=LATER_STATE
    )
    call.send_digits("5")
    digit = await desk.event("call.dtmf.received", lambda p: p["digit"] == "5")
    await desk.ask(desk.client.calls.actions.hangup, call_control_id)
    await call.ended(5)
    ended = await desk.event("call.hangup", lambda p: p["call_control_id"] == call_control_id)
    after = (await desk.ask(desk.client.calls.retrieve_status, call_control_id)).data

    payload = initiated["payload"]
    assert (payload["direction"], payload["state"]) == ("incoming", "parked")
    assert (payload["from"], payload["to"]) == ("ada", "desk-hello")
    assert payload["client_state"] is None
    assert answered["payload"]["client_state"] == STATE
    assert (status.is_alive, status.client_state) == (True, STATE)
    assert call_control_id in [each.call_control_id for each in active.data]
    assert digit["payload"]["client_state"] == LATER_STATE
    assert ended["payload"]["client_state"] == LATER_STATE
    assert ended["payload"]["hangup_cause"] == "normal_clearing"
    assert not after.is_alive
    assert (await desk.fault_of(desk.client.calls.actions.hangup, call_control_id))[0] == "90018"


@pytest.mark.parametrize(
    ("cause", "status", "word"),
    [
        ("USER_BUSY", 486, "user_busy"),
        ("CALL_REJECTED", 603, "call_rejected"),
        ("NOT_FOUND", 404, "not_found"),
        ("TEMPORARILY_UNAVAILABLE", 480, "no_answer"),
    ],
)
async def test_a_call_is_rejected(desk: Desk, cause: Any, status: int, word: str) -> None:
    caller = cause.lower().replace("_", "-")
    dialled, initiated = await desk.ring("desk-no", caller=caller)
    call_control_id = initiated["payload"]["call_control_id"]

    await desk.ask(desk.client.calls.actions.reject, call_control_id, cause=cause)

    with pytest.raises(CallRejected) as refused:
        await dialled.answered()
    assert refused.value.response.status == status
    ended = await desk.event("call.hangup", lambda p: p["call_control_id"] == call_control_id)
    assert ended["payload"]["hangup_cause"] == word


async def test_a_call_is_dialled_and_recorded_from_its_answer(desk: Desk) -> None:
    dialled = await desk.ask(
        desk.client.calls.dial,
        connection_id=desk.connection_id,
        from_="+15550001",
        from_display_name="Front desk",
        to=desk.site.phone.uri,
        client_state=STATE,
        custom_headers=[{"name": "X-Team", "value": "blue"}],
        record="record-from-answer",
        record_format="wav",
        record_custom_file_name="greeting",
    )
    incoming = await desk.site.phone.incoming()
    call = await incoming.answer(play=Tone(440, LEVEL))
    initiated = await desk.event(
        "call.initiated", lambda p: p["call_leg_id"] == dialled.data.call_leg_id
    )
    answered = await desk.event(
        "call.answered", lambda p: p["call_leg_id"] == dialled.data.call_leg_id
    )
    await asyncio.sleep(0.8)
    await call.hang_up()
    saved = await desk.event(
        "call.recording.saved", lambda p: p["call_leg_id"] == dialled.data.call_leg_id
    )
    sound = await desk.sound(saved["payload"])

    assert not dialled.data.is_alive
    assert incoming.invite.header("X-Team") == "blue"
    assert "Front desk" in incoming.invite.header("from")
    assert initiated["payload"]["direction"] == "outgoing"
    assert initiated["payload"]["client_state"] == STATE
    assert answered["payload"]["call_session_id"] == dialled.data.call_session_id
    assert sound.channels == 2
    assert tone_level(sound.channel(0), 440, sound.rate_hz) > LEVEL - 3
    assert tone_level(sound.channel(1), 440, sound.rate_hz) < LEVEL - 40
    assert saved["payload"]["file_name"].startswith("greeting-")
    assert (saved["payload"]["channels"], saved["payload"]["client_state"]) == ("dual", STATE)


async def test_the_answer_may_record(desk: Desk) -> None:
    dialled, initiated = await desk.ring("desk-answer", caller="answered", play=Tone(440, LEVEL))
    call_control_id = initiated["payload"]["call_control_id"]

    answered = await desk.ask(
        desk.client.calls.actions.answer,
        call_control_id,
        record="record-from-answer",
        record_channels="single",
        record_max_length=1,
    )
    call = await dialled.answered()
    payload = await desk.saved(answered.data.recording_id, kind="call")
    sound = await desk.sound(payload)

    assert (payload["channels"], payload["format"]) == ("single", "mp3")
    assert sound.duration_ms == pytest.approx(1_000, abs=1)
    await call.hang_up()


async def test_dialling_nobody_ends_by_itself(desk: Desk) -> None:
    dialled = await desk.ask(
        desk.client.calls.dial,
        connection_id=desk.connection_id,
        from_="+15550001",
        to=desk.site.phone.uri,
    )
    incoming = await desk.site.phone.incoming()
    incoming.reject(486, "Busy Here")

    ended = await desk.event("call.hangup", lambda p: p["call_leg_id"] == dialled.data.call_leg_id)

    assert ended["payload"]["hangup_cause"] == "user_busy"
    assert ended["payload"]["hangup_source"] == "callee"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"connection_id": "12345"}, ("10015", "/connection_id")),
        ({"to": "bob"}, ("10016", "/to")),
        ({"to": ""}, ("10004", "/to")),
        (
            {"record": "record-from-answer", "record_channels": "five"},
            ("10032", "/record_channels"),
        ),
        ({"timeout_secs": 1}, ("10033", "/timeout_secs")),
        ({"media_encryption": "SRTP"}, ("10011", "/media_encryption")),
    ],
)
async def test_what_cannot_be_dialled(
    desk: Desk, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    given = {
        "connection_id": desk.connection_id,
        "from_": "+15550001",
        "to": desk.site.phone.uri,
        **fields,
    }

    assert await desk.fault_of(desk.client.calls.dial, **given) == expected


async def test_the_same_command_id_dials_once(desk: Desk) -> None:
    made = await asyncio.gather(
        *(
            desk.ask(
                desk.client.calls.dial,
                connection_id=desk.connection_id,
                from_="+15550001",
                to=desk.site.phone.uri,
                command_id="dial-once",
            )
            for _ in range(4)
        )
    )
    incoming = await desk.site.phone.incoming()
    incoming.reject(603, "Decline")

    assert len({each.data.call_control_id for each in made}) == 1
    with pytest.raises(TimeoutError):
        await desk.site.phone.incoming(0.3)


@pytest.mark.parametrize(
    ("fields", "channels", "is_loud"),
    [
        ({"channels": "single"}, 1, True),
        ({"channels": "dual"}, 2, True),
        ({"channels": "dual", "recording_track": "inbound"}, 1, True),
        ({"channels": "single", "recording_track": "outbound"}, 1, False),
    ],
)
async def test_what_of_a_call_is_recorded(
    desk: Desk, fields: dict[str, Any], channels: int, *, is_loud: bool
) -> None:
    call, call_control_id = await desk.talk(
        "desk-rec", caller=f"rec{channels}{'-'.join(fields.values())}", play=Tone(440, LEVEL)
    )

    started = await desk.ask(
        desk.client.calls.actions.start_recording, call_control_id, format="wav", **fields
    )
    await asyncio.sleep(0.7)
    await desk.ask(
        desk.client.calls.actions.stop_recording, call_control_id, client_state=LATER_STATE
    )
    payload = await desk.saved(started.data.recording_id, kind="call")
    sound = await desk.sound(payload)

    assert sound.channels == channels
    assert (tone_level(sound.channel(0), 440, sound.rate_hz) > LEVEL - 3) is is_loud
    assert payload["client_state"] == LATER_STATE
    assert payload["call_control_id"] == call_control_id
    await call.hang_up()


async def test_a_record_commands_state_becomes_the_calls(desk: Desk) -> None:
    call, call_control_id = await desk.talk("desk-state", caller="state")
    actions, status = desk.client.calls.actions, desk.client.calls.retrieve_status
    states = []

    await desk.ask(
        actions.start_recording,
        call_control_id,
        channels="single",
        format="mp3",
        client_state="YQ==",
    )
    states.append((await desk.ask(status, call_control_id)).data.client_state)
    await desk.ask(actions.pause_recording, call_control_id, client_state="Yg==")
    states.append((await desk.ask(status, call_control_id)).data.client_state)
    await desk.ask(actions.resume_recording, call_control_id)
    with pytest.raises(telnyx.NotFoundError):
        await desk.ask(
            actions.stop_recording, call_control_id, recording_id="none", client_state="YWM="
        )
    await desk.ask(actions.update_client_state, call_control_id, client_state="Yw==")
    await desk.ask(actions.stop_recording, call_control_id)
    saved = await desk.event(
        "call.recording.saved", lambda p: p["call_control_id"] == call_control_id
    )

    assert states == ["YQ==", "Yg=="]
    assert saved["payload"]["client_state"] == "Yw=="
    await call.hang_up()


async def test_a_recording_ends_by_itself(desk: Desk) -> None:
    call, call_control_id = await desk.talk("desk-lim", caller="lim", play=Tone(440, LEVEL))
    start = desk.client.calls.actions.start_recording

    by_length = await desk.ask(
        start, call_control_id, channels="single", format="wav", max_length=1
    )
    by_silence = await desk.ask(
        start, call_control_id, channels="single", format="mp3", timeout_secs=1
    )
    await desk.saved(by_length.data.recording_id, kind="call")
    call.play(Silence())
    sound = await desk.sound(await desk.saved(by_silence.data.recording_id, kind="call"))
    first = await desk.sound(await desk.saved(by_length.data.recording_id, kind="call"))

    assert first.duration_ms == pytest.approx(1_000, abs=1)
    (span,) = find_tone(sound.mono(), 440, rate_hz=sound.rate_hz)
    assert sound.duration_ms - span.end_ms == pytest.approx(1_000, abs=250)
    await call.hang_up()


async def test_a_call_that_rings_cannot_be_recorded(desk: Desk) -> None:
    dialled, initiated = await desk.ring("desk-ring", caller="ringing")
    call_control_id = initiated["payload"]["call_control_id"]

    fault = await desk.fault_of(
        desk.client.calls.actions.start_recording,
        call_control_id,
        channels="single",
        format="wav",
    )
    made = await desk.fault_of(
        desk.client.conferences.create, call_control_id=call_control_id, name="early"
    )

    assert (fault[0], made[0]) == ("90034", "90034")
    await dialled.cancel()
    ended = await desk.event("call.hangup", lambda p: p["call_control_id"] == call_control_id)
    assert ended["payload"]["hangup_cause"] == "originator_cancel"


async def test_a_recording_is_transcribed(desk: Desk) -> None:
    call, call_control_id = await desk.talk("desk-words", caller="words")
    started = await desk.ask(
        desk.client.calls.actions.start_recording,
        call_control_id,
        channels="single",
        format="wav",
        transcription=True,
    )
    clip = await asyncio.to_thread(
        say, "The delivery of seven yellow boxes will arrive on Monday.", voice="rms"
    )
    call.play(clip)
    await asyncio.sleep(len(clip.samples) / 8_000)
    await call.hang_up()
    saved = await desk.event(
        "call.recording.transcription.saved",
        lambda p: p["recording_id"] == started.data.recording_id,
        within_s=60.0,
    )
    transcriptions = desk.client.recording_transcriptions
    listed = await desk.ask(transcriptions.list, filter={"recording_id": started.data.recording_id})
    transcription_id = saved["payload"]["recording_transcription_id"]
    one = await desk.ask(transcriptions.retrieve, transcription_id)
    deleted = await desk.ask(transcriptions.delete, transcription_id)

    text = saved["payload"]["transcription_text"]
    assert {"seven", "yellow", "boxes", "monday"} <= set(plain_words(text))
    assert saved["payload"]["status"] == "completed"
    assert [each.transcription_text for each in (one.data, *listed.data)] == [text, text]
    assert one.data.status == "completed"
    assert deleted.data.id == transcription_id
    with pytest.raises(telnyx.NotFoundError, match="10007"):
        await desk.ask(transcriptions.retrieve, transcription_id)


async def test_recordings_are_found_and_deleted(desk: Desk) -> None:
    call, call_control_id = await desk.talk("desk-list", caller="lister", play=Tone(440, LEVEL))
    ids = []
    for _ in range(3):
        started = await desk.ask(
            desk.client.calls.actions.start_recording,
            call_control_id,
            channels="single",
            format="mp3",
        )
        ids.append(started.data.recording_id)
    running = await desk.ask(desk.client.recordings.list, filter={"from": "lister"})
    await desk.ask(desk.client.calls.actions.stop_recording, call_control_id)
    for each in ids:
        await desk.saved(each, kind="call")
    recordings = desk.client.recordings
    wanted = {"call_control_id": call_control_id, "connection_id": desk.connection_id}
    page = await desk.ask(recordings.list, filter=wanted, page_size=2)
    everything = await desk.ask(lambda: [each.id for each in recordings.list(filter=wanted)])
    one = (await desk.ask(recordings.retrieve, ids[0])).data
    reply = await desk.site.fetch(one.download_urls.mp3)
    later = await desk.ask(
        recordings.list, filter={**wanted, "created_at": {"gte": "2999-01-01T00:00:00Z"}}
    )
    gone = (await desk.ask(recordings.delete, ids[0])).data
    many = await desk.ask(recordings.actions.delete, ids=ids[1:])

    assert running.data == []
    assert (len(page.data), page.meta.total_results, page.meta.total_pages) == (2, 3, 2)
    assert sorted(everything) == sorted(ids)
    assert (one.source, one.channels, one.status) == ("call", "single", "completed")
    assert (one.call_control_id, one.connection_id) == (call_control_id, desk.connection_id)
    assert one.initiated_by == "StartCallRecordingAPI"
    assert reply.status == 200
    assert later.data == []
    assert (gone.id, many.status) == (ids[0], "ok")
    assert (await desk.ask(recordings.list, filter=wanted)).data == []
    with pytest.raises(telnyx.NotFoundError, match="10005"):
        await desk.ask(recordings.retrieve, ids[0])
    await call.hang_up()
