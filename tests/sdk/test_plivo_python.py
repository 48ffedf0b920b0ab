"""`plivo` 4.63.0, unmodified, pointed at a live node by one line, with SIP calls on it."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import plivo
import pytest
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError
from plivo.utils import validate_signature, validate_v3_signature
from tests.e2e.site import Site, eventually
from tests.sdk.stage import (
    CALLEE_HZ,
    CALLER_HZ,
    answer_with,
    blocking,
    choosing,
    hears,
    listen,
    talking,
    wait_for,
)

from tapeline import compat
from tapeline.testing import Answer, EndedBy, Received, Softphone, Tone
from tapeline.testing.words import plain_words, say

SENTENCE = "The delivery of seven yellow boxes will arrive on Monday afternoon."
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def client(site: Site) -> Iterator[Any]:
    made = plivo.RestClient(site.account.auth_id, site.account.auth_token)
    with compat.plivo(made, site.node.http_url) as pointed:
        yield pointed


def is_signed(site: Site, told: Received) -> bool:
    """By both validators of the SDK, as its users call them."""
    url = site.receiver.url(told.path)
    if told.query:
        url += "?" + urlencode(told.query)
    head, token = "x-plivo-signature", site.account.auth_token
    v2 = validate_signature(
        url, told.headers[f"{head}-v2-nonce"], told.headers[f"{head}-v2"], token
    )
    v3 = validate_v3_signature(
        told.method,
        url,
        told.headers[f"{head}-v3-nonce"],
        token,
        told.headers[f"{head}-v3"],
        told.form() if told.method == "POST" else {},
    )
    return bool(v2 and v3)


@pytest.mark.parametrize("file_format", ["mp3", "wav"])
async def test_a_conference_is_recorded(site: Site, client: Any, file_format: str) -> None:
    room = f"plivo-{file_format}"
    first = await site.sit(room, caller=f"a-{file_format}", play=Tone(CALLER_HZ))
    second = await site.sit(room, caller=f"b-{file_format}", play=Tone(CALLEE_HZ))
    path = f"/plivo-conference-{file_format}"

    started = await blocking(
        client.conferences.record,
        room,
        file_format=file_format,
        callback_url=site.receiver.url(path) + "?shop=3#rc=2&rt=2000",
        callback_method="POST",
    )
    await asyncio.sleep(1.5)
    stopped = await blocking(client.conferences.record_stop, room)
    told = await wait_for(site, path)
    await first.hang_up()
    await second.hang_up()

    assert (started.message, stopped) == ("conference recording started", None)
    assert started.url.partition("?")[0].endswith(f"{started.recording_id}.{file_format}")
    fields = told.form()
    assert is_signed(site, told)
    assert told.query == {"shop": "3"}
    assert fields["api_id"] == started.api_id
    assert fields["recording_id"] == started.recording_id
    assert fields["conference_name"] == room
    assert int(fields["recording_duration_ms"]) == pytest.approx(1_500, abs=400)
    assert fields["recording_duration"] in {"1", "2"}
    span = int(fields["recording_end_ms"]) - int(fields["recording_start_ms"])
    assert span == pytest.approx(int(fields["recording_duration_ms"]), abs=60)
    sound = await listen(site, told, "record_url")
    assert sound.channels == 1
    assert hears(sound, 0, CALLER_HZ)
    assert hears(sound, 0, CALLEE_HZ)
    kept = await site.fetch(started.url)
    assert kept.status == 200


async def test_a_callback_is_repeated_as_its_url_says(site: Site, client: Any) -> None:
    call = await site.sit("plivo-shaky", caller="shaky")
    site.receiver.script(
        "/plivo-shaky", Answer(status=503), Answer(status=404), Answer(delay_s=1.0), Answer()
    )
    await blocking(
        client.conferences.record,
        "plivo-shaky",
        callback_url=site.receiver.url("/plivo-shaky#ct=500&rt=300&rc=3&rp=5xx,4xx,rt"),
    )
    await asyncio.sleep(0.3)
    await blocking(client.conferences.record_stop, "plivo-shaky")
    await site.receiver.wait_for("/plivo-shaky", count=4, timeout_s=20)
    await call.hang_up()

    told = site.receiver.received("/plivo-shaky")
    assert all(is_signed(site, each) for each in told)
    assert len({each.headers["x-plivo-signature-v3-nonce"] for each in told}) == 4
    assert len({each.form()["recording_id"] for each in told}) == 1


async def test_a_call_is_recorded_in_stereo_with_the_caller_left(site: Site, client: Any) -> None:
    async with talking(site, "plivo", number="plivo-stereo") as talk:
        live = await blocking(client.live_calls.list_ids)
        assert talk.call_id in live.calls
        started = await blocking(
            client.calls.record,
            talk.call_id,
            time_limit=60,
            file_format="wav",
            record_channel_type="stereo",
            callback_url=site.receiver.url("/plivo-stereo"),
            callback_method="GET",
        )
        await asyncio.sleep(1.5)
        stopped = await blocking(client.calls.record_stop, talk.call_id)
        told = await wait_for(site, "/plivo-stereo")

    assert (started.message, stopped) == ("call recording started", None)
    assert told.method == "GET"
    assert is_signed(site, told)
    assert set(told.query) == {
        "api_id",
        "record_url",
        "call_uuid",
        "recording_id",
        "recording_duration",
        "recording_duration_ms",
        "recording_start_ms",
        "recording_end_ms",
        "recording_health",
    }
    assert told.query["call_uuid"] == talk.call_id
    assert told.query["recording_health"] == "ok"
    sound = await listen(site, told, "record_url")
    assert [hears(sound, 0, hz) for hz in (CALLER_HZ, CALLEE_HZ)] == [True, False]
    assert [hears(sound, 1, hz) for hz in (CALLER_HZ, CALLEE_HZ)] == [False, True]


async def test_a_call_is_recorded_in_mono_until_its_limit(site: Site, client: Any) -> None:
    async with talking(site, "plivo", number="plivo-limit") as talk:
        started = await blocking(
            client.calls.record,
            talk.call_id,
            time_limit=1,
            callback_url=site.receiver.url("/plivo-limit"),
        )
        told = await wait_for(site, "/plivo-limit")
        again = await blocking(client.calls.record_stop, talk.call_id)

    assert again is None
    assert told.form()["recording_duration_ms"] == "1000"
    assert started.url.partition("?")[0].endswith(".mp3")
    sound = await listen(site, told, "record_url")
    assert sound.channels == 1
    assert hears(sound, 0, CALLER_HZ)
    assert hears(sound, 0, CALLEE_HZ)


async def test_several_recordings_of_a_call_end_one_by_one(site: Site, client: Any) -> None:
    async with talking(site, "plivo", number="plivo-several") as talk:
        url = site.receiver.url("/plivo-several")
        first = await blocking(client.calls.record, talk.call_id, callback_url=url)
        second = await blocking(client.calls.record, talk.call_id, callback_url=url)
        path = ("Call", talk.call_id, "Record")
        await blocking(client.request, "DELETE", path, {"URL": first.url}, is_voice_request=True)
        told = await wait_for(site, "/plivo-several")
        one = await blocking(client.recordings.get, second.recording_id)
        await blocking(client.calls.record_stop, talk.call_id)
        rest = await wait_for(site, "/plivo-several", count=2)

    assert first.recording_id != second.recording_id
    assert told.form()["recording_id"] == first.recording_id
    assert one.recording_end_ms is None
    assert rest.form()["recording_id"] == second.recording_id


async def test_members_are_muted_kicked_and_hung_up(site: Site, client: Any) -> None:
    room = "plivo-members"
    calls = [await site.sit(room, caller=f"m{number}") for number in range(3)]
    api = client.conferences

    names = (await blocking(api.list)).conferences
    ids = [member["member_id"] for member in (await blocking(api.get, room)).members]
    muted = await blocking(api.member_mute, room, ids[0])
    deaf = await blocking(api.member_deaf, room, f"{ids[0]},{ids[1]}")
    members = (await blocking(api.get, room)).members
    await blocking(api.member_mute_stop, room, "all")
    await blocking(api.member_deaf_stop, room, "all")
    free = (await blocking(api.get, room)).members
    kicked = await blocking(api.member_kick, room, ids[0])
    await blocking(api.member_hangup, room, ids[1])

    assert room in names
    assert (muted.message, muted.member_id) == ("muted", ids[0])
    assert (deaf.message, deaf.member_id) == ("deaf", f"{ids[0]},{ids[1]}")
    assert [(m["muted"], m["deaf"]) for m in members] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert not [m for m in free if m["muted"] or m["deaf"]]
    assert kicked.message == "kicked"
    assert [await call.ended(5) for call in calls[:2]] == [EndedBy.THEM] * 2

    async def one_is_left() -> bool:
        left = (await blocking(api.get, room)).members
        return [member["member_id"] for member in left] == [ids[2]]

    await eventually(one_is_left, "only the third member is left")
    await blocking(api.delete, room)
    assert await calls[2].ended(5) is EndedBy.THEM

    async def is_gone() -> bool:
        try:
            await blocking(api.get, room)
        except ResourceNotFoundError as error:
            return str(error) == "conference not found"
        return False

    await eventually(is_gone, "the conference is over")


async def test_a_call_is_made_and_told_of(site: Site, client: Any) -> None:
    document = b"<Response><Conference>plivo-made</Conference></Response>"
    site.receiver.script("/plivo-answer", Answer(body=document, content_type="text/xml"))
    url = site.receiver.url
    async with Softphone("called") as phone:
        made = await blocking(
            client.calls.create,
            from_="15551230000",
            to_=phone.uri,
            answer_url=url("/plivo-answer"),
            ring_url=url("/plivo-ring"),
            hangup_url=url("/plivo-bye"),
            hangup_method="GET",
            caller_name="Ada",
            sip_headers="team=blue",
        )
        incoming = await phone.incoming()
        rang = await wait_for(site, "/plivo-ring")
        call = await incoming.answer()
        asked = await wait_for(site, "/plivo-answer")
        live = await blocking(client.live_calls.get, made.request_uuid)
        await blocking(client.calls.delete, made.request_uuid)
        assert await call.ended(5) is EndedBy.THEM
    bye = await wait_for(site, "/plivo-bye")
    record = await blocking(client.calls.get, made.request_uuid)
    listed = await blocking(client.calls.list, call_direction="outbound")

    assert made.message == "call fired"
    assert [is_signed(site, each) for each in (rang, asked, bye)] == [True] * 3
    assert rang.form()["Event"] == "Ring"
    assert (asked.form()["Event"], asked.form()["CallStatus"]) == ("StartApp", "in-progress")
    assert asked.form()["ALegUUID"] == made.request_uuid
    assert (live.call_uuid, live.direction) == (made.request_uuid, "outbound")
    assert (bye.method, bye.query["Event"]) == ("GET", "Hangup")
    assert bye.query["HangupSource"] == "API Request"
    assert record.hangup_cause_code == 4000
    assert made.request_uuid in [each.call_uuid for each in listed.objects]


async def test_a_call_goes_on_with_another_document(site: Site, client: Any) -> None:
    document = b"<Response><Conference>plivo-moved</Conference></Response>"
    site.receiver.script("/plivo-moved", Answer(body=document, content_type="text/xml"))
    async with talking(site, "plivo", number="plivo-transfer") as talk:
        moved = await blocking(
            client.calls.transfer,
            talk.call_id,
            legs="aleg",
            aleg_url=site.receiver.url("/plivo-moved"),
        )
        asked = await wait_for(site, "/plivo-moved")

        async def is_there() -> bool:
            found = await blocking(client.conferences.list)
            return "plivo-moved" in found.conferences

        await eventually(is_there, "the call is in the conference")

    assert moved.message == "call transfered"
    assert asked.form()["Event"] == "Transfer"
    assert is_signed(site, asked)


async def test_a_document_records_its_call(site: Site, client: Any) -> None:
    url = site.receiver.url
    document = (
        f'<Response><Record action="{url("/plivo-record-action")}" maxLength="1" playBeep="False"'
        f' fileFormat="wav" callbackUrl="{url("/plivo-record-done")}"/></Response>'
    )
    await answer_with(site, "plivo", "plivo-record", document)

    call = await site.phone.call(site.node.sip_uri("plivo-record"), play=Tone(CALLER_HZ))
    told = await wait_for(site, "/plivo-record-done")
    asked = await wait_for(site, "/plivo-record-action")
    await call.hang_up()

    assert is_signed(site, told)
    assert is_signed(site, asked)
    for each, event in ((told, "RecordStop"), (asked, "Record")):
        fields = each.form()
        assert fields["Event"] == event
        assert fields["RecordingDurationMs"] == "1000"
        assert fields["RecordingEndReason"] == "maxLength"
    sound = await listen(site, told, "RecordUrl")
    assert sound.channels == 2
    assert [hears(sound, side, CALLER_HZ) for side in (0, 1)] == [True, False]
    listed = await blocking(client.recordings.list, limit=20)
    assert told.form()["RecordingID"] in [each.recording_id for each in listed]


async def test_a_documents_conference_is_told_of(site: Site) -> None:
    url = site.receiver.url("/plivo-room")
    document = (
        f'<Response><Conference record="true" callbackUrl="{url}" digitsMatch="42">plivo-told'
        "</Conference></Response>"
    )
    await answer_with(site, "plivo", "plivo-told", document)

    call = await site.phone.call(site.node.sip_uri("plivo-told"), play=Tone(CALLER_HZ))
    await wait_for(site, "/plivo-room", count=2)
    call.send_digits("42")
    await wait_for(site, "/plivo-room", count=3)
    await call.hang_up()
    await wait_for(site, "/plivo-room", count=5)

    told = site.receiver.received("/plivo-room")
    assert all(is_signed(site, each) for each in told)
    by_event = {each.form()["Event"]: each.form() for each in told}
    assert set(by_event) == {
        "ConferenceEnter",
        "ConferenceRecord",
        "ConferenceDigits",
        "ConferenceExit",
        "ConferenceRecordStop",
    }
    assert by_event["ConferenceRecord"]["RecordingDurationMs"] == "-1"
    assert int(by_event["ConferenceRecordStop"]["RecordingDurationMs"]) > 0
    assert by_event["ConferenceDigits"]["ConferenceDigitsMatch"] == "42"
    assert by_event["ConferenceEnter"]["ConferenceFirstMember"] == "true"


async def test_recordings_are_walked_and_deleted(site: Site, client: Any) -> None:
    room = "plivo-many"
    call = await site.sit(room, caller="many")
    made = []
    for _ in range(21):
        started = await blocking(client.conferences.record, room)
        made.append(started.recording_id)
        await blocking(client.conferences.record_stop, room)
    await call.hang_up()

    walked = await blocking(lambda: [each.recording_id for each in client.recordings])
    named = await blocking(client.recordings.list, conference_name=room, limit=5)
    await blocking(client.recordings.delete, made[0])

    assert set(made) <= set(walked)
    assert len(walked) == len(set(walked))
    assert named.meta.total_count == 21
    assert [each.recording_id for each in named] == made[::-1][:5]
    with pytest.raises(ResourceNotFoundError, match="recording not found"):
        await blocking(client.recordings.get, made[0])


async def test_an_applications_life(client: Any) -> None:
    made = await blocking(client.applications.create, "SDK rooms", answer_url="https://h/a")
    changed = await blocking(
        client.applications.update, made.app_id, answer_url="https://h/b", answer_method="GET"
    )
    one = await blocking(client.applications.get, made.app_id)
    listed = await blocking(client.applications.list)
    await blocking(client.applications.delete, made.app_id)

    assert (made.message, changed.message) == ("created", "changed")
    assert (one.answer_url, one.answer_method) == ("https://h/b", "GET")
    assert made.app_id in [each.app_id for each in listed]
    with pytest.raises(ResourceNotFoundError, match="application not found"):
        await blocking(client.applications.get, made.app_id)


# errors


async def test_a_second_start_and_a_stop_without_one(site: Site, client: Any) -> None:
    call = await site.sit("plivo-twice", caller="twice")
    await blocking(client.conferences.record, "plivo-twice")

    with pytest.raises(ValidationError, match="already being recorded"):
        await blocking(client.conferences.record, "plivo-twice")
    assert await blocking(client.conferences.record_stop, "plivo-twice") is None
    assert await blocking(client.conferences.record_stop, "plivo-twice") is None
    async with choosing(site, "plivo.idempotent_stop", choice="false", default="true"):
        with pytest.raises(ResourceNotFoundError, match="recording not found"):
            await blocking(client.conferences.record_stop, "plivo-twice")
    with pytest.raises(ValidationError, match="file_format"):
        await blocking(client.conferences.record, "plivo-twice", file_format="ogg")
    await call.hang_up()


@pytest.mark.parametrize(
    ("action", "error", "said"),
    [
        (lambda c: c.conferences.record("nobody"), ResourceNotFoundError, "conference not found"),
        (lambda c: c.conferences.get("nobody"), ResourceNotFoundError, "conference not found"),
        (
            lambda c: c.conferences.member_mute("nobody", "1"),
            ResourceNotFoundError,
            "conference not found",
        ),
        (lambda c: c.calls.record("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.calls.record_stop("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.calls.delete("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.live_calls.get("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.recordings.get("none"), ResourceNotFoundError, "recording not found"),
        (lambda c: c.recordings.delete("none"), ResourceNotFoundError, "recording not found"),
        (
            lambda c: c.calls.create("15551230000", "15551230001", "https://h/a"),
            ValidationError,
            "SIP address",
        ),
    ],
)
async def test_errors_are_the_sdks_own(
    client: Any, action: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await blocking(action, client)


@pytest.mark.parametrize(
    "action",
    [
        lambda c: c.recordings.list(),
        lambda c: c.calls.list(),
        lambda c: c.applications.list(),
        lambda c: c.conferences.list(),
        lambda c: c.conferences.record("any"),
        lambda c: c.calls.record("any"),
    ],
)
async def test_wrong_credentials(site: Site, action: Any) -> None:
    made = plivo.RestClient(site.account.auth_id, "wrong")
    with (
        compat.plivo(made, site.node.http_url) as client,
        pytest.raises(AuthenticationError),
    ):
        await blocking(action, client)


# transcription


async def test_what_was_said_comes_back(site: Site, client: Any) -> None:
    clip = await asyncio.to_thread(say, SENTENCE, voice="rms")
    call = await site.sit("plivo-words", caller="speaker")
    started = await blocking(
        client.conferences.record,
        "plivo-words",
        transcription_type="auto",
        transcription_url=site.receiver.url("/plivo-words"),
        transcription_method="GET",
    )
    call.play(clip)
    await asyncio.sleep(len(clip.samples) / 8_000 + 0.5)
    await blocking(client.conferences.record_stop, "plivo-words")
    told = await site.receiver.wait_for("/plivo-words", timeout_s=60)
    read = await blocking(client.transcriptions.get_transcription, started.recording_id)
    deleted = await blocking(client.transcriptions.delete_transcription, started.recording_id)
    await call.hang_up()

    assert told.method == "POST"
    assert is_signed(site, told)
    fields = told.form()
    assert set(fields) == {
        "transcription_charge",
        "transcription",
        "duration",
        "call_uuid",
        "transcription_rate",
        "recording_id",
        "error",
    }
    assert (fields["recording_id"], fields["error"]) == (started.recording_id, "")
    assert {"delivery", "yellow", "monday"} <= set(plain_words(fields["transcription"]))
    assert (read.status, read.transcription) == ("success", fields["transcription"])
    assert deleted.message == "request accepted"
    with pytest.raises(ResourceNotFoundError, match="transcription not found"):
        await blocking(client.transcriptions.get_transcription, started.recording_id)


async def test_what_is_too_short_says_so_and_can_be_asked_for_later(
    site: Site, client: Any
) -> None:
    call = await site.sit("plivo-short", caller="short")
    url = site.receiver.url("/plivo-short-done")
    started = await blocking(client.conferences.record, "plivo-short", callback_url=url)
    await blocking(client.conferences.record_stop, "plivo-short")
    await wait_for(site, "/plivo-short-done")

    asked = await blocking(
        client.transcriptions.create_transcription,
        started.recording_id,
        site.receiver.url("/plivo-short"),
    )
    told = await site.receiver.wait_for("/plivo-short", timeout_s=60)
    read = await blocking(client.transcriptions.get_transcription, started.recording_id)
    await call.hang_up()

    assert asked.message == "transcription in progress"
    assert told.form()["error"] == "Recording duration too short for transcription"
    assert (read.status, read.transcription) == ("failed", "")
