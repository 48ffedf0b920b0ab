"""`vobiz-python` 0.1.1, unmodified, pointed at a live node by one line, with SIP calls on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
import vobiz
from tests.e2e.site import Site, eventually
from tests.sdk.stage import (
    CALLEE_HZ,
    CALLER_HZ,
    answer_with,
    blocking,
    call_of,
    choosing,
    hears,
    listen,
    talking,
    wait_for,
)
from vobiz.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError
from vobiz.utils import validate_signature, validate_v3_signature

from tapeline import compat
from tapeline.testing import Answer, EndedBy, Received, Softphone, Tone
from tapeline.testing.words import plain_words, say

SENTENCE = "The delivery of seven yellow boxes will arrive on Monday afternoon."
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def client(site: Site) -> Iterator[Any]:
    made = compat.vobiz(
        vobiz.RestClient(site.account.auth_id, site.account.auth_token), site.node.http_url
    )
    yield made
    made.session.close()
    made.multipart_session.close()


@pytest_asyncio.fixture(params=["doc", "sdk"], loop_scope="module")
async def v3(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Which form of signature V3 the account has chosen; afterwards the documented one."""
    async with choosing(site, "vobiz.vobiz_v3", choice=request.param, default="doc"):
        yield request.param


def is_signed(site: Site, told: Received, *, v3: str = "doc") -> bool:
    """By the SDK's validators; V3 as documented is V3 over no parameters."""
    url = site.receiver.url(told.path)
    if told.query:
        url += "?" + urlencode(told.query)
    params = told.form() if told.method == "POST" and v3 == "sdk" else {}
    head, token = "x-vobiz-signature", site.account.auth_token
    nonce = told.headers[f"{head}-v2-nonce"]
    signed = url if v3 == "sdk" else url.partition("?")[0]
    first = validate_signature(url, nonce, told.headers[f"{head}-v2"], token)
    third = validate_v3_signature(
        told.method,
        signed,
        told.headers[f"{head}-v3-nonce"],
        token,
        told.headers[f"{head}-v3"],
        params,
    )
    return bool(first and third)


async def record(client: Any, room: str, **body: Any) -> Any:
    """This SDK has no conferences of its own."""
    return await blocking(client.request, "POST", ("Conference", room, "Record"), data=body)


async def stop(client: Any, room: str) -> Any:
    return await blocking(client.request, "DELETE", ("Conference", room, "Record"), data={})


@pytest.mark.parametrize("key", ["callback_url", "recording_callback_url"])
async def test_a_conference_is_recorded(site: Site, client: Any, key: str) -> None:
    room = f"vobiz-{key}"
    call = await site.sit(room, caller=room, play=Tone(CALLER_HZ))

    started = await record(client, room, file_format="wav", **{key: site.receiver.url(f"/{room}")})
    await asyncio.sleep(1.0)
    stopped = await stop(client, room)
    told = await wait_for(site, f"/{room}")
    await call.hang_up()

    assert (started.message, stopped) == ("conference recording started", None)
    fields = told.json()
    assert fields["recording_id"] == started.recording_id
    assert fields["recording_url"] == fields["record_url"]
    assert (fields["conference_name"], fields["file_format"]) == (room, "wav")
    assert fields["recording_duration"] == 1
    assert is_signed(site, told)
    assert hears(await listen(site, told, "recording_url"), 0, CALLER_HZ)


async def test_a_call_is_recorded_in_stereo_with_the_caller_left(
    site: Site, client: Any, v3: str
) -> None:
    path = f"/vobiz-stereo-{v3}"
    async with talking(site, "vobiz", number=f"vobiz-stereo-{v3}") as talk:
        live = await blocking(client.calls.list_live)
        assert talk.call_id in live.calls
        started = await blocking(
            client.calls.start_recording,
            talk.call_id,
            time_limit=60,
            file_format="wav",
            callback_url=site.receiver.url(path),
            callback_method="POST",
            record_channel_type="stereo",
        )
        await asyncio.sleep(1.5)
        stopped = await blocking(client.calls.stop_recording, talk.call_id)
        told = await wait_for(site, path)

    assert (started.message, stopped) == ("recording started", None)
    fields = told.form()
    assert is_signed(site, told, v3=v3)
    assert set(fields) == {
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
    assert (fields["api_id"], fields["call_uuid"]) == (started.api_id, talk.call_id)
    sound = await listen(site, told, "record_url")
    assert [hears(sound, 0, hz) for hz in (CALLER_HZ, CALLEE_HZ)] == [True, False]
    assert [hears(sound, 1, hz) for hz in (CALLER_HZ, CALLEE_HZ)] == [False, True]


async def test_a_call_is_recorded_in_mono_until_its_limit(site: Site, client: Any) -> None:
    async with talking(site, "vobiz", number="vobiz-limit") as talk:
        await blocking(
            client.calls.start_recording,
            talk.call_id,
            time_limit=1,
            callback_url=site.receiver.url("/vobiz-limit"),
            callback_method="GET",
        )
        told = await wait_for(site, "/vobiz-limit")
        with pytest.raises(ResourceNotFoundError, match="recording not found"):
            await blocking(client.calls.stop_recording, talk.call_id)

    assert (told.method, told.query["recording_duration_ms"]) == ("GET", "1000")
    sound = await listen(site, told, "record_url")
    assert sound.channels == 1
    assert hears(sound, 0, CALLER_HZ)
    assert hears(sound, 0, CALLEE_HZ)


async def test_several_recordings_of_a_call_end_one_by_one(site: Site, client: Any) -> None:
    async with talking(site, "vobiz", number="vobiz-several") as talk:
        api, url = client.calls, site.receiver.url("/vobiz-several")
        first = await blocking(api.start_recording, talk.call_id, callback_url=url)
        second = await blocking(api.start_recording, talk.call_id, callback_url=url)
        await blocking(api.stop_recording, talk.call_id, first.url)
        told = await wait_for(site, "/vobiz-several")
        with pytest.raises(ResourceNotFoundError, match="recording not found"):
            await blocking(api.stop_recording, talk.call_id, "https://elsewhere/none.mp3")
        await blocking(api.stop_recording, talk.call_id)
        rest = await wait_for(site, "/vobiz-several", count=2)

    assert first.recording_id != second.recording_id
    assert told.form()["recording_id"] == first.recording_id
    assert rest.form()["recording_id"] == second.recording_id


async def test_members_are_muted_and_kicked(site: Site, client: Any) -> None:
    room = "vobiz-members"
    calls = [await site.sit(room, caller=f"v{number}") for number in range(2)]

    async def ask(method: str, *path: str) -> Any:
        return await blocking(client.request, method, ("Conference", room, *path), data={})

    ids = [member.member_id for member in (await ask("GET")).members]
    muted = await ask("POST", "Member", "all", "Mute")
    deaf = await ask("POST", "Member", ids[0], "Deaf")
    members = (await ask("GET")).members
    await ask("DELETE", "Member", ids[0], "Mute")
    kicked = await ask("POST", "Member", ids[0], "Kick")
    await ask("DELETE")

    assert (muted.message, muted.member_id) == ("muted", ["all"])
    assert (deaf.message, deaf.member_id) == ("deaf", [ids[0]])
    assert [(m.muted, m.deaf) for m in members] == [(True, True), (True, False)]
    assert kicked.message == "kicked"
    assert [await call.ended(5) for call in calls] == [EndedBy.THEM] * 2


async def test_a_call_is_made_and_hung_up(site: Site, client: Any) -> None:
    document = b"<Response><Conference>vobiz-made</Conference></Response>"
    site.receiver.script("/vobiz-answer", Answer(body=document, content_type="text/xml"))
    url = site.receiver.url
    async with Softphone("called") as phone:
        made = await blocking(
            client.calls.create,
            "15551230000",
            phone.uri,
            url("/vobiz-answer"),
            ring_url=url("/vobiz-ring"),
            hangup_url=url("/vobiz-bye"),
        )
        call = await (await phone.incoming()).answer()
        asked = await wait_for(site, "/vobiz-answer")
        live = await blocking(client.calls.get_live, made.request_uuid)
        await blocking(client.calls.hangup, made.request_uuid)
        assert await call.ended(5) is EndedBy.THEM
    bye = await wait_for(site, "/vobiz-bye")
    rang = await wait_for(site, "/vobiz-ring")
    record = await blocking(client.calls.get, made.request_uuid)

    assert made.message == "Call fired"
    assert [each.form()["Event"] for each in (rang, asked, bye)] == ["Ring", "StartApp", "Hangup"]
    assert bye.form()["HangupSource"] == "API Request"
    assert (live.call_status, live.direction) == ("in-progress", "outbound")
    assert record.hangup_cause_code == 4000


async def test_a_document_records_its_call_and_goes_on(site: Site) -> None:
    """Here an action's answer is not followed unless the document says so."""
    url = site.receiver.url
    document = (
        f'<Response><Record action="{url("/vobiz-record")}" maxLength="1" playBeep="false"/>'
        "<Conference>vobiz-after</Conference></Response>"
    )
    await answer_with(site, "vobiz", "vobiz-record", document)

    call = await site.phone.call(site.node.sip_uri("vobiz-record"), play=Tone(CALLER_HZ))
    asked = await wait_for(site, "/vobiz-record")

    async def goes_on() -> bool:
        reply = await site.rest("GET", "Conference/vobiz-after/")
        return reply.status == 200

    await eventually(goes_on, "the document goes on after the recording")
    await call.hang_up()
    assert (asked.form()["Event"], asked.form()["RecordingDuration"]) == ("Record", "1")
    sound = await listen(site, asked, "RecordFile")
    assert [hears(sound, side, CALLER_HZ) for side in (0, 1)] == [True, False]


async def test_applications_and_recordings_by_the_resources_that_ignore_base_uri(
    client: Any,
) -> None:
    made = await blocking(client.applications.create, name="SDK", answer_url="https://h/a")
    one = await blocking(client.applications.get, made.app_id)
    listed = await blocking(client.applications.list, page=1, size=100)
    await blocking(client.applications.update, made.app_id, answer_url="https://h/b")
    await blocking(client.applications.delete, made.app_id)

    assert one.app_name == "SDK"
    assert made.app_id in [each.app_id for each in listed.objects]
    with pytest.raises(ResourceNotFoundError, match="application not found"):
        await blocking(client.applications.get, made.app_id)


# errors


@pytest.mark.parametrize(
    ("action", "error", "said"),
    [
        (lambda c: c.calls.start_recording("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.calls.stop_recording("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.calls.hangup("none"), ResourceNotFoundError, "call not found"),
        (lambda c: c.calls.get_live("none"), ResourceNotFoundError, "call not found"),
        (
            lambda c: c.request("POST", ("Conference", "nobody", "Record"), data={}),
            ResourceNotFoundError,
            "conference not found",
        ),
        (
            lambda c: c.calls.start_recording("none", file_format="ogg"),
            ValidationError,
            "file_format",
        ),
        (
            lambda c: c.calls.start_recording("none", record_channel_type="quad"),
            ValidationError,
            "record_channel_type",
        ),
        (lambda c: c.calls.create("1", "15551230001", "https://h/"), ValidationError, "sip:"),
    ],
)
async def test_errors_are_the_sdks_own(
    client: Any, action: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await blocking(action, client)


async def test_wrong_credentials_and_the_wrong_case(site: Site, client: Any) -> None:
    client.base_uri = client.base_uri.replace("/Account", "/account")
    with pytest.raises(AuthenticationError, match="PascalCase"):
        await blocking(client.calls.list_live)
    client.session.headers["X-Auth-Token"] = "wrong"
    client.base_uri = site.node.http_url + "/api/v1/Account"
    with pytest.raises(AuthenticationError, match="credentials"):
        await blocking(client.calls.list_live)


# transcription


async def test_what_was_said_on_a_call_comes_back(site: Site, client: Any) -> None:
    clip = await asyncio.to_thread(say, SENTENCE, voice="rms")
    call = await site.sit("vobiz-words", caller="vobiz-speaker")
    live = await call_of(site, "vobiz-speaker")
    await blocking(
        client.calls.start_recording,
        live,
        transcription_type="auto",
        transcription_url=site.receiver.url("/vobiz-words"),
    )
    call.play(clip)
    await asyncio.sleep(len(clip.samples) / 8_000 + 0.5)
    await blocking(client.calls.stop_recording, live)
    told = await site.receiver.wait_for("/vobiz-words", timeout_s=60)
    fields = told.form()
    path = ("Transcription", fields["recording_id"])
    read = await blocking(client.request, "GET", path)
    await call.hang_up()

    assert is_signed(site, told)
    assert (fields["call_uuid"], fields["error"]) == (live, "")
    assert {"delivery", "yellow", "monday"} <= set(plain_words(fields["transcription"]))
    assert fields["transcription_url"].startswith(site.node.http_url)
    assert fields["transcription_url"].endswith("/".join(["", *path, ""]))
    assert read.transcription == fields["transcription"]
